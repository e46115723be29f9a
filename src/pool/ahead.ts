/**
 * The connections of an origin that are made ahead of the requests: those that were asked for (preconnect.ts), and spares
 * (spares.ts). How many there are to be is decided there; here they are begun and given up, and it is told what became of
 * them.
 */
import { AsyncResource } from 'node:async_hooks'
import { ClientDestroyedError } from '../errors.js'
import type { Deadlines } from '../reactor/deadlines.js'
import { inRootContext, type Scheduler } from '../reactor/scheduler.js'
import type { EndReason } from './connection-owner.js'
import type { Occasion } from './opening.js'
import { Preconnect, type PreconnectListener, Preconnects } from './preconnect.js'
import { type SpareEnd, type SpareOptions, type SpareOwner, type SpareStats, Spares } from './spares.js'

/** A connection as it is seen here. */
export interface AheadConnection {
  /** No request has needed it yet. */
  isAhead: boolean
  readonly isOpen: boolean
  readonly isConnecting: boolean
  retire(reason: EndReason): void
}

/** The pool, whose connections they are. */
export interface AheadOwner<C> {
  readonly origin: URL
  /** How many more connections there may be. */
  readonly room: number
  /** A request has to wait: what room there is, is its. */
  readonly hasWaiting: boolean
  /** No connection is to be made any more. */
  readonly isClosing: boolean
  connections(): Iterable<C>
  /** Begins to make one, after `prepare` has seen it. */
  begin(occasion: Occasion, prepare: (connection: C) => void): void
  /** Of one that is being made. */
  giveUp(connection: C): void
  /** Somebody who waits may be served now. */
  serveQueue(): void
}

export interface AheadTimes {
  readonly scheduler: Scheduler
  /** By the real clock. */
  readonly waits: Deadlines
}

export class Ahead<C extends AheadConnection> implements SpareOwner {
  readonly #owner: AheadOwner<C>
  readonly #preconnects = new Preconnects<C>()
  readonly #spares: Spares | null
  /** Whom the peers of spares have to prove to be: as for the last request that a connection was made for. */
  #servername: string | null = null
  /** In which listeners hear of spares: nobody's. */
  #context: AsyncResource | undefined

  /** @param stats counters that are shared */
  constructor(owner: AheadOwner<C>, options: SpareOptions, { scheduler, waits }: AheadTimes, stats: SpareStats) {
    this.#owner = owner
    this.#spares = options.spareConnections > 0 ? new Spares(this, options, scheduler, waits, stats) : null
  }

  /** Spares are made. */
  get isAwake(): boolean {
    return this.#spares?.isAwake === true
  }

  /** @see {@link OriginPool.preconnect} */
  preconnect(connections: number, servername: string | null, listener: PreconnectListener): void {
    const owner = this.#owner
    const count = Math.min(connections, Math.max(0, owner.room))
    const call = new Preconnect(owner.origin, servername, count, listener)
    // Whoever hears of one of them may end us all.
    for (let i = 0; i < count && !owner.isClosing; i++) {
      owner.begin(call, (connection) => this.#preconnects.add(connection, call))
    }
  }

  /** A request has come. */
  onRequest(): void {
    this.#spares?.onRequest()
  }

  /** No connection was there for it. */
  onMissed(servername: string | null): void {
    this.#servername = servername
    this.#spares?.onMissed()
  }

  /** The origin ends its connections, or this one at least, behind a response. */
  onEndOfOrigin(): void {
    this.#spares?.onEndOfOrigin()
  }

  /** The request that a connection was being made for has got another one. */
  onLeft(connection: C): void {
    if (this.#spares === null || !this.isAwake) return
    connection.isAhead = true
    this.#spares.onLeft()
  }

  /** A connection is given a request. */
  onTaken(connection: C): void {
    if (!connection.isAhead) return
    connection.isAhead = false
    this.#spares!.onTaken()
  }

  onConnected(connection: C): void {
    this.#preconnects.opened(connection)
  }

  onConnectFailed(connection: C, error: Error): void {
    this.#ended(connection, 'failed')
    this.#preconnects.failed(connection, error)
  }

  /** @returns whether it was one that no request had needed */
  onDisconnected(connection: C, reason: EndReason): boolean {
    return this.#ended(connection, isOfPeer(reason) ? 'closed' : 'unneeded')
  }

  onGivenUp(connection: C): void {
    this.#ended(connection, 'unneeded')
  }

  /** A request goes before a spare that is still being made. @returns whether there was one */
  giveUpSpare(): boolean {
    if (!this.isAwake) return false
    for (const connection of this.#owner.connections()) {
      if (!connection.isAhead || !connection.isConnecting) continue
      this.#owner.giveUp(connection)
      return true
    }
    return false
  }

  /** No spare is made any more, and who has asked for connections is told `error`. @returns those that are being made for him */
  stop(error: Error): C[] {
    this.#spares?.stop()
    return this.#preconnects.cancel(error)
  }

  // SpareOwner

  makeSpare(): boolean {
    const owner = this.#owner
    if (owner.isClosing || owner.hasWaiting || owner.room <= 0) return false
    this.#context ??= inRootContext(() => new AsyncResource('RecyclingAgentSpare', { requireManualDestroy: true }))
    const { origin, protocol } = owner.origin
    const occasion = { origin, protocol, servername: this.#servername, context: this.#context }
    owner.begin(occasion, (connection) => {
      connection.isAhead = true
    })
    return true
  }

  endSpares(): void {
    for (const connection of this.#owner.connections()) {
      if (!connection.isAhead) continue
      if (connection.isOpen) connection.retire('socket idle timeout')
      else if (connection.isConnecting) this.#owner.giveUp(connection)
    }
    this.#owner.serveQueue()
  }

  #ended(connection: C, end: SpareEnd): boolean {
    if (!connection.isAhead) return false
    connection.isAhead = false
    this.#spares!.onEnded(end)
    return true
  }
}

/** The peer has ended a connection, or broken the rules on it. */
const isOfPeer = (reason: EndReason): boolean => reason instanceof Error && !(reason instanceof ClientDestroyedError)
