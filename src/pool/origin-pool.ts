/**
 * One origin: its connections and the queue of requests that wait for one. Decides who serves whom, and nothing else.
 *
 * Invariant: a request waits in the queue only while every connection is busy and no further one may be opened.
 */
import type { Dispatcher } from 'undici'
import { ClientClosedError } from '../errors.js'
import { Request, type RequestCarrier } from '../request/request.js'
import type { WithdrawalOptions } from '../request/withdrawal.js'
import { LinkedList } from '../structures/linked-list.js'
import type { Connector, Transport } from '../transport/transport.js'
import { Ahead, type AheadOwner } from './ahead.js'
import { Connection } from './connection.js'
import type { ConnectionOwner, EndReason } from './connection-owner.js'
import { FreeConnections } from './free-connections.js'
import { Habits } from './habits.js'
import { Occupancy } from './occupancy.js'
import type { Occasion } from './opening.js'
import { Openings } from './openings.js'
import { type OriginStats, originStats } from './origin-stats.js'
import type { OriginPoolOptions, PoolEvents } from './pool-owner.js'
import type { PreconnectListener } from './preconnect.js'
import { RequestQueue } from './request-queue.js'
import type { SpareStats } from './spares.js'
import { targetOf } from './target.js'

export class OriginPool implements ConnectionOwner<Connection>, RequestCarrier, AheadOwner<Connection> {
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
  readonly #ahead: Ahead<Connection>
  readonly #queue = new RequestQueue()
  readonly #occupancy: Occupancy
  #created = 0
  #needsDrain = false
  /** close() or destroy() was called. */
  isClosing = false
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
    this.#ahead = new Ahead<Connection>(this, options, transport, spareStats)
    this.#occupancy = new Occupancy(transport.scheduler, () => this.#onEmpty())
  }

  /** Nothing to do and nothing open. */
  get isUnused(): boolean {
    return this.size === 0 && this.#connections.size === 0
  }

  /** Nor is anything to be opened. */
  get canBeForgotten(): boolean {
    return this.isUnused && !this.#ahead.isAwake
  }

  get size(): number {
    return this.#occupancy.size
  }

  get stats(): OriginStats {
    return originStats(this.#connections, this.#queue.length)
  }

  /**
   * Takes a request in any case.
   *
   * @returns false when the pool is busy: wait for 'drain'
   * @throws InvalidArgumentError and its like, and then the request does not exist
   */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    // Counted before a subscriber hears of it: who closes the agent then waits for this one, too.
    this.#occupancy.enter()
    const request = this.#newRequest(options, handler)
    this.#occupancy.hold(request)
    request.mayBeWithdrawn(options as WithdrawalOptions)
    if (!request.isOver) {
      this.#ahead.onRequest()
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
    this.#ahead.preconnect(connections, servername, listener)
  }

  #newRequest(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): Request {
    try {
      return new Request(this.#originText, this.#protocol, options, handler, this.#occupancy)
    } catch (error) {
      this.#occupancy.leave()
      throw error
    }
  }

  /** Ends idle connections; the others end with their last request. */
  close(): void {
    this.isClosing = true
    for (const connection of this.#ahead.stop(new ClientClosedError())) this.giveUp(connection)
    if (this.size > 0) return this.serveQueue()
    for (const connection of this.#connections) {
      if (connection.isOpen) connection.retire()
      // Else it has just ended, or is made for a request that is being aborted, and which it will hear of.
      else if (connection.isConnecting && connection.awaiting === null) this.giveUp(connection)
    }
  }

  /** Fails all requests, and ends all connections at once. */
  destroy(error: Error): void {
    this.isClosing = true
    this.#destroyedWith = error
    const queue = this.#queue.takeAll()
    this.#ahead.stop(error)
    for (const request of queue) request.fail(error)
    for (const connection of this.#connections) {
      this.#connections.remove(connection)
      connection.destroy(error)
    }
  }

  /** There is nothing to resume: it waits in the queue. */
  resumeResponse(): void {}

  /** It waited in the queue. */
  requestAborted(request: Request): void {
    this.#queue.remove(request)
    this.serveQueue()
  }

  onPaused(request: Request): void {
    this.#occupancy.letGo(request)
  }

  onResumed(request: Request): void {
    this.#occupancy.hold(request)
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
      this.giveUp(connection)
    }
    this.serveQueue()
  }

  onConnected(connection: Connection): void {
    if (this.#options.clientTtl > 0) connection.connectedAt = performance.now()
    this.#events.onConnect(this.origin, connection.context)
    this.#ahead.onConnected(connection)
  }

  onConnectFailed(connection: Connection, error: Error, request: Request | null): void {
    this.#connections.remove(connection)
    this.#ahead.onConnectFailed(connection, error)
    const failed = request === null ? [] : [request]
    // With one connection only, all that wait have waited for this one (undici: a Client's queue).
    if (request !== null && this.#options.connections === 1) failed.push(...this.#queue.takeFailing(error, request))
    for (const request of failed) request.fail(error)
    this.#events.onConnectionError(this.origin, connection.context, error)
    this.serveQueue()
  }

  onFree(connection: Connection): void {
    this.#free.add(connection, this.#connections.size)
  }

  onAvailable(connection: Connection): void {
    this.onFree(connection)
    if (!this.#openings.isEmpty) this.#bindLate(connection)
    this.serveQueue()
  }

  onDisconnected(connection: Connection, reason: EndReason, unsent: Request[], isAfterwards = false): void {
    this.#connections.remove(connection)
    this.#free.trim(this.#connections.size)
    const wasAhead = this.#ahead.onDisconnected(connection, reason)
    if (!wasAhead && this.habits.closes) this.#ahead.onEndOfOrigin()
    this.#events.onDisconnect(this.origin, connection.context, reason, isAfterwards)
    for (const request of unsent) request.unstart(this)
    this.#queue.putBefore(unsent)
    this.serveQueue()
  }

  onEndOfOrigin(): void {
    this.#ahead.onEndOfOrigin()
  }

  // AheadOwner

  get room(): number {
    return this.#options.connections - this.#connections.size
  }

  get hasWaiting(): boolean {
    return this.#queue.length > 0
  }

  connections(): Iterable<Connection> {
    return this.#connections
  }

  begin(occasion: Occasion, prepare: (connection: Connection) => void): void {
    const connection = this.#create(occasion)
    prepare(connection)
    connection.open(this.#connector.connectTimeout)
  }

  giveUp(connection: Connection): void {
    this.#connections.remove(connection)
    this.#ahead.onGivenUp(connection)
    connection.reassign(null)
  }

  #onEmpty(): void {
    if (this.isClosing) this.close()
    this.#events.onIdle()
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
        if (!this.#ahead.giveUpSpare()) return false
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
      if (idle === undefined || idle.runningCount > 0) return false
      idle.retire()
    }
    this.#open(request)
    return true
  }

  #open(request: Request): void {
    this.#ahead.onMissed(request.servername)
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
    this.#ahead.onLeft(waiting)
    this.#give(connection, request)
  }

  /** @param connection that can take it */
  #give(connection: Connection, request: Request): void {
    this.#ahead.onTaken(connection)
    connection.assign(request)
  }

  #create(occasion: Occasion): Connection {
    const order = ++this.#created
    const connection = new Connection(this, order, this.#transport, this.#connector, this.#options, occasion)
    this.#connections.append(connection)
    return connection
  }

  /** Whoever waits is served as far as that is possible now. */
  serveQueue(): void {
    while (this.#queue.length > 0 && this.#decide(null) !== 'wait') {
      // Taken out first: serving it may call back here.
      const request = this.#queue.takeFirst()
      if (!this.#serve(request)) {
        this.#queue.putBefore([request])
        request.carriedBy(this)
        return
      }
    }
    if (!this.#needsDrain || this.isClosing || this.#queue.length > 0 || this.#decide(null) === 'wait') return
    this.#needsDrain = false
    this.#events.onDrain(this.origin)
  }

  #isTooOld(connection: Connection): boolean {
    const { clientTtl } = this.#options
    return clientTtl > 0 && performance.now() - connection.connectedAt > clientTtl
  }
}
