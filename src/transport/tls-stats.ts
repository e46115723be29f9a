/** Counters of TLS handshakes. */
export interface TlsStats {
  /** Made by the OpenSSL of Node.js on the descriptor itself. */
  native: number
  /** Made by Node's TLSSocket. */
  node: number
  /** Of both, those that resumed a session (RFC 8446 2.2). */
  resumed: number
  /** Those that failed, or whose peer was not the right one; a native one, which Node makes again, by itself. */
  failed: number
}
