/** A TLS connection as subscribers of undici's diagnostics channels see it: what they read of a TLSSocket. */
import type { CipherNameAndProtocol, PeerCertificate } from 'node:tls'
import type { SocketInfo } from '../errors.js'
import { openssl, type Pointer } from '../sys/openssl.js'
import { alpnOf } from '../tls/alpn.js'
import { detailedPeerCertificate, peerCertificate } from '../tls/peer-certificate.js'
import type { TlsChannel } from '../tls/tls-channel.js'
import type { Verdict } from '../tls/verification.js'
import { WireSocket } from './wire-socket.js'

/** Who can tell about a TLS connection. */
export interface SecurelyInformed {
  readonly info: SocketInfo
  readonly verdict: Verdict
  /** `pointer` is 0 when the connection is over. */
  readonly channel: TlsChannel
}

/** Where a TLSSocket has nothing to tell any more, neither has this one. */
export class SecureWireSocket extends WireSocket {
  readonly encrypted = true
  readonly authorized: boolean
  readonly authorizationError: string | null
  override readonly alpnProtocol: string | false
  readonly #channel: TlsChannel

  constructor(wire: SecurelyInformed) {
    super(wire)
    this.#channel = wire.channel
    this.authorized = wire.verdict.isAuthorized
    this.authorizationError = wire.verdict.error
    this.alpnProtocol = this.#ssl === 0 ? false : (alpnOf(this.#ssl) ?? false)
  }

  /** As `TLSSocket.getProtocol()`: 'TLSv1.3', for instance. */
  getProtocol(): string | null {
    return this.#ssl === 0 ? null : openssl().protocol(this.#ssl)
  }

  getCipher(): CipherNameAndProtocol | null {
    if (this.#ssl === 0) return null
    const library = openssl()
    const cipher = library.currentCipher(this.#ssl)
    return {
      name: library.cipherName(cipher),
      standardName: library.cipherStandardName(cipher),
      version: library.cipherVersion(cipher),
    }
  }

  /** @param detailed with its issuers' */
  getPeerCertificate(detailed = false): PeerCertificate | Record<string, never> | null {
    if (this.#ssl === 0) return null
    return (detailed ? detailedPeerCertificate(this.#channel) : peerCertificate(this.#ssl)) ?? {}
  }

  isSessionReused(): boolean | null {
    return this.#ssl === 0 ? null : openssl().isReused(this.#ssl) === 1
  }

  get #ssl(): Pointer {
    return this.#channel.pointer
  }
}
