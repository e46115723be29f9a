/** The sending half of HTTP/1.1 as pure functions: what goes onto the wire before, between and after the body. */

/** What a request says by itself. All strings have been validated: nothing is escaped here. */
export interface RequestHead {
  method: string
  /** The request target, as it goes onto the wire. */
  path: string
  /** The protocol to switch to, or `null`. */
  upgrade: string | null
  /** Names and values by turns; a value may be an array, one line per element. */
  headers: ReadonlyArray<string | readonly string[]>
}

/** What most heads have in common with the one before: from the end of the request line to the end of Connection. */
let middle = ''
let middleHost = ''
let middleConnection = ''

function formatMiddle(host: string, connection: string): string {
  if (host !== middleHost || connection !== middleConnection) {
    middle = ` HTTP/1.1\r\nhost: ${host}\r\nconnection: ${connection}\r\n`
    middleHost = host
    middleConnection = connection
  }
  return middle
}

/**
 * Request line, Host and Connection, then the fields in their order (undici client-h1). Without the framing field and
 * without the empty line: {@link framingLine} follows.
 *
 * @param close say that no further request follows on the connection
 */
export function formatHead({ method, path, upgrade, headers }: RequestHead, host: string, close: boolean): string {
  let connection = close ? 'close' : 'keep-alive'
  if (upgrade !== null) connection = `upgrade\r\nupgrade: ${upgrade}`
  let head = `${method} ${path}${formatMiddle(host, connection)}`
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1]!
    // Whoever changed the list behind our back may have put other things than strings into it.
    if (Array.isArray(value)) for (const element of value) head += `${name}: ${element}\r\n`
    else head += `${name}: ${value}\r\n`
  }
  return head
}

/** The field line that asks for a 100 (Continue) before the body is sent: RFC 9110 10.1.1. */
export const EXPECT_CONTINUE = 'expect: 100-continue\r\n'

/** How the end of a request's body is marked: RFC 9112 6. */
export type RequestFraming = { kind: 'none' } | { kind: 'sized'; length: number } | { kind: 'chunked' }

const NONE: RequestFraming = { kind: 'none' }
const CHUNKED: RequestFraming = { kind: 'chunked' }

const PAYLOAD_METHODS: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])

/** The method's semantics anticipate content: RFC 9110 8.6, with undici's list of methods. */
export const expectsPayload = (method: string): boolean => PAYLOAD_METHODS.has(method)

/**
 * @param length of the body in bytes; `null` when it is not known before the body has been read
 * @param declared the caller's Content-Length, or `null`
 */
export function requestFraming(method: string, length: number | null, declared: number | null): RequestFraming {
  if (length === 0) return expectsPayload(method) ? { kind: 'sized', length: 0 } : NONE
  if (length !== null) return { kind: 'sized', length }
  if (declared !== null) return { kind: 'sized', length: declared }
  return CHUNKED
}

/** The framing field and the empty line that ends the head. */
export function framingLine(framing: RequestFraming): string {
  switch (framing.kind) {
    case 'none':
      return '\r\n'
    case 'sized':
      return `content-length: ${framing.length}\r\n\r\n`
    case 'chunked':
      return 'transfer-encoding: chunked\r\n\r\n'
  }
}

/** What stands before a chunk's data: RFC 9112 7.1. */
export const chunkPrefix = (length: number): string => `${length.toString(16)}\r\n`

/** What stands behind a chunk's data. */
export const CHUNK_SUFFIX = '\r\n'

/** The last chunk and an empty trailer section. */
export const LAST_CHUNK = '0\r\n\r\n'
