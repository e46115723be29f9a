/**
 * Whether a request that was lost with its connection may be sent once more, on a new one: the race with a server that
 * closes a connection just as a request is written to it can be won by nobody. RFC 9112 9.3.1; Go's net/http
 * (transport.go, shouldRetryRequest) and curl do alike, undici leaves it to its callers.
 */
import type { Request } from '../request/request.js'

/** Where the fields of a request carry a key by which its server tells that it has it already (draft-ietf-httpapi-idempotency-key-header). */
const IDEMPOTENCY_KEY = /^(x-)?idempotency-key$/i

/** The peer has ended the connection: a FIN, or a reset, which behind a FIN the kernel tells as EPIPE. Timeouts are not among them. */
export function isEndOfPeer(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE'
}

/** Whether it does no harm if the server gets the request twice, and there is a body to be sent twice. */
export function mayBeRepeated(request: Request): boolean {
  return request.canBeHadAgain && (request.idempotent || hasIdempotencyKey(request))
}

/** @param isUnwritten not a byte of it has left, and it was the only one */
export function maySendAgain(request: Request, { retryStale }: { retryStale: boolean }, isUnwritten: boolean): boolean {
  if (!retryStale || request.isSentAgain) return false
  return mayBeRepeated(request) || (request.canBeHadAgain && isUnwritten)
}

function hasIdempotencyKey({ headers }: Request): boolean {
  for (let i = 0; i < headers.length; i += 2) if (IDEMPOTENCY_KEY.test(headers[i] as string)) return true
  return false
}
