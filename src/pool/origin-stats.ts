/** What a pool tells of itself in figures, as undici's PoolStats do. */

/** A connection as it is counted. */
export interface CountedConnection {
  readonly isOpen: boolean
  readonly canTake: boolean
  readonly pendingCount: number
  readonly runningCount: number
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

/** @param queued how many requests wait for a connection */
export function originStats(connections: Iterable<CountedConnection>, queued: number): OriginStats {
  const stats: OriginStats = { connected: 0, free: 0, pending: queued, queued, running: 0, size: 0 }
  for (const connection of connections) {
    if (connection.isOpen) stats.connected++
    if (connection.canTake) stats.free++
    stats.pending += connection.pendingCount
    stats.running += connection.runningCount
  }
  stats.size = stats.pending + stats.running
  return stats
}
