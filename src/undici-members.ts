/**
 * Members that undici's dispatchers read off each other by symbols which undici does not export: BalancedPool and
 * Agent's statistics ask a pool for its URL, Pool's statistics for its numbers, and ProxyAgent without a tunnel calls
 * its dispatch method. Where a symbol is not there, whoever would read it has to do without.
 */
import type { Dispatcher } from 'undici'
import type { OriginStats } from './pool/origin-stats.js'
import { undiciSymbols } from './undici.js'

/** What a dispatcher for one origin can say of itself. */
export interface OriginDispatcher extends Pick<Dispatcher, 'dispatch'> {
  readonly url: URL
  readonly stats: OriginStats
}

/** The member's value by the symbol's name (undici core/symbols.js). */
const MEMBERS: Readonly<Record<string, (pool: OriginDispatcher) => unknown>> = {
  kUrl: ({ url }) => url,
  kDispatch: (pool) => pool.dispatch.bind(pool),
  kConnected: ({ stats }) => stats.connected,
  kPending: ({ stats }) => stats.pending,
  kRunning: ({ stats }) => stats.running,
  kSize: ({ stats }) => stats.size,
}

/** Gives `pool` the members; none of them is enumerable. */
export function definePoolMembers(pool: OriginDispatcher): void {
  for (const [name, read] of Object.entries(MEMBERS)) {
    const symbol = undiciSymbols[name]
    if (symbol !== undefined) Object.defineProperty(pool, symbol, { get: () => read(pool) })
  }
}
