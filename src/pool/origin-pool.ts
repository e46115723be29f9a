/**
 * One origin: its connections and the queue of requests that wait for one. Decides who serves whom, and nothing else.
 *
 * Invariant: a request waits in the queue only while every connection is busy and no further one may be opened.
 */
import { AsyncResource } from 'node:async_hooks'
import type { Dispatcher } from 'undici'
import { ClientClosedError, ClientDestroyedError } from '../errors.js'
import { inRootContext } from '../reactor/scheduler.js'
import { Request, type RequestCarrier, type RequestTracker } from '../request/request.js'
import type { WithdrawalOptions } from '../request/withdrawal.js'
import { LinkedList } from '../structures/linked-list.js'
import type { Connector, Transport } from '../transport/transport.js'
import { Connection } from './connection.js'
import type { ConnectionOptions, ConnectionOwner, EndReason } from './connection-owner.js'
import { FreeConnections } from './free-connections.js'
import { Habits } from './habits.js'
import type { Occasion } from './opening.js'
import { Openings } from './openings.js'
import { Preconnect, type PreconnectListener, Preconnects } from './preconnect.js'
import { RequestQueue } from './request-queue.js'
import { type SpareEnd, type SpareOwner, type SpareStats, Spares } from './spares.js'
import { type TargetOptions, targetOf } from './target.js'

export interface OriginPoolOptions extends ConnectionOptions, TargetOptions {
  /** Infinity: no limit. */
  connections: number
  /** In milliseconds since the connection was made; 0: no limit. */
  clientTtl: number
  /** How many connections are kept open ahead of the requests where they end behind each response. */
  spareConnections: number
  /** A body that is not as long as announced is an error, not a warning. */
  strictContentLength: boolean
}

/** The events of undici's dispatchers, for one origin; those of connections with the async context that is theirs. */
export interface PoolEvents {
  onConnect(origin: URL, context: AsyncResource): void
  /** @param isAfterwards not to be told within what is going on just now, a handler's callback */
  onDisconnect(origin: URL, context: AsyncResource, reason: EndReason, isAfterwards: boolean): void
  onConnectionError(origin: URL, context: AsyncResource, error: Error): void
  onDrain(origin: URL): void
  /** A request that was lost with its connection goes to another one. */
  onSendingAgain(): void
  /** The pool has no requests any more. */
  onIdle(): void
}

/** As undici's PoolStats. */
export interface OriginStats {
  /** Open connections. */
  connected: number
  /** Open connections that can take a request. */
  free: number
  /** Requests that have not been written. */
  pending: number
  /** Requests that wait for a connection; a part of `pending`. */
  queued: number
  /** Requests that were written and not answered. */
  running: number
  /** All requests. */
  size: number
}

export class OriginPool implements ConnectionOwner<Connection>, RequestCarrier, RequestTracker, SpareOwner {
  readonly origin: URL
  /** Of the URL, which works them out anew each time. */
  readonly #originText: string
  readonly #protocol: string
  readonly host: string
  readonly strictContentLength: boolean
  readonly habits = new Habits()
  readonly #transport: Transport
  readonly #options: OriginPoolOptions
  readonly #events: PoolEvents
  readonly #connector: Connector
  readonly #connections = new LinkedList<Connection>()
  readonly #free = new FreeConnections<Connection, Request>()
  readonly #openings = new Openings<Connection, Request>()
  readonly #preconnects = new Preconnects<Connection>()
  readonly #spares: Spares | null
  /** Whom the peer has to prove to be: as for the last request that a connection was made for. */
  #spareServername: string | null = null
  /** In which listeners hear of spares: nobody's. */
  #spareContext: AsyncResource | undefined
  #created = 0
  readonly #queue = new RequestQueue()
  #size = 0
  #needsDrain = false
  #isClosing = false
  #destroyedWith: Error | null = null

  /** @param spareStats counters that are shared */
  constructor(
    origin: URL,
    transport: Transport,
    options: OriginPoolOptions,
    events: PoolEvents,
    spareStats: SpareStats,
  ) {
    this.origin = origin
    this.#originText = origin.origin
    this.#protocol = origin.protocol
    this.host = origin.host
    this.strictContentLength = options.strictContentLength
    this.#transport = transport
    this.#options = options
    this.#events = events
    this.#connector = transport.connectorTo(targetOf(origin, options))
    const { scheduler, waits } = transport
    this.#spares = options.spareConnections > 0 ? new Spares(this, options, scheduler, waits, spareStats) : null
  }

  /** Nothing to do and nothing open. */
  get isUnused(): boolean {
    return this.#size === 0 && this.#connections.size === 0
  }

  /** Nor is anything to be opened. */
  get canBeForgotten(): boolean {
    return this.isUnused && !this.#spares?.isAwake
  }

  get size(): number {
    return this.#size
  }

  get stats(): OriginStats {
    const stats: OriginStats = {
      connected: 0,
      free: 0,
      pending: this.#queue.length,
      queued: this.#queue.length,
      running: 0,
      size: 0,
    }
    for (const connection of this.#connections) {
      if (connection.isOpen) stats.connected++
      if (connection.canTake) stats.free++
      stats.pending += connection.pendingCount
      stats.running += connection.runningCount
    }
    stats.size = stats.pending + stats.running
    return stats
  }

  /**
   * Takes a request in any case.
   *
   * @returns false when the pool is busy: wait for 'drain'
   * @throws InvalidArgumentError and its like, and then the request does not exist
   */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // Counted before a subscriber hears of it: who closes the agent then waits for this one, too.
    this.#size++
    const request = this.#newRequest(options, handler)
    this.#hold(request)
    request.mayBeWithdrawn(options as WithdrawalOptions)
    if (!request.isOver) {
      this.#spares?.onRequest()
      this.#place(request)
    }
    if (this.#options.connections !== Number.POSITIVE_INFINITY && this.#decide(null) === 'wait') this.#needsDrain = true
    return !this.#needsDrain
  }

  /**
   * Makes connections that no request waits for, besides those that there are, as far as there may be more.
   *
   * @param servername for TLS; `null`: the host of the URL
   */
  preconnect(connections: number, servername: string | null, listener: PreconnectListener): void {
    const count = Math.min(connections, Math.max(0, this.#options.connections - this.#connections.size))
    const call = new Preconnect(this.origin, servername, count, listener)
    // Whoever hears of one of them may end us all.
    for (let i = 0; i < count && !this.#isClosing; i++) {
      const connection = this.#create(call)
      this.#preconnects.add(connection, call)
      connection.open(this.#connector.connectTimeout)
    }
  }

  #newRequest(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Request {
    try {
      return new Request(this.#originText, this.#protocol, options, handler, this)
    } catch (error) {
      this.#forgetOne()
      throw error
    }
  }

  /** Ends idle connections; the others end with their last request. */
  close(): void {
    this.#isClosing = true
    this.#spares?.stop()
    for (const connection of this.#preconnects.cancel(new ClientClosedError())) this.#giveUp(connection)
    if (this.#size > 0) return this.#serveQueue()
    for (const connection of this.#connections) {
      if (connection.isOpen) connection.retire()
      // Else it has just ended, or is made for a request that is being aborted, and which it will hear of.
      else if (connection.isConnecting && connection.awaiting === null) this.#giveUp(connection)
    }
  }

  /** Fails all requests, and ends all connections at once. */
  destroy(error: Error): void {
    this.#isClosing = true
    this.#destroyedWith = error
    this.#spares?.stop()
    const queue = this.#queue.takeAll()
    this.#preconnects.cancel(error)
    for (const request of queue) request.fail(error)
    for (const connection of this.#connections) {
      this.#connections.remove(connection)
      connection.destroy(error)
    }
  }

  requestOver(request: Request): void {
    this.onPaused(request)
    this.#forgetOne()
  }

  #forgetOne(): void {
    this.#size--
    if (this.#size > 0) return
    if (this.#isClosing) this.close()
    this.#events.onIdle()
  }

  /** There is nothing to resume: it waits in the queue. */
  resumeResponse(): void {}

  /** It waited in the queue. */
  requestAborted(request: Request): void {
    this.#queue.remove(request)
    this.#serveQueue()
  }

  /** A response that nobody reads does not keep the process alive, as with undici, whose socket is not being read from. */
  onPaused(request: Request): void {
    if (!request.isHolding) return
    request.isHolding = false
    this.#transport.scheduler.letGo()
  }

  onResumed(request: Request): void {
    this.#hold(request)
  }

  onSendingAgain(): void {
    this.#events.onSendingAgain()
  }

  onUnneeded(connection: Connection): void {
    const next = this.#queue.first
    const isWelcome = next !== undefined && connection.isFor(next)
    if (isWelcome) {
      connection.reassign(this.#queue.takeFirst())
    } else {
      this.#giveUp(connection)
    }
    this.#serveQueue()
  }

  onConnected(connection: Connection): void {
    if (this.#options.clientTtl > 0) connection.connectedAt = performance.now()
    this.#events.onConnect(this.origin, connection.context)
    this.#preconnects.opened(connection)
  }

  onConnectFailed(connection: Connection, error: Error, request: Request | null): void {
    this.#connections.remove(connection)
    if (connection.isAhead) this.#spareEnded(connection, 'failed')
    this.#preconnects.failed(connection, error)
    const failed = request === null ? [] : [request]
    // With one connection only, all that wait have waited for this one (undici: a Client's queue).
    if (request !== null && this.#options.connections === 1) failed.push(...this.#takeFailing(error, request))
    for (const request of failed) request.fail(error)
    this.#events.onConnectionError(this.origin, connection.context, error)
    this.#serveQueue()
  }

  onFree(connection: Connection): void {
    this.#free.add(connection, this.#connections.size)
  }

  onAvailable(connection: Connection): void {
    this.onFree(connection)
    if (!this.#openings.isEmpty) this.#bindLate(connection)
    this.#serveQueue()
  }

  onDisconnected(connection: Connection, reason: EndReason, unsent: Request[], isAfterwards = false): void {
    this.#connections.remove(connection)
    this.#free.trim(this.#connections.size)
    if (connection.isAhead) this.#spareEnded(connection, isOfPeer(reason) ? 'closed' : 'unneeded')
    else if (this.habits.closes) this.#spares?.onEndOfOrigin()
    this.#events.onDisconnect(this.origin, connection.context, reason, isAfterwards)
    for (const request of unsent) request.unstart(this)
    this.#queue.putBefore(unsent)
    this.#serveQueue()
  }

  onEndOfOrigin(): void {
    this.#spares?.onEndOfOrigin()
  }

  makeSpare(): boolean {
    if (this.#isClosing || this.#queue.length > 0 || this.#connections.size >= this.#options.connections) return false
    this.#spareContext ??= inRootContext(() => new AsyncResource('RecyclingAgentSpare', { requireManualDestroy: true }))
    const connection = this.#create({
      origin: this.#originText,
      protocol: this.#protocol,
      servername: this.#spareServername,
      context: this.#spareContext,
    })
    connection.isAhead = true
    connection.open(this.#connector.connectTimeout)
    return true
  }

  endSpares(): void {
    for (const connection of this.#connections) {
      if (!connection.isAhead) continue
      if (connection.isOpen) connection.retire('socket idle timeout')
      else if (connection.isConnecting) this.#giveUp(connection)
    }
    this.#serveQueue()
  }

  #spareEnded(connection: Connection, end: SpareEnd): void {
    connection.isAhead = false
    this.#spares!.onEnded(end)
  }

  /** A request goes before a spare that is still being made. @returns whether there was one */
  #giveUpSpare(): boolean {
    if (!this.#spares?.isAwake) return false
    for (const connection of this.#connections) {
      if (!connection.isAhead || !connection.isConnecting) continue
      this.#giveUp(connection)
      return true
    }
    return false
  }

  #hold(request: Request): void {
    if (request.isHolding) return
    request.isHolding = true
    this.#transport.scheduler.hold()
  }

  /** Which requests of the queue an error in connecting is the error of; the others get a connection of their own. */
  #takeFailing(error: Error, cause: Request): Request[] {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'UND_ERR_INFO' || code === 'UND_ERR_SOCKET') return []
    // The peer has proved to be somebody else than the one that was asked for by this name.
    return this.#queue.takeWhile(
      ({ servername }) => code !== 'ERR_TLS_CERT_ALTNAME_INVALID' || servername === cause.servername,
    )
  }

  /**
   * Who serves the next request: the oldest connection that can take it, a new one (`'open'`), or nobody yet (`'wait'`).
   *
   * @param request `null`: any request
   */
  #decide(request: Request | null): Connection | 'open' | 'wait' {
    return this.#free.first(request) ?? (this.#connections.size < this.#options.connections ? 'open' : 'wait')
  }

  #place(request: Request): void {
    if (this.#queue.length === 0 && this.#serve(request)) return
    request.carriedBy(this)
    this.#queue.push(request)
  }

  /** @returns false when nobody can serve the request now */
  #serve(request: Request): boolean {
    for (;;) {
      // Aborted while it waited to be sent again.
      if (request.isOver) return true
      // Whoever was told of what led here, a handler or a listener, may have destroyed us.
      if (this.#destroyedWith !== null) {
        request.fail(this.#destroyedWith)
        return true
      }
      if (request.isSentAgain) return this.#serveAnew(request)
      const server = this.#decide(request)
      if (server === 'wait') {
        if (!this.#giveUpSpare()) return false
      } else if (server === 'open') {
        this.#open(request)
        return true
      } else if (this.#isTooOld(server)) {
        server.retire()
      } else if (server.isFit(request)) {
        this.#give(server, request)
        return true
      }
    }
  }

  /**
   * On a new connection, since the last one ended before it was answered. Where there are as many as there may be, an idle
   * one makes room.
   */
  #serveAnew(request: Request): boolean {
    while (this.#connections.size >= this.#options.connections) {
      const idle = this.#free.first(null)
      if (idle === undefined && this.#giveUpSpare()) continue
      if (idle === undefined || idle.runningCount > 0) return false
      idle.retire()
    }
    this.#open(request)
    return true
  }

  #open(request: Request): void {
    this.#spareServername = request.servername
    this.#spares?.onMissed()
    const connection = this.#create(request)
    connection.reassign(request)
    this.#openings.add(connection, this.#connections.size)
    connection.open(this.#connector.connectTimeout)
  }

  /**
   * A request that waits for a connection to be made takes this one, if that can serve it now: it has waited longer than
   * those in the queue. The other one will be a free one. As in Go's net/http (transport.go, queueForIdleConn).
   */
  #bindLate(connection: Connection): void {
    // A request that was lost goes to a new connection.
    const waiting = this.#openings.first((request) => !request.isSentAgain && connection.isReadyFor(request))
    if (waiting === undefined) return
    const request = waiting.awaiting!
    if (this.#isTooOld(connection)) return connection.retire()
    // What has arrived ends the connection, and whoever hears of that may do anything.
    if (!connection.isFit(request) || waiting.awaiting !== request) return
    waiting.release()
    if (this.#spares?.isAwake) {
      waiting.isAhead = true
      this.#spares.onLeft()
    }
    this.#give(connection, request)
  }

  /** @param connection that can take it */
  #give(connection: Connection, request: Request): void {
    if (connection.isAhead) {
      connection.isAhead = false
      this.#spares!.onTaken()
    }
    connection.assign(request)
  }

  #create(occasion: Occasion): Connection {
    const order = ++this.#created
    const connection = new Connection(this, order, this.#transport, this.#connector, this.#options, occasion)
    this.#connections.append(connection)
    return connection
  }

  /** Of one that is being made, and that nobody waits for. */
  #giveUp(connection: Connection): void {
    this.#connections.remove(connection)
    if (connection.isAhead) this.#spareEnded(connection, 'unneeded')
    connection.reassign(null)
  }

  #serveQueue(): void {
    while (this.#queue.length > 0 && this.#decide(null) !== 'wait') {
      // Taken out first: serving it may call back here.
      const request = this.#queue.takeFirst()
      if (!this.#serve(request)) {
        this.#queue.putBefore([request])
        request.carriedBy(this)
        return
      }
    }
    if (!this.#needsDrain || this.#isClosing || this.#queue.length > 0 || this.#decide(null) === 'wait') return
    this.#needsDrain = false
    this.#events.onDrain(this.origin)
  }

  #isTooOld(connection: Connection): boolean {
    const { clientTtl } = this.#options
    return clientTtl > 0 && performance.now() - connection.connectedAt > clientTtl
  }
}

/** The peer has ended a connection, or broken the rules on it. */
const isOfPeer = (reason: EndReason): boolean => reason instanceof Error && !(reason instanceof ClientDestroyedError)
