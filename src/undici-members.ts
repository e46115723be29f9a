/**
 * Members that undici's dispatchers read off each other by symbols which undici does not export: BalancedPool and
 * Agent's statistics ask a pool for its URL, Pool's statistics for its numbers, and ProxyAgent without a tunnel calls
 * its dispatch method. The symbols are found by their descriptions on undici's public classes; where one is not there,
 * whoever reads it has to do without.
 */
import { type Dispatcher, Pool } from 'undici'
import type { OriginStats } from './pool/origin-pool.js'

/** What a dispatcher for one origin can say of itself. */
export interface OriginDispatcher extends Pick<Dispatcher, 'dispatch'> {
  readonly url: URL
  readonly stats: OriginStats
}

/** The member's value by the symbol's description (undici core/symbols.js). */
const MEMBERS: Readonly<Record<string, (pool: OriginDispatcher) => unknown>> = {
  url: ({ url }) => url,
  dispatch: (pool) => pool.dispatch.bind(pool),
  connected: ({ stats }) => stats.connected,
  pending: ({ stats }) => stats.pending,
  running: ({ stats }) => stats.running,
  size: ({ stats }) => stats.size,
}

let symbols: ReadonlyMap<string, symbol> | undefined

function findSymbols(): ReadonlyMap<string, symbol> {
  const found = new Map<string, symbol>()
  let object: object | null = new Pool('http://localhost')
  for (; object !== null; object = Object.getPrototypeOf(object)) {
    for (const symbol of Object.getOwnPropertySymbols(object)) {
      const { description = '' } = symbol
      if (description in MEMBERS && !found.has(description)) found.set(description, symbol)
    }
  }
  return found
}

/** Gives `pool` the members; none of them is enumerable. */
export function definePoolMembers(pool: OriginDispatcher): void {
  symbols ??= findSymbols()
  for (const [description, symbol] of symbols) {
    Object.defineProperty(pool, symbol, { get: () => MEMBERS[description]!(pool) })
  }
}
