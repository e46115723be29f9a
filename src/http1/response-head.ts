/** A response's status line and fields, and what they say about the connection. */
import type { FieldSection } from './field-section.js'

export interface ResponseHead {
  statusCode: number
  /** The reason phrase, decoded as UTF-8; '' when there is none. */
  statusText: string
  fields: FieldSection
  /** The peer means to keep the connection open: RFC 9112 9.3. */
  shouldKeepAlive: boolean
  /** It does so only because a response to HEAD has no content whose end would have to be found: RFC 9110 9.3.2. */
  isKeptForHead: boolean
  /** The peer's `Keep-Alive: timeout=` in seconds, or `null`. */
  keepAliveHint: number | null
  /** What follows is another message, not its content: false for 204 and 304 that announce some, but not to HEAD. */
  isSound: boolean
}

/** How the end of a response's body is found: RFC 9112 6.3. */
export type Framing =
  | { kind: 'sized'; length: number }
  | { kind: 'chunked' }
  | { kind: 'until-close' }
  | { kind: 'tunnel' }

/** What decides the framing, besides the request's method. */
export interface FramingFacts {
  status: number
  /** The response switches protocols: 101 with Upgrade. */
  upgrade: boolean
  isChunked: boolean
  hasTransferEncoding: boolean
  /** In bytes, -1 when absent. */
  contentLength: number
}

const NONE: Framing = { kind: 'sized', length: 0 }
const CHUNKED: Framing = { kind: 'chunked' }
const UNTIL_CLOSE: Framing = { kind: 'until-close' }
const TUNNEL: Framing = { kind: 'tunnel' }

/**
 * RFC 9112 6.3, by its numbered steps. Steps 3 and 5 (both Transfer-Encoding and Content-Length, and invalid or
 * differing lengths) are refused by llhttp before this is asked.
 */
export function framingOf(method: string, facts: FramingFacts): Framing {
  const { status } = facts
  // 2, and 101 (RFC 9110 15.2.2): what follows is not HTTP. Any status, since undici hands out the socket for any.
  if (method === 'CONNECT' || facts.upgrade) return TUNNEL
  // 1.
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return NONE
  // 4.
  if (facts.isChunked) return CHUNKED
  if (facts.hasTransferEncoding) return UNTIL_CLOSE
  // 6.
  const length = facts.contentLength
  if (length >= 0) return length === 0 ? NONE : { kind: 'sized', length }
  // 8.
  return UNTIL_CLOSE
}

/** Whether Connection has the option keep-alive, and not close; as undici 8. */
export function saysKeepAlive(value: string): boolean {
  return /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/i.test(value) && !/(?:^|,)[\t ]*close[\t ]*(?:,|$)/i.test(value)
}

/** `timeout=` of a Keep-Alive field (RFC 2068 19.7.1) in seconds; as undici 8, whatever the case. */
export function keepAliveHint(value: string): number | null {
  if (value === '') return null
  const at = value.search(/timeout=\d/i)
  return at < 0 ? null : Number.parseInt(value.slice(at + 'timeout='.length), 10)
}
