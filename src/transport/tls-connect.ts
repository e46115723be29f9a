/**
 * TLS over a recycled descriptor: TCP as always, then the handshake. OpenSSL makes it on the descriptor itself, unless it
 * is Node's to make; and whatever does not come to a good end there is made anew by Node, so that every error is Node's own.
 * For Node the descriptor is lent, and undici's connector makes a `TLSSocket` above it.
 *
 * Invariant: nothing of a request is sent before the peer has been verified.
 */
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { connectTimeoutError } from '../errors.js'
import type { NativeTls } from '../tls/native-tls.js'
import { SessionCache } from '../tls/session-cache.js'
import type { TlsContext } from '../tls/tls-context.js'
import type { Loan } from './loan.js'
import { NativeHandshake, type NativeHandshakeOwner } from './native-handshake.js'
import { NodeTls } from './node-tls.js'
import { type Attempt, Overtime } from './overtime.js'
import type { SecureOptions } from './secure-options.js'
import { StreamWire } from './stream-wire.js'
import type { Tcp } from './tcp.js'
import { TcpConnect, type TcpConnectListener } from './tcp-connect.js'
import type { TcpWire } from './tcp-wire.js'
import type { TlsStats } from './tls-stats.js'
import type { TlsWire } from './tls-wire.js'
import { type Connecting, type ConnectListener, type Connector, connectParameters, type Target } from './transport.js'

/** What the connections over TLS of one agent share. */
export interface Security {
  readonly native: NativeTls
  /** For Node's connections, which have a context of their own. */
  readonly secure: SecureOptions
  /** How many sessions are kept for each origin. */
  readonly maxCachedSessions: number
  readonly stats: TlsStats
}

/** So often the native handshake may fail where Node's does not, before Node makes them all. */
const MOST_FAILURES = 8

/** How many names of one origin are remembered. */
const MOST_REFUSING = 100

export class TlsConnector implements Connector {
  readonly tcp: Tcp
  readonly target: Target
  readonly security: Security
  readonly localAddress: string | undefined
  readonly connectFunction = undefined
  readonly connectTimeout: number
  readonly sessions: SessionCache
  readonly node: NodeTls
  /** How often the native handshake has failed where Node's did not, since the last one that did not fail. */
  #failures = 0
  /** Whom Node has not got along with, either, since the native handshake failed: the names that were asked for. */
  readonly #refusing = new Set<string>()

  constructor(tcp: Tcp, target: Target, security: Security) {
    this.tcp = tcp
    this.target = target
    this.security = security
    this.localAddress = target.localAddress
    this.connectTimeout = target.connectTimeout
    this.sessions = new SessionCache(security.maxCachedSessions)
    this.node = new NodeTls(security.secure)
  }

  connect(servername: string | null, listener: ConnectListener, wantsTunnel = false): Connecting {
    return new TlsConnect(this, servername, listener, wantsTunnel)
  }

  /** The context for a native handshake; `null` when it is Node's to make. */
  context(identity: string): TlsContext | null {
    if (this.#failures >= MOST_FAILURES || this.#refusing.has(identity)) return null
    return this.security.native.context()
  }

  succeeded(by: 'native' | 'node', identity: string, isResumed: boolean): void {
    const { stats } = this.security
    stats[by]++
    if (isResumed) stats.resumed++
    if (by === 'native') this.#failures = 0
    else if (this.#refusing.delete(identity)) this.#failures++
  }

  /** Who refuses is not asked twice by every connection, but natively again as soon as Node gets along with it. */
  failed(by: 'native' | 'node', identity: string): void {
    this.security.stats.failed++
    if (by === 'node') return
    if (this.#refusing.size >= MOST_REFUSING) this.#refusing.clear()
    this.#refusing.add(identity)
  }
}

class TlsConnect implements Connecting, Attempt, TcpConnectListener, NativeHandshakeOwner {
  isOver = false
  readonly #connector: TlsConnector
  readonly #servername: string | null
  readonly #listener: ConnectListener
  readonly #isForNode: boolean
  /** For SNI; `null`: none is sent, as for IP addresses (RFC 6066 3). */
  readonly #sni: string | null
  /** The name or the address that the certificate must be for. */
  readonly #identity: string
  #tcpConnect: TcpConnect | null
  #handshake: NativeHandshake | null = null
  #hasFailed = false
  #loan: Loan | null = null
  #socket: TLSSocket | null = null
  #overtime: Overtime | null = null

  constructor(connector: TlsConnector, servername: string | null, listener: ConnectListener, isForNode: boolean) {
    this.#connector = connector
    this.#servername = servername
    this.#listener = listener
    this.#isForNode = isForNode
    const { security, target } = connector
    this.#sni = servername || security.native.servername || serverNameOf(target)
    this.#identity = this.#sni ?? target.hostname
    this.#tcpConnect = this.#connectTcp()
  }

  cancel(): void {
    if (this.isOver) return
    this.isOver = true
    this.#tcpConnect?.cancel()
    this.#drop()
  }

  onConnectFailed(error: Error): void {
    this.#tcpConnect = null
    this.#fail(error)
  }

  expire(): void {
    const { tcp, target } = this.#connector
    this.#overtime ??= Overtime.begin(tcp.reactor, tcp.deadlines, this, target.connectTimeout)
  }

  get progress(): number {
    // Below zero once TCP is there.
    if (this.#tcpConnect !== null) return this.#tcpConnect.progress
    return -1 - (this.#handshake?.progress ?? this.#loan?.socket.bytesRead ?? 0)
  }

  timeOut(): void {
    // It knows which addresses were tried.
    if (this.#tcpConnect !== null) return this.#tcpConnect.timeOut()
    const { hostname, port, connectTimeout } = this.#connector.target
    this.#fail(connectTimeoutError([], `${hostname}:${port}`, connectTimeout))
  }

  /** Of TCP. */
  onConnected(wire: TcpWire): void {
    this.#tcpConnect = null
    const context = this.#isForNode || this.#hasFailed ? null : this.#connector.context(this.#identity)
    if (context === null) this.#byNode(wire)
    else this.#byOpenSsl(wire, context)
  }

  onSecured(wire: TlsWire, isResumed: boolean): void {
    this.#handshake = null
    this.isOver = true
    this.#overtime?.stop()
    this.#connector.succeeded('native', this.#identity, isResumed)
    this.#listener.onConnected(wire)
    wire.finishHandshake()
    // What came with the last flight is with OpenSSL already, and what came behind it has no edge of its own.
    wire.listener?.onReadable()
  }

  /** Node makes the connection again: it knows what to say when it fails, too. But no caller is asked twice. */
  onHandshakeFailed(objection: Error | null): void {
    this.#handshake = null
    if (objection !== null) {
      this.#connector.security.stats.failed++
      return this.#fail(objection)
    }
    this.#hasFailed = true
    this.#connector.failed('native', this.#identity)
    this.#tcpConnect = this.#connectTcp()
  }

  #connectTcp(): TcpConnect {
    const { tcp, target } = this.#connector
    return new TcpConnect(tcp, target, this).start()
  }

  #byOpenSsl(wire: TcpWire, context: TlsContext): void {
    const { tcp, security, sessions } = this.#connector
    const { native } = security
    const handshakeTarget = { tls: native, context, sessions, servername: this.#sni, identity: this.#identity }
    this.#handshake = new NativeHandshake(tcp, wire.takeDescriptor(), handshakeTarget, this)
    this.#handshake.start()
  }

  #byNode(wire: TcpWire): void {
    try {
      this.#loan = wire.lend()
    } catch (error) {
      wire.abort()
      return this.#fail(error as Error)
    }
    const { node, target } = this.#connector
    const options = { ...connectParameters(target, this.#servername), httpSocket: this.#loan.socket }
    try {
      this.#socket = node.connector()(options, (...[error]) => {
        if (error !== null) this.#fail(error)
        else this.#secured()
      }) as unknown as TLSSocket
      // As of TCP's: the requests that wait for it keep the process alive, and there may be none.
      this.#socket.unref?.()
    } catch (error) {
      // Options that no context can be made of.
      this.#fail(error as Error)
    }
  }

  #secured(): void {
    if (this.isOver) return
    this.isOver = true
    this.#overtime?.stop()
    const socket = this.#socket!
    this.#connector.succeeded('node', this.#identity, socket.isSessionReused())
    const wire = new StreamWire(socket, this.#loan!)
    this.#listener.onConnected(wire)
    wire.listener?.onReadable()
  }

  #fail(error: Error): void {
    if (this.isOver) return
    this.isOver = true
    if (this.#loan !== null || this.#handshake !== null) this.#connector.failed('node', this.#identity)
    this.#drop()
    this.#listener.onConnectFailed(error)
  }

  /** Gives up the handshake; there is somebody for the errors that may still come (undici's connector). */
  #drop(): void {
    this.#overtime?.stop()
    this.#handshake?.cancel()
    this.#handshake = null
    this.#socket?.destroy()
    this.#loan?.ended(null)
    this.#loan = null
  }
}

/** As undici has it (util.getServerName): an address is no name. */
const serverNameOf = ({ hostname }: Target): string | null => (isIP(hostname) === 0 ? hostname : null)
