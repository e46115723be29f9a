/**
 * Whether a peer is whom it was taken for: Node's rules for clients (_tls_wrap.js, onConnectSecure), by Node's own
 * functions. What they refuse is refused here; with which error is not this module's to say.
 */
import { X509Certificate } from 'node:crypto'
import tls, { type PeerCertificate } from 'node:tls'
import { native } from '../sys/native.js'
import { openssl, type Pointer } from '../sys/openssl.js'
import { EVP_PKEY_DH, SSL_CTRL_GET_PEER_TMP_KEY, X509_V_OK } from './constants.js'
import { verifyErrorCode } from './verify-error-code.js'

/** Node's own, whatever `tls.checkServerIdentity` is set to later. */
export const nodesCheckServerIdentity: typeof tls.checkServerIdentity = tls.checkServerIdentity

/** What a handshake has shown. */
export interface Verdict {
  /** Authorised, and not only let pass. */
  isAuthorized: boolean
  /** As `TLSSocket.authorizationError`: `null` for a peer that is authorised. */
  error: string | null
}

const AUTHORIZED: Verdict = { isAuthorized: true, error: null }

/**
 * The answer of Node's rules about a connection whose handshake is done.
 *
 * @param hostname the name or address that the certificate must be for
 * @param minDHSize in bits: the shortest key of a finite-field Diffie-Hellman exchange
 * @param before the verdict about the session that the connection may have resumed; `null`: there was none to resume
 * @returns `null` where even `rejectUnauthorized: false` lets nobody pass
 */
export function verify(ssl: Pointer, hostname: string, minDHSize: number, before: Verdict | null): Verdict | null {
  const library = openssl()
  if (isKeyTooShort(ssl, minDHSize)) return null
  const certificate = library.peerCertificate(ssl)
  // Anonymous ciphers, which only the caller can have asked for.
  if (certificate === 0) return { isAuthorized: false, error: 'UNSPECIFIED' }
  const result = library.verifyResult(ssl)
  if (result !== X509_V_OK) return { isAuthorized: false, error: verifyErrorCode(result) }
  if (library.isReused(ssl) === 1) return before
  try {
    const error = nodesCheckServerIdentity(hostname, peerCertificate(ssl)!) as NodeJS.ErrnoException | undefined
    return error === undefined ? AUTHORIZED : { isAuthorized: false, error: error.code ?? error.message }
  } catch {
    // A certificate that Node cannot read: its own connection tells what it does then.
    return null
  }
}

/** The peer's certificate as `TLSSocket.getPeerCertificate()` shows it; `null` where there is none. */
export function peerCertificate(ssl: Pointer): PeerCertificate | null {
  const library = openssl()
  const certificate = library.peerCertificate(ssl)
  if (certificate === 0) return null
  const length = library.encodeCertificate(certificate, null)
  if (length <= 0) return null
  const der = Buffer.allocUnsafeSlow(length)
  // i2d_X509(3) moves the pointer that it is given behind what it writes.
  const destination = new BigUint64Array([BigInt(native().addressOf(der))])
  library.encodeCertificate(certificate, destination)
  return new X509Certificate(der).toLegacyObject() as unknown as PeerCertificate
}

function isKeyTooShort(ssl: Pointer, minDHSize: number): boolean {
  const library = openssl()
  const key = new BigUint64Array(1)
  if (library.control(ssl, SSL_CTRL_GET_PEER_TMP_KEY, 0, key) !== 1) return false
  const pointer = Number(key[0])
  const isTooShort = library.keyType(pointer) === EVP_PKEY_DH && library.keyBits(pointer) < minDHSize
  library.freeKey(pointer)
  return isTooShort
}
