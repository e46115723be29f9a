/**
 * Whether a connection lives on after a message, and for how long: the one place where that is decided. Pure functions
 * over the two messages; RFC 9112 9.3 with undici's rules on top (client-h1.js).
 */
import { expectsPayload } from '../http1/request-head.js'
import type { ResponseHead } from '../http1/response-head.js'

export interface RequestFacts {
  method: string
  wantsTunnel: boolean
  /** The caller's `reset` option or Connection field; `null`: no opinion. */
  reset: boolean | null
}

/**
 * Whether the request asks for its connection to be closed, in its Connection field. HEAD does, because some servers
 * send a body with the response.
 *
 * @param isLast the connection has carried as many requests as `maxRequestsPerClient` allows
 */
export function closesBefore(
  { method, wantsTunnel, reset }: RequestFacts,
  pipelining: number,
  isLast: boolean,
): boolean {
  return pipelining === 0 || isLast || (reset ?? (method === 'HEAD' || wantsTunnel))
}

/** Whether a connection ends behind this response because its origin ends them, or because each request has its own. */
export function isEndOfOrigin(head: ResponseHead, request: RequestFacts, pipelining: number): boolean {
  return pipelining === 0 || !(head.shouldKeepAlive || closesBefore(request, pipelining, false))
}

/** Whether no request follows on the connection, though this one did not say so: it has a body where none is expected. */
export function closesAfterBody({ method, reset }: RequestFacts): boolean {
  return reset !== false && !expectsPayload(method)
}

/**
 * Whether what comes behind this response is not taken for responses that are still due: it may be this one's content,
 * or it answers HEAD, and that its connection goes on is not believed of one that ends soon.
 *
 * @param isLast no further request is written on the connection, and not only because of this response
 */
export function endsPipeline({ isSound, isKeptForHead }: ResponseHead, isLast: boolean): boolean {
  return !isSound || (isKeptForHead && isLast)
}

export interface KeepAliveLimits {
  keepAliveTimeout: number
  keepAliveMaxTimeout: number
  keepAliveTimeoutThreshold: number
}

/**
 * How long the connection may idle after this response, in milliseconds; 0 when it may not be used again.
 *
 * A hint of the peer's is shortened by the threshold, so that we close before the peer does.
 */
export function idleTimeAfter(head: ResponseHead, limits: KeepAliveLimits): number {
  if (!head.shouldKeepAlive || !head.isSound) return 0
  if (head.keepAliveHint === null) return limits.keepAliveTimeout
  const hint = head.keepAliveHint * 1000 - limits.keepAliveTimeoutThreshold
  return Math.max(0, Math.min(hint, limits.keepAliveMaxTimeout))
}
