/**
 * What `tls.createSecureContext` takes where options say nothing: assignable properties of `node:tls`, and the certificate
 * authorities that `tls.setDefaultCACertificates` replaces. A context that was made before one of them changed is of old.
 */
import tls from 'node:tls'

/** Not in Node.js 20, and known to no types of it. */
interface CertificateFunctions {
  getCACertificates?(type: 'default'): readonly string[]
  setDefaultCACertificates?(certificates: readonly unknown[]): void
}

export class TrustDefaults {
  readonly #hasOwnAuthorities: boolean
  #seen: readonly unknown[] = []

  /** @param options of `tls.createSecureContext` */
  constructor(options: { ca?: unknown }) {
    this.#hasOwnAuthorities = Boolean(options.ca)
  }

  /** Whether something has changed since this was asked last; the first time it has. */
  haveChanged(): boolean {
    const now = [tls.DEFAULT_CIPHERS, tls.DEFAULT_ECDH_CURVE, tls.DEFAULT_MIN_VERSION, tls.DEFAULT_MAX_VERSION]
    const seen = this.#seen
    const all: readonly unknown[] = this.#hasOwnAuthorities ? now : [...now, defaultAuthorities()]
    if (seen.length > 0 && all.every((value, i) => value === seen[i])) return false
    this.#seen = all
    return true
  }
}

/** One frozen array until another set of authorities is given; `null` where none can be given. */
function defaultAuthorities(): readonly string[] | null {
  const { getCACertificates, setDefaultCACertificates } = tls as unknown as CertificateFunctions
  if (getCACertificates === undefined || setDefaultCACertificates === undefined) return null
  return getCACertificates('default')
}
