/** Connecting by a connector of undici's signature: ordinary sockets of Node's, or a user's `connect` function. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { connectTimeoutError, NotSupportedError, socketError } from '../errors.js'
import type { Deadlines } from '../reactor/deadlines.js'
import { inRootContext, type Scheduler } from '../reactor/scheduler.js'
import { type Attempt, Overtime } from './overtime.js'
import { type StreamOwner, StreamWire } from './stream-wire.js'
import {
  type ConnectFunction,
  type Connecting,
  type ConnectListener,
  type Connector,
  connectParameters,
  type Target,
} from './transport.js'

/** What {@link StreamConnector} works with. */
export interface StreamEnvironment {
  scheduler: Scheduler
  deadlines: Deadlines
  /** Who is told of each stream's end. */
  own(stream: Duplex): StreamOwner
}

export class StreamConnector implements Connector {
  readonly #environment: StreamEnvironment
  readonly #target: Target
  readonly localAddress: string | undefined
  readonly connectFunction: ConnectFunction
  readonly connectTimeout: number

  /**
   * @param connect what it throws fails the connection
   * @param connectTimeout in milliseconds; 0: the function has its own
   */
  constructor(environment: StreamEnvironment, target: Target, connect: ConnectFunction, connectTimeout: number) {
    this.#environment = environment
    this.#target = target
    this.localAddress = target.localAddress
    this.connectFunction = connect
    this.connectTimeout = connectTimeout
  }

  connect(servername: string | null, listener: ConnectListener): Connecting {
    const connecting = new StreamConnect(this.#environment, this.#target, this.connectTimeout, listener)
    connecting.start((done) => this.connectFunction(connectParameters(this.#target, servername), done))
    return connecting
  }
}

/** What of a socket tells how far it is; a TLSSocket lets nobody see its handshake, but its handle does. */
interface SocketOnItsWay extends Partial<Socket> {
  _handle?: { _parent?: { bytesRead?: number } } | null
}

class StreamConnect implements Connecting, Attempt {
  isOver = false
  readonly #environment: StreamEnvironment
  readonly #target: Target
  readonly #timeoutMs: number
  readonly #listener: ConnectListener
  /** What the function returned: a socket on its way, as far as one can tell. */
  #socket: Partial<Socket> | null = null
  /** What was handed over. */
  #stream: Duplex | null = null
  /** The same, as it waits for the next turn to be told of. */
  #wire: StreamWire | null = null
  #isStarting = false
  #cancelledWith: Error | null = null
  #overtime: Overtime | null = null

  constructor(environment: StreamEnvironment, target: Target, timeoutMs: number, listener: ConnectListener) {
    this.#environment = environment
    this.#target = target
    this.#timeoutMs = timeoutMs
    this.#listener = listener
  }

  start(connect: (done: buildConnector.Callback) => unknown): void {
    this.#isStarting = true
    try {
      // Sockets call back in the context in which they were made, which is none of this request's business.
      const returned = inRootContext(() => connect((error, socket) => this.#connected(error, socket)))
      this.#socket = returned as Partial<Socket> | null
      // The requests that wait for it keep the process alive, and there may be none.
      this.#socket?.unref?.()
      // A function that is async fails by its promise.
      if (returned instanceof Promise) returned.catch((error) => this.#fail(error))
    } catch (error) {
      this.#fail(error)
    }
    this.#isStarting = false
  }

  cancel(reason: Error): void {
    this.#cancelledWith = reason
    if (this.#wire !== null) {
      // It is destroyed once, and with this.
      this.#stream!.on('error', ignore).destroy(reason)
      this.#wire.abort()
    }
    if (this.isOver) return
    this.isOver = true
    this.#overtime?.stop()
    try {
      this.#socket?.on?.('error', ignore)
      this.#socket?.destroy?.(reason)
    } catch {
      // Whatever the function returned, it is not wanted any more.
    }
  }

  expire(): void {
    // It is there, and waits for the next turn to be told of.
    if (this.isOver) return
    const { scheduler, deadlines } = this.#environment
    this.#overtime ??= Overtime.begin(scheduler, deadlines, this, this.#timeoutMs)
  }

  timeOut(): void {
    const error = this.#timeoutError()
    // Whoever made the socket is told as well.
    this.#socket?.destroy?.(error)
    this.#end(error, null)
  }

  get progress(): number {
    const {
      connecting,
      autoSelectFamilyAttemptedAddresses: attempts = [],
      _handle,
    } = (this.#socket ?? {}) as SocketOnItsWay
    // Below a TLSSocket, which counts what it has decrypted.
    return attempts.length + (connecting === false ? 1 : 0) + (_handle?._parent?.bytesRead ?? 0)
  }

  /** A user's function may call this as it likes: too late, twice, with `undefined` for what is not there. */
  #connected(error: Error | null | undefined, socket: Duplex | null | undefined): void {
    if (error || !isStream(socket)) return this.#fail(error)
    if (this.#stream === socket) return
    const objection = objectionTo(socket)
    if (!this.isOver && objection === null) {
      this.#stream = socket
      return this.#end(null, socket)
    }
    socket.on('error', ignore).destroy(this.#cancelledWith ?? undefined)
    this.#fail(objection)
  }

  #timeoutError(): Error {
    const { hostname, port } = this.#target
    const { autoSelectFamilyAttemptedAddresses: attempts = [] } = (this.#socket ?? {}) as Partial<Socket>
    return connectTimeoutError(attempts, `${hostname}:${port}`, this.#timeoutMs)
  }

  /** @param reason as it is told, if there is one */
  #fail(reason: unknown): void {
    const error = (reason || new TypeError('connect made no socket')) as Error
    this.#end(error, null)
  }

  #end(error: Error | null, stream: Duplex | null): void {
    if (this.isOver) return
    this.isOver = true
    this.#overtime?.stop()
    const { scheduler, own } = this.#environment
    // From now on there is somebody who listens for its errors.
    const wire = stream === null ? null : new StreamWire(stream, own(stream))
    this.#wire = wire
    const run = (): void => {
      if (this.#cancelledWith !== null) return
      this.#wire = null
      if (wire === null) return this.#listener.onConnectFailed(error!)
      this.#listener.onConnected(wire)
      // What has happened meanwhile is not emitted again.
      wire.listener?.onReadable()
    }
    if (this.#isStarting) scheduler.later({ run })
    else run()
  }
}

/** By its looks: a function of the caller's may hand over anything. */
const isStream = (made: unknown): made is Duplex =>
  typeof made === 'object' &&
  made !== null &&
  ['on', 'read', 'write', 'destroy'].every((method) => typeof (made as Record<string, unknown>)[method] === 'function')

/** Why a stream cannot be a connection (undici client-h1, connectH1); `null` when it can. */
function objectionTo(stream: Duplex): Error | null {
  if ((stream as Partial<TLSSocket>).alpnProtocol === 'h2') {
    return new NotSupportedError('connect has made a connection for HTTP/2')
  }
  if (stream.errored) return stream.errored
  return stream.destroyed ? socketError('destroyed', null) : null
}

function ignore(): void {}
