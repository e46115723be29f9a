/**
 * Certificates and revocation lists (RFC 5280) of every kind that a client may meet, wrong ones included: nothing is
 * checked, and everything can be said. Made in memory, at the price of a key and a signature.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { bits, boolean, encode, integer, octets, oid, pem, sequence, set, tagged, time, utf8 } from './der.js'

export interface KeyPair {
  publicKey: KeyObject
  privateKey: KeyObject
}

const DAY_MS = 86_400_000
const ANY_DIGEST_OID = { sha1: '4.1', sha256: '4.3.2', sha384: '4.3.3', sha512: '4.3.4' } as const
const RSA_DIGEST_OID = { md5: 4, sha1: 5, sha256: 11, sha384: 12, sha512: 13 } as const
const NULL = encode(0x05)

/** Each key is made when it is first asked for. */
export const keys = {
  ec: (namedCurve = 'P-256'): KeyPair => generateKeyPairSync('ec', { namedCurve }),
  rsa: (modulusLength: number): KeyPair => generateKeyPairSync('rsa', { modulusLength }),
  rsaPss: (): KeyPair => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
  ed25519: (): KeyPair => generateKeyPairSync('ed25519'),
  ed448: (): KeyPair => generateKeyPairSync('ed448'),
}

export type Digest = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'

function algorithmOf({ asymmetricKeyType }: KeyObject, digest: Digest): Buffer {
  if (asymmetricKeyType === 'ed25519') return sequence(oid('1.3.101.112'))
  if (asymmetricKeyType === 'ed448') return sequence(oid('1.3.101.113'))
  if (asymmetricKeyType === 'rsa') {
    return sequence(oid(`1.2.840.113549.1.1.${RSA_DIGEST_OID[digest]}`), NULL)
  }
  if (asymmetricKeyType === 'rsa-pss') return sequence(oid('1.2.840.113549.1.1.10'), pssParameters())
  return sequence(oid(`1.2.840.10045.${ANY_DIGEST_OID[digest as keyof typeof ANY_DIGEST_OID]}`))
}

/** SHA-256, MGF1 with SHA-256, a salt of as many bytes (RFC 4055 3.1). */
function pssParameters(): Buffer {
  const sha256 = sequence(oid('2.16.840.1.101.3.4.2.1'), NULL)
  return sequence(
    tagged(0, true, sha256),
    tagged(1, true, sequence(oid('1.2.840.113549.1.1.8'), sha256)),
    tagged(2, true, integer(32)),
  )
}

function signed(content: Buffer, { privateKey }: KeyPair, digest: Digest): Buffer {
  const type = privateKey.asymmetricKeyType
  const algorithm = type === 'ed25519' || type === 'ed448' ? null : digest
  const key = type === 'rsa-pss' ? { key: privateKey, saltLength: 32 } : privateKey
  return sequence(content, algorithmOf(privateKey, digest), bits(0, sign(algorithm, content, key)))
}

const ATTRIBUTE_OID = { CN: '2.5.4.3', C: '2.5.4.6', O: '2.5.4.10', OU: '2.5.4.11' } as const

/** A distinguished name, or the common name of one. */
export type Name = string | (readonly [attribute: keyof typeof ATTRIBUTE_OID, value: string])[]

function encodeName(name: Name): Buffer {
  const attributes: Exclude<Name, string> = typeof name === 'string' ? [['CN', name]] : name
  return sequence(...attributes.map(([key, value]) => set(sequence(oid(ATTRIBUTE_OID[key]), utf8(value)))))
}

/** One of the forms of RFC 5280 4.2.1.6. */
export const generalName = {
  email: (address: string): Buffer => tagged(1, false, Buffer.from(address)),
  dns: (name: string): Buffer => tagged(2, false, Buffer.from(name, 'latin1')),
  directory: (name: Name): Buffer => tagged(4, true, encodeName(name)),
  uri: (uri: string): Buffer => tagged(6, false, Buffer.from(uri)),
  /** With a mask in a name constraint. */
  ip: (...bytes: number[]): Buffer => tagged(7, false, Buffer.from(bytes)),
}

const LOOPBACK = [127, 0, 0, 1]

const extension = (id: string, value: Buffer, isCritical = false): Buffer =>
  sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octets(value))

const USAGES = ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement']
const ALL_USAGES = [...USAGES, 'keyCertSign', 'cRLSign'] as const
const PURPOSE_OID = { serverAuth: 1, clientAuth: 2, codeSigning: 3 } as const

/** The extensions of RFC 5280 4.2. */
export const extensions = {
  basicConstraints: (isAuthority: boolean, pathLength?: number): Buffer =>
    extension(
      '2.5.29.19',
      sequence(...(isAuthority ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])),
      true,
    ),
  keyUsage: (...usages: string[]): Buffer => {
    const byte = usages.reduce((sum, usage) => sum | (0x80 >> ALL_USAGES.indexOf(usage)), 0)
    return extension('2.5.29.15', bits(0, Buffer.from([byte])), true)
  },
  extendedKeyUsage: (...purposes: (keyof typeof PURPOSE_OID)[]): Buffer =>
    extension('2.5.29.37', sequence(...purposes.map((purpose) => oid(`1.3.6.1.5.5.7.3.${PURPOSE_OID[purpose]}`)))),
  alternativeNames: (...names: Buffer[]): Buffer => extension('2.5.29.17', sequence(...names)),
  nameConstraints: ({ permitted = [], excluded = [] }: { permitted?: Buffer[]; excluded?: Buffer[] }): Buffer => {
    const subtrees = (number: number, names: Buffer[]): Buffer[] =>
      names.length === 0 ? [] : [tagged(number, true, ...names.map((name) => sequence(name)))]
    return extension('2.5.29.30', sequence(...subtrees(0, permitted), ...subtrees(1, excluded)), true)
  },
  /** One that nobody knows. */
  unknown: (isCritical: boolean): Buffer => extension('1.3.6.1.4.1.99999.1', utf8('unknown'), isCritical),
  /** RFC 7633: the server is to staple an OCSP response. */
  mustStaple: (): Buffer => extension('1.3.6.1.5.5.7.1.24', sequence(integer(5))),
}

export interface CertificateOptions {
  subject?: Name
  /** A new P-256 key, unless there is one. */
  keys?: KeyPair
  /** In days from now. @default -1 */
  from?: number
  /** In days from now. @default 2 */
  until?: number
  /** Of the signature. @default 'sha256' */
  digest?: Digest
  /** All of them. */
  extensions?: Buffer[]
  /** What authorities have besides {@link extensions.basicConstraints} and usage, and others besides their names. */
  more?: Buffer[]
  /** Alternative names of one that is no authority. @default 127.0.0.1 and localhost */
  names?: Buffer[]
}

const daysFromNow = (days: number): Date => new Date(Date.now() + days * DAY_MS)
const loopbackNames = [generalName.ip(...LOOPBACK), generalName.dns('localhost')]

/** Who holds a certificate and its key: an authority, a server or a client. */
export class Holder {
  readonly name: Name
  readonly keys: KeyPair
  readonly der: Buffer
  readonly serial: bigint

  private constructor(name: Name, pair: KeyPair, der: Buffer, serial: bigint) {
    this.name = name
    this.keys = pair
    this.der = der
    this.serial = serial
  }

  /** Signs its certificate itself. */
  static alone(options: CertificateOptions = {}): Holder {
    const pair = options.keys ?? keys.ec()
    return Holder.#make({ ...options, keys: pair }, pair, options.subject ?? 'localhost')
  }

  /** An authority that no other one has signed. */
  static authority(subject: Name = 'Test Authority', options: CertificateOptions = {}): Holder {
    return Holder.alone({ extensions: authorityExtensions(options), ...options, subject })
  }

  static #make(options: CertificateOptions, issuerKeys: KeyPair, issuer: Name): Holder {
    const { subject = 'localhost', from = -1, until = 2, digest = 'sha256' } = options
    const pair = options.keys ?? keys.ec()
    const serial = randomBytes(8).readBigUInt64BE()
    const list = options.extensions ?? [
      ...(options.names?.length === 0 ? [] : [extensions.alternativeNames(...(options.names ?? loopbackNames))]),
      ...(options.more ?? []),
    ]
    const content = sequence(
      tagged(0, true, integer(2)),
      integer(serial),
      algorithmOf(issuerKeys.privateKey, digest),
      encodeName(issuer),
      sequence(time(daysFromNow(from)), time(daysFromNow(until))),
      encodeName(subject),
      pair.publicKey.export({ type: 'spki', format: 'der' }),
      ...(list.length === 0 ? [] : [tagged(3, true, sequence(...list))]),
    )
    return new Holder(subject, pair, signed(content, issuerKeys, digest), serial)
  }

  /** Signs another's certificate. */
  issue(options: CertificateOptions = {}): Holder {
    return Holder.#make(options, this.keys, this.name)
  }

  /** Signs another authority's certificate. */
  issueAuthority(subject: Name, options: CertificateOptions = {}): Holder {
    return this.issue({ extensions: authorityExtensions(options), ...options, subject })
  }

  /** A revocation list, as PEM. */
  revoking(holders: readonly Holder[], { from = -1, until = 2 }: { from?: number; until?: number } = {}): string {
    const revoked = holders.map(({ serial }) => sequence(integer(serial), time(daysFromNow(from))))
    const content = sequence(
      integer(1),
      algorithmOf(this.keys.privateKey, 'sha256'),
      encodeName(this.name),
      time(daysFromNow(from)),
      time(daysFromNow(until)),
      ...(revoked.length === 0 ? [] : [sequence(...revoked)]),
    )
    return pem('X509 CRL', signed(content, this.keys, 'sha256'))
  }

  get cert(): string {
    return pem('CERTIFICATE', this.der)
  }

  get key(): string {
    return this.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  }

  encryptedKey(passphrase: string): string {
    return this.keys.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }) as string
  }

  /** What a server shows of itself: its key, and its certificate with those of others behind it. */
  identity(...chain: readonly Holder[]): { key: string; cert: string } {
    return { key: this.key, cert: [this, ...chain].map(({ cert }) => cert).join('') }
  }
}

function authorityExtensions({ more = [] }: CertificateOptions): Buffer[] {
  return [extensions.basicConstraints(true), extensions.keyUsage('keyCertSign', 'cRLSign'), ...more]
}
