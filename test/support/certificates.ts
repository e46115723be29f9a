/** Certificates of an authority of the tests' own. */
import { generate } from 'selfsigned'

export interface Certificate {
  /** PEM, as Node's TLS takes it. */
  key: string
  cert: string
}

type AlternativeName = { type: 2; value: string } | { type: 7; ip: string }

const alternativeName = (name: string): AlternativeName =>
  /^[\d.]+$|:/.test(name) ? { type: 7, ip: name } : { type: 2, value: name }

const DAY_MS = 86_400_000

/** Signs certificates. Its own is the `ca` that clients are to trust. */
export class Authority {
  readonly #own: Certificate

  private constructor(own: Certificate) {
    this.#own = own
  }

  static async create(): Promise<Authority> {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'Test Authority' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    })
    return new Authority({ key, cert })
  }

  get ca(): string {
    return this.#own.cert
  }

  /** @param names DNS names and IP addresses that the certificate is for */
  async issue(names: readonly string[], { isExpired = false } = {}): Promise<Certificate> {
    const end = Date.now() + (isExpired ? -1 : 1) * DAY_MS
    const { private: key, cert } = await generate([{ name: 'commonName', value: names[0]! }], {
      keyType: 'ec',
      algorithm: 'sha256',
      ca: this.#own,
      notBeforeDate: new Date(end - 2 * DAY_MS),
      notAfterDate: new Date(end),
      extensions: [
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
        { name: 'subjectAltName', altNames: names.map(alternativeName) },
      ],
    })
    return { key, cert }
  }
}

/** A certificate that no authority has signed. */
export async function selfSigned(name: string): Promise<Certificate> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [alternativeName(name)] }],
  })
  return { key, cert }
}
