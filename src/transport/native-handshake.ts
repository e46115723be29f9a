/** The handshake of OpenSSL on a connected descriptor, driven by readiness, and the judgement of the peer behind it. */
import type { Descriptor, ReadinessListener } from '../socket-pool/descriptor.js'
import { isPeerClosed } from '../sys/epoll-event.js'
import { openssl } from '../sys/openssl.js'
import { isAlpnFine } from '../tls/alpn.js'
import type { NativeTls } from '../tls/native-tls.js'
import type { SessionCache } from '../tls/session-cache.js'
import { TlsChannel, TlsResult } from '../tls/tls-channel.js'
import type { TlsContext } from '../tls/tls-context.js'
import { type Verdict, verify } from '../tls/verification.js'
import type { Tcp } from './tcp.js'
import { TlsWire } from './tls-wire.js'

/** What a handshake is about. */
export interface HandshakeTarget {
  readonly tls: NativeTls
  readonly context: TlsContext
  readonly sessions: SessionCache
  /** For SNI; `null`: none is sent, as for IP addresses (RFC 6066 3). */
  readonly servername: string | null
  /** The name or the address that the certificate must be for. */
  readonly identity: string
}

/** Told of one of the two, once, unless the handshake was cancelled; perhaps from within {@link NativeHandshake.start}. */
export interface NativeHandshakeOwner {
  onSecured(wire: TlsWire, isResumed: boolean): void
  /**
   * For whatever reason; the descriptor has been given back.
   *
   * @param objection of the caller's own `checkServerIdentity`, if that is the reason
   */
  onHandshakeFailed(objection: Error | null): void
}

export class NativeHandshake implements ReadinessListener {
  readonly #tcp: Tcp
  readonly #descriptor: Descriptor
  readonly #target: HandshakeTarget
  readonly #owner: NativeHandshakeOwner
  #channel: TlsChannel | null = null
  /** About the session that is offered. */
  #verdictBefore: Verdict | null = null
  #isPeerClosed = false
  /** How often something has come, or could be sent. */
  #progress = 0

  /** @param descriptor connected; from now on the handshake's */
  constructor(tcp: Tcp, descriptor: Descriptor, target: HandshakeTarget, owner: NativeHandshakeOwner) {
    this.#tcp = tcp
    this.#descriptor = descriptor
    this.#target = target
    this.#owner = owner
    descriptor.listener = this
  }

  get progress(): number {
    return this.#progress
  }

  start(): void {
    const { context, sessions, servername, identity } = this.#target
    try {
      const session = sessions.find(context, identity)
      this.#verdictBefore = session?.verdict ?? null
      this.#channel = new TlsChannel(context, this.#descriptor.fd, servername, session?.pointer ?? 0)
      this.#tcp.handshakes.begins()
    } catch {
      // A name that OpenSSL does not take, for instance.
      return this.#fail(null)
    }
    this.#goOn()
  }

  cancel(): void {
    if (this.#channel !== null) {
      this.#channel.free()
      this.#channel = null
      this.#tcp.handshakes.ends()
    }
    this.#tcp.sockets.abort(this.#descriptor)
  }

  onReadiness(flags: number): void {
    if (isPeerClosed(flags)) this.#isPeerClosed = true
    this.#progress++
    this.#goOn()
  }

  #goOn(): void {
    const channel = this.#channel
    if (channel === null) return
    const result = channel.handshake()
    if (result === 1) this.#judge(channel)
    else if (result === TlsResult.Interrupted) this.#tcp.reactor.later({ run: () => this.#goOn() })
    else if (result !== TlsResult.Blocked) this.#fail(null)
  }

  #judge(channel: TlsChannel): void {
    const { tls, identity } = this.#target
    const verdict = isAlpnFine(channel.pointer) ? verify(channel, tls.expectation(identity), this.#verdictBefore) : null
    // The caller's checkServerIdentity may have ended it all.
    if (this.#channel !== channel) return
    if (verdict === null || (tls.isStrict && !verdict.isAuthorized)) this.#fail(verdict?.objection ?? null)
    else this.#succeed(channel, verdict)
  }

  #succeed(channel: TlsChannel, verdict: Verdict): void {
    const { sessions, identity } = this.#target
    const isResumed = openssl().isReused(channel.pointer) === 1
    this.#channel = null
    this.#tcp.handshakes.ends()
    const wire = new TlsWire(this.#tcp, this.#descriptor, channel, verdict, identity, sessions)
    wire.isPeerClosed = this.#isPeerClosed
    this.#owner.onSecured(wire, isResumed)
  }

  #fail(objection: Error | null): void {
    this.cancel()
    this.#owner.onHandshakeFailed(objection)
  }
}
