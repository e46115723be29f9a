/** The state behind a dispatcher: its origins, its sockets, and how far its end has come. */
import type { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import type { Dispatcher } from 'undici'
import { Announcements } from './announcements.js'
import { ClientClosedError, ClientDestroyedError, InvalidArgumentError, MaxOriginsReachedError } from './errors.js'
import { type ResolvedOptions, resolvePreconnect } from './options.js'
import type { EndReason } from './pool/connection-owner.js'
import { OriginPool } from './pool/origin-pool.js'
import type { OriginStats } from './pool/origin-stats.js'
import type { PoolEvents } from './pool/pool-owner.js'
import type { SpareStats } from './pool/spares.js'
import { refuse } from './request/handler.js'
import type { SocketPoolStats } from './socket-pool/socket-pool.js'
import { queueMicrotask } from './sys/real-timers.js'
import { createTransport } from './transport/choose.js'
import type { TlsStats } from './transport/tls-stats.js'
import type { Transport } from './transport/transport.js'

/** Unused pools are forgotten when there are this many origins, and whenever their number has doubled since. */
const SWEEP_AT = 64

/** As undici's ClientStats: what an agent with `connections: 1` shows of an origin. */
export interface SingleConnectionStats {
  /** Whether the connection is open. */
  connected: boolean
  /** Requests that have not been written. */
  pending: number
  /** Requests that were written and not answered. */
  running: number
  /** All requests. */
  size: number
}

/** Counters of a whole dispatcher since its creation. None of them is enumerable. */
export interface Counters {
  /** Of the socket pool. */
  readonly sockets: SocketPoolStats
  /** Of TLS handshakes. */
  readonly tls: TlsStats
  /** Requests that were sent once more, since the connection had ended that they were written to: see `retryStale`. */
  readonly sentAgain: number
  /** Of connections that were made ahead of the requests: see `spareConnections`. */
  readonly spares: SpareStats
}

function ofSingleConnection({ connected, pending, running, size }: OriginStats): SingleConnectionStats {
  return { connected: connected > 0, pending, running, size }
}

export class DispatcherCore implements PoolEvents {
  isClosed = false
  isDestroyed = false
  readonly #options: ResolvedOptions
  readonly #events: Announcements
  readonly #transport: Transport
  /** By URL.origin. */
  readonly #pools = new Map<string, OriginPool>()
  /** By what callers passed as origin, which is often not normalised. */
  readonly #aliases = new Map<string, OriginPool>()
  #sweepAt = SWEEP_AT
  #onIdle: (() => void)[] = []
  #sentAgain = 0
  readonly #spares: SpareStats = { made: 0, used: 0, closedUnused: 0, failed: 0, backingOff: 0 }

  /** @param emitter who emits the events */
  constructor(options: ResolvedOptions, emitter: EventEmitter) {
    this.#options = options
    this.#transport = createTransport(options)
    this.#events = new Announcements(emitter, this.#transport.scheduler)
  }

  get stats(): Record<string, OriginStats | SingleConnectionStats> {
    const stats: Record<string, OriginStats | SingleConnectionStats> = {}
    for (const [origin, pool] of this.#pools) {
      if (!pool.isUnused) stats[origin] = this.#options.connections === 1 ? ofSingleConnection(pool.stats) : pool.stats
    }
    return stats
  }

  /** Of one origin, whether it is in use or not. */
  statsOf({ origin }: URL): OriginStats {
    const unused = { connected: 0, free: 0, pending: 0, queued: 0, running: 0, size: 0 }
    return this.#pools.get(origin)?.stats ?? unused
  }

  /** Adds the counters, in a way that whoever walks over the origins does not meet. */
  withCounters<S extends object>(stats: S): S & Counters {
    const counters: Counters = {
      sockets: this.#transport.sockets,
      tls: this.#transport.tls,
      sentAgain: this.#sentAgain,
      spares: { ...this.#spares },
    }
    for (const [name, value] of Object.entries(counters)) Object.defineProperty(stats, name, { value })
    return stats as S & Counters
  }

  /**
   * @param origin given where it is not for the options to say
   * @returns false when it is busy, and 'drain' will tell: never for a request that has failed within this call, since
   *   there is nothing to wait for (undici 8.13)
   * @throws InvalidArgumentError for what is no handler; all other errors go to the handler
   */
  dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    origin: unknown = options?.origin,
  ): boolean {
    if (!handler || typeof handler !== 'object') throw new InvalidArgumentError('handler must be an object')
    try {
      if (!options || typeof options !== 'object') throw new InvalidArgumentError('opts must be an object.')
      if (this.isDestroyed) throw new ClientDestroyedError()
      if (this.isClosed) throw new ClientClosedError()
      return this.#poolOf(origin).dispatch(options, handler)
    } catch (error) {
      refuse(handler, error)
      return true
    }
  }

  /**
   * Opens connections ahead of requests.
   *
   * @param origin as {@link dispatch} takes it
   * @param options a {@link PreconnectOptions}, not checked yet
   * @returns resolves when they are open; rejects with an InvalidArgumentError for what is not valid, and for all else as
   *   requests fail
   */
  async preconnect(origin: unknown, options: unknown): Promise<void> {
    const { connections, servername } = resolvePreconnect(options)
    if (this.isDestroyed) throw new ClientDestroyedError()
    if (this.isClosed) throw new ClientClosedError()
    if (typeof origin === 'string' && origin !== '' && !URL.canParse(origin))
      throw new InvalidArgumentError('Invalid URL')
    const pool = this.#poolOf(origin)
    await new Promise<void>((resolve, reject) => {
      pool.preconnect(connections, servername, { onReady: resolve, onFailed: reject })
    })
  }

  /** Calls back when all requests are answered and all connections have ended, be it that their peers do not know yet. */
  close(callback: () => void): void {
    this.isClosed = true
    for (const pool of this.#pools.values()) pool.close()
    // Not within close(), nor within a handler's last callback: there it is closed, but not yet destroyed (undici).
    this.#whenIdle(() =>
      queueMicrotask(() => {
        this.isDestroyed = true
        this.#whenShutDown(callback)
      }),
    )
  }

  /** Calls back when all connections have ended; requests have failed by then. May be called again, at any time. */
  destroy(error: Error, callback: () => void): void {
    this.isDestroyed = true
    // Nothing is kept of what ends from here on: it is closed as undici closes it, with a FIN where nothing was left unread.
    this.#transport.close()
    for (const pool of this.#pools.values()) pool.destroy(error)
    this.#transport.cutShort()
    this.#whenIdle(() => this.#whenShutDown(callback))
  }

  onConnect(origin: URL, context: AsyncResource): void {
    this.#events.onConnect(origin, context)
  }

  onDisconnect(origin: URL, context: AsyncResource, reason: EndReason, isAfterwards: boolean): void {
    this.#events.onDisconnect(origin, context, reason, isAfterwards)
  }

  onConnectionError(origin: URL, context: AsyncResource, error: Error): void {
    this.#events.onConnectionError(origin, context, error)
  }

  onDrain(origin: URL): void {
    this.#events.onDrain(origin)
  }

  onSendingAgain(): void {
    this.#sentAgain++
  }

  onIdle(): void {
    if (this.#onIdle.length === 0 || !this.#isIdle) return
    const callbacks = this.#onIdle
    this.#onIdle = []
    for (const callback of callbacks) callback()
  }

  get #isIdle(): boolean {
    for (const pool of this.#pools.values()) if (pool.size > 0) return false
    return true
  }

  #whenIdle(callback: () => void): void {
    if (this.#isIdle) callback()
    else this.#onIdle.push(callback)
  }

  /**
   * Closes what the pool of sockets keeps, once connections that have ended are shut down. Their peers' FINs are not waited
   * for (a peer that does not close must not hold up anybody), but behind this, for a while, by the transport.
   */
  #whenShutDown(callback: () => void): void {
    const { scheduler } = this.#transport
    scheduler.hold()
    this.#transport.whenShutDown(() => {
      scheduler.letGo()
      this.#transport.close()
      this.#events.flush()
      callback()
    })
  }

  #poolOf(origin: unknown): OriginPool {
    if (typeof origin !== 'string' || origin === '') {
      if (!(origin instanceof URL)) {
        throw new InvalidArgumentError('opts.origin must be a non-empty string or URL.')
      }
      return this.#poolOf(String(origin))
    }
    return this.#aliases.get(origin) ?? this.#addPool(origin)
  }

  #addPool(alias: string): OriginPool {
    const url = parseOrigin(alias)
    if (this.#aliases.size >= this.#sweepAt) this.#sweep()
    let pool = this.#pools.get(url.origin)
    if (pool === undefined) {
      if (this.#pools.size >= this.#options.maxOrigins) this.#sweep()
      if (this.#pools.size >= this.#options.maxOrigins) throw new MaxOriginsReachedError()
      pool = new OriginPool(url, this.#transport, this.#options, this, this.#spares)
      this.#pools.set(url.origin, pool)
    }
    this.#aliases.set(alias, pool)
    return pool
  }

  #sweep(): void {
    for (const [origin, pool] of this.#pools) if (pool.canBeForgotten) this.#pools.delete(origin)
    for (const [alias, pool] of this.#aliases) if (pool.canBeForgotten) this.#aliases.delete(alias)
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#aliases.size)
  }
}

/** @throws InvalidArgumentError with undici's words (undici core/util.js, parseOrigin) */
export function parseOrigin(origin: string | URL): URL {
  if (typeof origin !== 'string' && !(origin instanceof URL)) {
    throw new InvalidArgumentError('Invalid URL: The URL argument must be a non-null object.')
  }
  const url = new URL(origin)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new InvalidArgumentError('Invalid URL protocol: the URL must start with `http:` or `https:`.')
  }
  if (url.pathname !== '/' || url.search || url.hash) throw new InvalidArgumentError('invalid url')
  return url
}
