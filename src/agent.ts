/** RecyclingAgent: undici's Agent over recycled descriptors, as users hold it. */
import type { Dispatcher } from 'undici'
import { DispatcherBase } from './dispatcher-base.js'
import type { Counters, SingleConnectionStats } from './dispatcher-core.js'
import { type PreconnectOptions, type RecyclingAgentOptions, resolveOptions } from './options.js'
import type { OriginStats } from './pool/origin-stats.js'

/**
 * What {@link RecyclingAgent.stats} returns: undici's PoolStats by origin, or its ClientStats with `connections: 1`; and
 * the agent's own counters.
 */
export type AgentStats = { readonly [origin: `http${string}`]: OriginStats | SingleConnectionStats } & Counters

/**
 * A drop-in for undici's `Agent` whose connections live on recycled sockets (Linux, HTTP/1.1 over TCP and TLS). Where
 * sockets cannot be recycled it works over ordinary ones, and says so once, as a process warning.
 *
 * `request`, `stream`, `pipeline`, `connect`, `upgrade` and `compose` are those of undici's `Dispatcher`. It emits undici's
 * events `connect`, `disconnect`, `connectionError` and `drain`, with `[agent]` as their targets.
 *
 * @example
 * ```js
 * import { setGlobalDispatcher } from 'undici'
 * import { RecyclingAgent } from 'recycling-agent'
 *
 * setGlobalDispatcher(new RecyclingAgent())
 * ```
 */
export class RecyclingAgent extends DispatcherBase {
  /**
   * @throws InvalidArgumentError with undici's words for an invalid option
   * @throws where `transport: 'native'` was asked for, but sockets cannot be recycled
   */
  constructor(options: RecyclingAgentOptions = {}) {
    super(resolveOptions(options))
  }

  /** A snapshot, by origin, of the origins that have requests or connections now; and the agent's counters. */
  get stats(): AgentStats {
    return this.core.withCounters(this.core.stats)
  }

  /**
   * Opens connections to an origin, TLS included, ahead of the requests that will use them. Nothing is sent on them but TLS.
   *
   * They are made besides those that there are, as far as the `connections` option allows: with none to be made it resolves
   * at once. They wait as free ones under `keepAliveTimeout`, and none of them keeps the process alive. A request that comes
   * before they are there opens one of its own, if it may, and takes the first that is there.
   *
   * @param origin scheme, host and port
   * @returns resolves when all of them are open and verified. Rejects with the error of the first that cannot be made; with
   *   ClientClosedError or what destroy() was called with when the agent ends before that; with InvalidArgumentError for
   *   an invalid origin or option
   */
  preconnect(origin: string | URL, options?: PreconnectOptions): Promise<void> {
    return this.core.preconnect(origin, options)
  }

  /**
   * Sends a request. Errors in the options go to the handler's error method, as undici has it.
   *
   * @returns false when the origin's connections are all taken (with the `connections` option): 'drain' will tell; the
   *   request is taken all the same. True for one that has failed within this call: there is nothing to wait for
   * @throws InvalidArgumentError when `handler` is no object
   */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.core.dispatch(options, handler)
  }
}
