/** Client certificates, in each form that Node takes, and options that no context can be made of. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, type TlsOptions } from 'node:tls'
import { describe } from 'vitest'
import { extensions, Holder, keys } from '../support/x509.js'
import { type Gives, gentleMeeting, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const server = authority.issue().identity()
const client = authority.issue({ subject: 'client', names: [] })
const PASSPHRASE = 'open sesame'

/** The server wants a certificate, and trusts the authority. */
const shown = (
  name: string,
  gives: Gives,
  connect: object,
  more: TlsOptions = {},
  isLate = false,
  whyNot: string | null = null,
) =>
  twin(
    name,
    gives,
    gentleMeeting(() => ({
      server: { ...server, ca, requestCert: true, rejectUnauthorized: true, ...more },
      connect: { ca, ...connect },
    })),
    { isLate, whyNot },
  )

/** As only a tool makes it. */
function pkcs12(holder: Holder, passphrase: string, ...args: string[]): Buffer | string {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-pkcs12-'))
  const file = join(directory, 'both.pem')
  try {
    writeFileSync(file, holder.key + holder.cert)
    return execFileSync('openssl', ['pkcs12', '-export', '-in', file, '-passout', `pass:${passphrase}`, ...args])
  } catch (error) {
    return `openssl has made no PKCS#12: ${(error as Error).message.split('\n', 1)}`
  } finally {
    rmSync(directory, { recursive: true })
  }
}
const bundle = pkcs12(client, PASSPHRASE)
const openBundle = pkcs12(client, '')
const whyNoBundle = [bundle, openBundle].find((made) => typeof made === 'string') as string | undefined
const whyNot = whyNoBundle ?? null

const { key, cert } = client

describe('a client certificate', () => {
  shown('as PEM', 'answer', { key, cert })
  shown('as Buffers', 'answer', { key: Buffer.from(key), cert: Buffer.from(cert) })
  shown('in arrays', 'answer', { key: [key], cert: [cert] })
  shown('as an encrypted key', 'answer', { key: client.encryptedKey(PASSPHRASE), cert, passphrase: PASSPHRASE })
  shown('as an encrypted key with its own passphrase', 'answer', {
    key: [{ pem: client.encryptedKey(PASSPHRASE), passphrase: PASSPHRASE }],
    cert,
  })
  shown('as an encrypted key with a wrong passphrase', /^ERR_OSSL_/, {
    key: client.encryptedKey(PASSPHRASE),
    cert,
    passphrase: 'wrong',
  })
  shown('as an encrypted key without a passphrase', /^ERR_/, { key: client.encryptedKey(PASSPHRASE), cert })
  shown('with a passphrase that is not needed', 'answer', { key, cert, passphrase: PASSPHRASE })
  shown('as PKCS#12', 'answer', { pfx: bundle, passphrase: PASSPHRASE }, {}, false, whyNot)
  shown('as PKCS#12 in an array', 'answer', { pfx: [{ buf: bundle, passphrase: PASSPHRASE }] }, {}, false, whyNot)
  shown('as PKCS#12 without a passphrase', 'answer', { pfx: openBundle }, {}, false, whyNot)
  shown(
    'as PKCS#12 with a wrong passphrase',
    'mac verify failure',
    { pfx: bundle, passphrase: 'wrong' },
    {},
    false,
    whyNot,
  )
  shown('as PKCS#12 that is none', 'not enough data', { pfx: Buffer.from('nothing') })
  shown('of RSA', 'answer', authority.issue({ subject: 'rsa', names: [], keys: keys.rsa(2048) }).identity())
  shown('of Ed25519', 'answer', authority.issue({ subject: 'ed25519', names: [], keys: keys.ed25519() }).identity())
  const rsaClient = authority.issue({ subject: 'rsa', names: [], keys: keys.rsa(2048) })
  shown('of several kinds', 'answer', { key: [key, rsaClient.key], cert: [cert, rsaClient.cert] })
  const middle = authority.issueAuthority('Intermediate')
  shown('with its chain', 'answer', middle.issue({ subject: 'below', names: [] }).identity(middle))
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const only = { minVersion: version, maxVersion: version }
    const isLate = version === 'TLSv1.3'
    // Node's servers end the connection without an alert.
    const lost = isLate ? 'UND_ERR_SOCKET' : 'ECONNRESET'
    shown(`${version}, shown`, 'answer', { key, cert }, only)
    shown(`${version}, not there`, isLate ? 'UND_ERR_SOCKET' : /^ERR_SSL_/, {}, only, isLate)
    shown(`${version}, without its chain`, lost, middle.issue({ subject: 'below', names: [] }).identity(), only, isLate)
    shown(
      `${version}, of a stranger`,
      lost,
      Holder.authority('Stranger').issue({ subject: 'stranger' }).identity(),
      only,
      isLate,
    )
    shown(`${version}, expired`, lost, authority.issue({ subject: 'old', until: -0.5 }).identity(), only, isLate)
    shown(
      `${version}, for servers only`,
      lost,
      authority.issue({ subject: 'server', more: [extensions.extendedKeyUsage('serverAuth')] }).identity(),
      only,
      isLate,
    )
    shown(`${version}, that signed itself`, lost, Holder.alone({ subject: 'alone' }).identity(), only, isLate)
    const asked = { ...only, rejectUnauthorized: false }
    shown(`${version}, not there, which is tolerated`, 'answer', {}, asked)
    shown(
      `${version}, of a stranger, which is tolerated`,
      'answer',
      Holder.authority('Stranger').issue({ subject: 'stranger' }).identity(),
      asked,
    )
  }
  shown(
    'with an authority that is not the one asked for',
    'answer',
    { key, cert },
    { ca: [ca, Holder.authority('Other').cert] },
  )
  shown('that nobody asks for', 'answer', { key, cert }, { requestCert: false })
})

describe('options that no context can be made of', () => {
  const other = Holder.alone()
  shown('a key of another certificate', /^ERR_OSSL_X509_KEY_VALUES_MISMATCH$/, { key: other.key, cert })
  shown('a key of another kind', 'UND_ERR_SOCKET', {
    key: keys.rsa(2048).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert,
  })
  shown('a key that is none', /^ERR_OSSL_/, { key: 'no key', cert })
  shown('a certificate that is none', /^ERR_OSSL_PEM_NO_START_LINE$/, { key, cert: 'no certificate' })
  shown('a certificate in DER', /^ERR_OSSL_/, { key, cert: client.der })
  shown('a certificate that is cut', /^ERR_OSSL_/, { key, cert: cert.slice(0, cert.length / 2) })
  shown('a certificate with a byte that is wrong', /^ERR_OSSL_/, {
    key,
    cert: `${cert.slice(0, 60)}AAAA${cert.slice(64)}`,
  })
  shown('a public key', /^ERR_OSSL_/, { key: client.keys.publicKey.export({ type: 'spki', format: 'pem' }), cert })
  shown('a key as an object', 'ERR_INVALID_ARG_TYPE', { key: client.keys.privateKey, cert })
  shown('a passphrase that is no string', 'ERR_INVALID_ARG_TYPE', {
    key: client.encryptedKey(PASSPHRASE),
    cert,
    passphrase: 7,
  })
  shown('a key without a certificate', 'UND_ERR_SOCKET', { key }, {}, true)
  shown('a certificate without a key', 'UND_ERR_SOCKET', { cert }, {}, true)
  shown('an engine that is not there', 'error:12800067:DSO support routines::could not load the shared library', {
    clientCertEngine: 'nothing',
  })
  shown('a key of an engine', /^ERR_|./, { privateKeyIdentifier: 'key', privateKeyEngine: 'nothing' })
  shown('tickets of a wrong length', /^ERR_/, { ticketKeys: Buffer.alloc(7) })
  shown('a timeout of sessions that is none', /^ERR_/, { sessionTimeout: 'long' })
  shown('a context of its own', 'answer', { secureContext: createSecureContext({ ca, key, cert }) })
  shown('a context that is none', 'ERR_TLS_INVALID_CONTEXT', { secureContext: {} })

  twin('fail each request anew', /^ERR_OSSL_/, async (stage) => {
    const { port } = await stage.server(server)
    const agent = stage.agent({ ca, key: 'no key', cert })
    for (let i = 0; i < 3; i++) await stage.get(agent, { port })
  })
})
