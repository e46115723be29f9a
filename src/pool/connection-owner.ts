/** What a connection is told, and what it tells whoever it works for. */
import type { Request } from '../request/request.js'
import type { Habits } from './habits.js'
import type { SendingRules } from './request-writer.js'
import type { KeepAliveLimits } from './reuse.js'

export interface ConnectionOptions extends KeepAliveLimits {
  pipelining: number
  headersTimeout: number
  bodyTimeout: number
  maxHeaderSize: number
  maxResponseSize: number
  maxRequestsPerClient: number
  expectContinueTimeout: number
  /** A request that was lost with a connection that had been used before is sent once more, where that does no harm. */
  retryStale: boolean
}

/**
 * Why a connection ended: an error, or our own business under undici's name for it. The latter becomes an
 * InformationalError only where somebody listens: to create one costs more than the rest of a request.
 */
export type EndReason = Error | 'reset' | 'aborted' | 'socket idle timeout' | 'servername changed' | 'upgrade'

/** Who the connection works for. */
export interface ConnectionOwner<C> extends SendingRules {
  /** Of the servers that all its connections lead to. */
  readonly habits: Habits
  /** The handler takes no more of the response for now: nothing has to wait for it. */
  onPaused(request: Request): void
  onResumed(request: Request): void
  /** A request that was lost is among the `unsent` of {@link onDisconnected}, which follows. */
  onSendingAgain(): void
  /** The connection is there; the first request is written after this. */
  onConnected(connection: C): void
  /** The request that it is being made for was aborted: {@link Connection.reassign} it. */
  onUnneeded(connection: C): void
  /** It could not be made; `request` is the one that waited for it. */
  onConnectFailed(connection: C, error: Error, request: Request | null): void
  /** Its origin has ended it behind a response, or each request has its own; {@link onDisconnected} follows. */
  onEndOfOrigin(): void
  /** It can take another request, though this is not the moment to give it one. */
  onFree(connection: C): void
  /** It may take another request: {@link Connection.canTake}. */
  onAvailable(connection: C): void
  /**
   * It is over. `unsent` were assigned to it but never answered, and can be sent again.
   *
   * @param isAfterwards the end follows from what a handler hears, or does, just now: listeners hear of it afterwards
   */
  onDisconnected(connection: C, reason: EndReason, unsent: Request[], isAfterwards?: boolean): void
}
