/** RecyclingAgent: undici's Agent over recycled descriptors, as users hold it. */
import type { Dispatcher } from 'undici'
import { DispatcherBase } from './dispatcher-base.js'
import type { SingleConnectionStats } from './dispatcher-core.js'
import { type RecyclingAgentOptions, resolveOptions } from './options.js'
import type { OriginStats } from './pool/origin-pool.js'
import type { SocketPoolStats } from './socket-pool/socket-pool.js'
import type { TlsStats } from './transport/tls-stats.js'

/**
 * What {@link RecyclingAgent.stats} returns: undici's PoolStats by origin, or its ClientStats with `connections: 1`; and
 * the counters of the socket pool and of TLS.
 */
export type AgentStats = { readonly [origin: `http${string}`]: OriginStats | SingleConnectionStats } & {
  /** Not enumerable, so that whoever walks over the origins meets origins only. */
  readonly sockets: SocketPoolStats
  /** Not enumerable, either. */
  readonly tls: TlsStats
}

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

  /** A snapshot, by origin, of the origins that have requests or connections now; and the counters. */
  get stats(): AgentStats {
    const stats = this.core.stats
    Object.defineProperty(stats, 'sockets', { value: this.core.sockets })
    Object.defineProperty(stats, 'tls', { value: this.core.tls })
    return stats as unknown as AgentStats
  }

  /**
   * Sends a request. Errors in the options go to the handler's error method, as undici has it.
   *
   * @returns false when the origin's connections are all taken (with the `connections` option): 'drain' will tell; the
   *   request is taken all the same
   * @throws InvalidArgumentError when `handler` is no object
   */
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return this.core.dispatch(options, handler)
  }
}
