/**
 * Whether a peer is whom it was taken for: Node's rules for clients (_tls_wrap.js, onConnectSecure), by Node's own
 * functions. What they refuse is refused here; with which error is not this module's to say.
 */
import tls from 'node:tls'
import { openssl, type Pointer } from '../sys/openssl.js'
import { EVP_PKEY_DH, SSL_CTRL_GET_PEER_TMP_KEY, X509_V_OK } from './constants.js'
import { detailedPeerCertificate, peerCertificate } from './peer-certificate.js'
import type { TlsChannel } from './tls-channel.js'
import { verifyErrorCode } from './verify-error-code.js'

/** Node's own, whatever `tls.checkServerIdentity` is set to later. */
export const nodesCheckServerIdentity: typeof tls.checkServerIdentity = tls.checkServerIdentity

/** What a handshake has shown. */
export interface Verdict {
  /** Authorised, and not only let pass. */
  isAuthorized: boolean
  /** As `TLSSocket.authorizationError`: `null` for a peer that is authorised. */
  error: string | null
  /** What the caller's own `checkServerIdentity` has returned, which is not to be asked twice. */
  objection: Error | null
}

const AUTHORIZED: Verdict = { isAuthorized: true, error: null, objection: null }

/** Whom a connection is to lead to. */
export interface Expectation {
  /** The name or the address that the certificate must be for. */
  readonly identity: string
  /** The caller's, or Node's own. It may do anything, and end what is being verified. */
  readonly checkServerIdentity: typeof tls.checkServerIdentity
  /** In bits: the shortest key of a finite-field Diffie-Hellman exchange. */
  readonly minDHSize: number
}

/**
 * The answer of Node's rules about a connection whose handshake is done.
 *
 * @param before the verdict about the session that the connection may have resumed; `null`: there was none to resume
 * @returns `null` where even `rejectUnauthorized: false` lets nobody pass
 */
export function verify(channel: TlsChannel, expectation: Expectation, before: Verdict | null): Verdict | null {
  const library = openssl()
  const ssl = channel.pointer
  const { identity, checkServerIdentity, minDHSize } = expectation
  if (isKeyTooShort(ssl, minDHSize)) return null
  // Anonymous ciphers, which only the caller can have asked for.
  if (library.peerCertificate(ssl) === 0) return unauthorized(null, 'UNSPECIFIED')
  const result = library.verifyResult(ssl)
  if (result !== X509_V_OK) return unauthorized(null, verifyErrorCode(result))
  if (library.isReused(ssl) === 1) return before
  const isNodes = checkServerIdentity === nodesCheckServerIdentity
  try {
    // Node's own does not look at issuers.
    const certificate = isNodes ? peerCertificate(ssl) : detailedPeerCertificate(channel)
    const check = isNodes ? checkServerIdentity : notThrowing(checkServerIdentity)
    const error = check(identity, certificate!) as NodeJS.ErrnoException | undefined
    if (!error) return AUTHORIZED
    return unauthorized(isNodes ? null : error, error.code || error.message)
  } catch {
    // A certificate that Node cannot read: its own connection shows what then is.
    return null
  }
}

type CheckServerIdentity = typeof tls.checkServerIdentity

/** What a caller's function throws refuses the peer: Node would let it surface, and the connection wait for its timeout. */
export function notThrowing(check: CheckServerIdentity): CheckServerIdentity {
  return (hostname, certificate) => {
    try {
      return check(hostname, certificate)
    } catch (error) {
      return error instanceof Error ? error : new Error('checkServerIdentity has thrown', { cause: error })
    }
  }
}

const unauthorized = (objection: Error | null, error: string): Verdict => ({ isAuthorized: false, objection, error })

function isKeyTooShort(ssl: Pointer, minDHSize: number): boolean {
  const library = openssl()
  const key = new BigUint64Array(1)
  if (library.control(ssl, SSL_CTRL_GET_PEER_TMP_KEY, 0, key) !== 1) return false
  const pointer = Number(key[0])
  const isTooShort = library.keyType(pointer) === EVP_PKEY_DH && library.keyBits(pointer) < minDHSize
  library.freeKey(pointer)
  return isTooShort
}
