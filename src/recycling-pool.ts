/** RecyclingPool: undici's Pool over recycled descriptors, for those who choose the dispatcher of each origin. */
import type { Dispatcher } from 'undici'
import { DispatcherBase } from './dispatcher-base.js'
import { type Counters, parseOrigin } from './dispatcher-core.js'
import { type PreconnectOptions, type RecyclingAgentOptions, resolveOptions } from './options.js'
import type { OriginStats } from './pool/origin-stats.js'
import { definePoolMembers } from './undici-members.js'

/** The options of undici's Pool that concern HTTP/1.1, with undici's meaning and defaults, and our own. */
export type RecyclingPoolOptions = Omit<RecyclingAgentOptions, 'maxOrigins'>

/** What {@link RecyclingPool.stats} returns: undici's PoolStats, and the pool's own counters. */
export type RecyclingPoolStats = OriginStats & Counters

/**
 * A drop-in for undici's `Pool`: a dispatcher for one origin whose connections live on recycled sockets, as those of
 * {@link RecyclingAgent} do. For the `factory` and `clientFactory` options of undici's dispatchers.
 *
 * Some of these hand their factory a `connect` function of their own, which makes ordinary sockets: Pool and
 * RoundRobinPool always do, ProxyAgent does for the proxy. What is connected by it is not recycled, so leave it out where
 * it is not needed. A ProxyAgent's tunnels need it; and each of them takes its descriptor along, for good.
 *
 * Emits undici's events `connect`, `disconnect`, `connectionError` and `drain`, with `[pool]` as their targets.
 *
 * @example
 * ```js
 * import { Pool, ProxyAgent } from 'undici'
 * import { RecyclingPool } from 'recycling-agent'
 *
 * const pool = new Pool('http://origin.example', {
 *   factory: (origin, { connect, ...options }) => new RecyclingPool(origin, { ...options, connections: 1 }),
 * })
 * const proxied = new ProxyAgent({
 *   uri: 'http://proxy.example:8080',
 *   clientFactory: (proxy) => new RecyclingPool(proxy),
 *   factory: (origin, options) => new RecyclingPool(origin, options),
 * })
 * ```
 */
export class RecyclingPool extends DispatcherBase {
  /** The pool's origin. */
  readonly url: URL

  /**
   * @param origin scheme, host and port
   * @throws InvalidArgumentError with undici's words for an invalid origin or option
   * @throws where `transport: 'native'` was asked for, but sockets cannot be recycled
   */
  constructor(origin: string | URL, options: RecyclingPoolOptions = {}) {
    // undici's dispatchers hand on to their factories what they were given themselves.
    const { factory: _factory, ...own } = options as RecyclingPoolOptions & { factory?: unknown }
    super(resolveOptions(own))
    this.url = parseOrigin(origin)
    definePoolMembers(this)
  }

  /** A snapshot of what the pool has to do, and its counters. */
  get stats(): RecyclingPoolStats {
    return this.core.withCounters(this.core.statsOf(this.url))
  }

  /** As {@link RecyclingAgent.preconnect}, to the pool's origin. */
  preconnect(options?: PreconnectOptions): Promise<void> {
    return this.core.preconnect(this.url, options)
  }

  /**
   * Sends a request to the pool's origin, whatever `options.origin` says.
   *
   * @returns false when all connections are taken (with the `connections` option): 'drain' will tell; the request is
   *   taken all the same
   * @throws InvalidArgumentError when `handler` is no object
   */
  override dispatch(options: Omit<Dispatcher.DispatchOptions, 'origin'>, handler: Dispatcher.DispatchHandler): boolean {
    return this.core.dispatch(options as Dispatcher.DispatchOptions, handler, this.url.origin)
  }
}
