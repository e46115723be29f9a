/** What the pool of an origin is told, and what it tells whoever it works for. */
import type { AsyncResource } from 'node:async_hooks'
import type { ConnectionOptions, EndReason } from './connection-owner.js'
import type { SpareOptions } from './spares.js'
import type { TargetOptions } from './target.js'

export interface OriginPoolOptions extends ConnectionOptions, TargetOptions, SpareOptions {
  /** Infinity: no limit. */
  connections: number
  /** In milliseconds since the connection was made; 0: no limit. */
  clientTtl: number
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
