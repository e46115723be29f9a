/** Certificates of peers in the form in which TLSSockets show them (crypto_common.cc, GetPeerCert). */
import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, PeerCertificate } from 'node:tls'
import { native } from '../sys/native.js'
import { openssl, type Pointer } from '../sys/openssl.js'
import { X509_V_OK } from './constants.js'
import type { TlsChannel } from './tls-channel.js'

/** Authorities that have certified each other could be followed for ever. */
const LONGEST_CHAIN = 100

/** As `TLSSocket.getPeerCertificate()`: without its issuers. `null` where the peer has shown none. */
export function peerCertificate(ssl: Pointer): PeerCertificate | null {
  const certificate = openssl().peerCertificate(ssl)
  return certificate === 0 ? null : show(certificate)
}

/**
 * As `TLSSocket.getPeerCertificate(true)`: with its issuers, as far as the peer has sent them or the context has them; the
 * issuer of a root is itself.
 */
export function detailedPeerCertificate({ pointer: ssl, context }: TlsChannel): DetailedPeerCertificate | null {
  const library = openssl()
  const chain = library.peerChain(ssl)
  const sent = Array.from({ length: chain === 0 ? 0 : library.stackSize(chain) }, (_, i) => library.stackItem(chain, i))
  let last = sent.shift()
  if (last === undefined) return null
  const first = show(last)
  let shown = first
  const append = (issuer: Pointer): void => {
    shown.issuerCertificate = show(issuer)
    shown = shown.issuerCertificate
  }
  for (;;) {
    const index = sent.findIndex((issuer) => isIssuedBy(last!, issuer))
    if (index < 0) break
    const [issuer] = sent.splice(index, 1) as [Pointer]
    append(issuer)
    last = issuer
  }
  const taken: Pointer[] = []
  while (!isIssuedBy(last, last) && taken.length < LONGEST_CHAIN) {
    const issuer = takeIssuer(context.pointer, last)
    if (issuer === 0) break
    taken.push(issuer)
    append(issuer)
    if (issuer === last) break
    last = issuer
  }
  if (isIssuedBy(last, last)) shown.issuerCertificate = shown
  for (const certificate of taken) library.freeCertificate(certificate)
  library.clearErrors()
  return first
}

const isIssuedBy = (certificate: Pointer, issuer: Pointer): boolean =>
  openssl().isIssuer(issuer, certificate) === X509_V_OK

/** @returns a certificate of the context, the caller's to free, or 0 */
function takeIssuer(context: Pointer, certificate: Pointer): Pointer {
  const library = openssl()
  const storeContext = library.newStoreContext()
  const issuer = new BigUint64Array(1)
  const isFound =
    library.initStoreContext(storeContext, library.contextStore(context), 0, 0) === 1 &&
    library.takeIssuer(issuer, storeContext, certificate) === 1
  library.freeStoreContext(storeContext)
  return isFound ? Number(issuer[0]) : 0
}

function show(certificate: Pointer): DetailedPeerCertificate {
  const library = openssl()
  const length = library.encodeCertificate(certificate, null)
  const der = Buffer.allocUnsafeSlow(Math.max(0, length))
  // i2d_X509(3) moves the pointer that it is given behind what it writes.
  library.encodeCertificate(certificate, new BigUint64Array([BigInt(native().addressOf(der))]))
  return new X509Certificate(der).toLegacyObject() as unknown as DetailedPeerCertificate
}
