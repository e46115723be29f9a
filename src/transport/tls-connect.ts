/**
 * TLS over a recycled descriptor: TCP as always, then the descriptor is lent to Node, and undici's connector makes a
 * `TLSSocket` above it: session cache, SNI, ALPN and verification are theirs.
 */
import type { TLSSocket } from 'node:tls'
import type { buildConnector as BuildConnector } from 'undici'
import { connectTimeoutError } from '../errors.js'
import { buildConnector } from '../undici.js'
import type { Loan } from './loan.js'
import { type Attempt, Overtime } from './overtime.js'
import type { SecureOptions } from './secure-options.js'
import { StreamWire } from './stream-wire.js'
import type { Tcp } from './tcp.js'
import { TcpConnect, type TcpConnectListener } from './tcp-connect.js'
import type { TcpWire } from './tcp-wire.js'
import { type Connecting, type ConnectListener, type Connector, connectParameters, type Target } from './transport.js'

export class TlsConnector implements Connector {
  readonly #tcp: Tcp
  readonly #target: Target
  readonly #secure: SecureOptions
  readonly localAddress: string | undefined
  readonly connectFunction = undefined
  readonly connectTimeout: number
  /** It holds the cache of sessions, which is one origin's. */
  #connect: BuildConnector.connector | undefined

  constructor(tcp: Tcp, target: Target, secure: SecureOptions) {
    this.#tcp = tcp
    this.#target = target
    this.localAddress = target.localAddress
    this.connectTimeout = target.connectTimeout
    this.#secure = secure
  }

  connect(servername: string | null, listener: ConnectListener): Connecting {
    return new TlsConnect(
      this.#tcp,
      this.#target,
      (httpSocket, done) => {
        this.#connect ??= buildConnector({ ...this.#secure.get(), allowH2: false, timeout: 0 })
        return this.#connect({ ...connectParameters(this.#target, servername), httpSocket }, done)
      },
      listener,
    )
  }
}

type Handshake = (socket: Loan['socket'], done: BuildConnector.Callback) => TLSSocket | unknown

class TlsConnect implements Connecting, Attempt, TcpConnectListener {
  isOver = false
  readonly #tcp: Tcp
  readonly #target: Target
  readonly #handshake: Handshake
  readonly #listener: ConnectListener
  #tcpConnect: TcpConnect | null
  #loan: Loan | null = null
  #socket: TLSSocket | null = null
  #overtime: Overtime | null = null

  constructor(tcp: Tcp, target: Target, handshake: Handshake, listener: ConnectListener) {
    this.#tcp = tcp
    this.#target = target
    this.#handshake = handshake
    this.#listener = listener
    this.#tcpConnect = new TcpConnect(tcp, target, this).start()
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
    this.#overtime ??= Overtime.begin(this.#tcp.reactor, this.#tcp.deadlines, this, this.#target.connectTimeout)
  }

  get progress(): number {
    // Below zero once TCP is there.
    return this.#tcpConnect?.progress ?? -1 - (this.#loan?.socket.bytesRead ?? 0)
  }

  timeOut(): void {
    // It knows which addresses were tried.
    if (this.#tcpConnect !== null) return this.#tcpConnect.timeOut()
    const { hostname, port, connectTimeout } = this.#target
    this.#fail(connectTimeoutError([], `${hostname}:${port}`, connectTimeout))
  }

  /** Of TCP. */
  onConnected(wire: TcpWire): void {
    this.#tcpConnect = null
    try {
      this.#loan = wire.lend()
    } catch (error) {
      wire.abort()
      return this.#fail(error as Error)
    }
    try {
      this.#socket = this.#handshake(this.#loan.socket, (...[error]) => {
        if (error !== null) this.#fail(error)
        else this.#secured()
      }) as TLSSocket
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
    const wire = new StreamWire(this.#socket!, this.#loan!)
    this.#listener.onConnected(wire)
    wire.listener?.onReadable()
  }

  #fail(error: Error): void {
    if (this.isOver) return
    this.isOver = true
    this.#drop()
    this.#listener.onConnectFailed(error)
  }

  /** Gives up the handshake; there is somebody for the errors that may still come (undici's connector). */
  #drop(): void {
    this.#overtime?.stop()
    this.#socket?.destroy()
    this.#loan?.ended(null)
    this.#loan = null
  }
}
