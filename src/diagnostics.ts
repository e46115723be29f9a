/**
 * undici's diagnostics channels, which are global by name: who subscribes to them sees this agent's requests, too.
 * One function per channel; each costs one look at the channel while nobody subscribes, and builds nothing then.
 *
 * What a subscriber throws goes to diagnostics_channel, which makes it an uncaught exception: never to the caller.
 */
import { type Channel, channel } from 'node:diagnostics_channel'

const create = channel('undici:request:create')
const bodyChunkSent = channel('undici:request:bodyChunkSent')
const bodySent = channel('undici:request:bodySent')
const headers = channel('undici:request:headers')
const bodyChunkReceived = channel('undici:request:bodyChunkReceived')
const trailers = channel('undici:request:trailers')
const error = channel('undici:request:error')
const beforeConnect = channel('undici:client:beforeConnect')
const connected = channel('undici:client:connected')
const connectError = channel('undici:client:connectError')
const sendHeaders = channel('undici:client:sendHeaders')

/** Under a symbol of this description undici's request has its handler: urllib looks there for what it has put on it. */
const HANDLER = Symbol('handler')

/** Field lines that can be shown as name and value Buffers by turns. */
interface RawFields {
  toRaw(): unknown[]
}

/** What the channels show of a response's head. */
interface Head {
  readonly statusCode: number
  readonly statusText: string
  readonly fields: RawFields
}

/** A connection: its `socket` is asked for only when somebody subscribes. */
interface Connected {
  readonly socket: object
}

/** What the channels show of a connection that is to be made, besides its origin. */
export interface ConnectFacts {
  readonly localAddress?: string | undefined
  /** What makes the connection, where it is a function of undici's signature. */
  readonly connectFunction?: unknown
}

/**
 * A request exists: its options are valid. In the caller's stack and async context, before anything else is done for
 * it. Subscribers may add fields, by `addHeader()` or in its `headers` array.
 *
 * @param request one object on all channels: subscribers know it by its identity
 * @param handler as dispatch() was given it
 */
export function publishCreate(request: object, handler: object): void {
  if (!create.hasSubscribers) return
  Object.defineProperty(request, HANDLER, { value: handler })
  create.publish({ request })
}

/** A piece of the request's body was handed to the connection, in the form in which it came. */
export function publishBodyChunkSent(request: object, chunk: unknown): void {
  if (bodyChunkSent.hasSubscribers) bodyChunkSent.publish({ request, chunk })
}

/** The request was sent whole, be its body empty or not. */
export function publishBodySent(request: object): void {
  if (bodySent.hasSubscribers) bodySent.publish({ request })
}

/** A response's head is there: also a 1xx, and one that ends HTTP on its connection. Before the handler hears of it. */
export function publishHeaders(request: object, { statusCode, statusText, fields }: Head): void {
  if (headers.hasSubscribers) {
    headers.publish({ request, response: { statusCode, headers: fields.toRaw(), statusText } })
  }
}

/** A piece of the response's body is there. Before the handler hears of it. */
export function publishBodyChunkReceived(request: object, chunk: Uint8Array): void {
  if (bodyChunkReceived.hasSubscribers) bodyChunkReceived.publish({ request, chunk })
}

/**
 * The response is complete, and so is the request: `request.completed` is true.
 *
 * @param fields `null` after an upgrade, which has none
 */
export function publishTrailers(request: object, fields: RawFields | null): void {
  if (trailers.hasSubscribers) trailers.publish({ request, trailers: fields?.toRaw() ?? [] })
}

/** The request has failed. Before the handler hears of it. Not for invalid options: then there is no request. */
export function publishError(request: object, reason: unknown): void {
  if (error.hasSubscribers) error.publish({ request, error: reason })
}

/** A connection to `origin` is about to be made. @param servername for TLS's SNI; `null` where there is none */
export function publishBeforeConnect(origin: string, facts: ConnectFacts, servername: string | null): void {
  if (beforeConnect.hasSubscribers) publishConnecting(beforeConnect, origin, facts, servername, {})
}

/** The connection is there, nothing has been sent on it. */
export function publishConnected(
  origin: string,
  facts: ConnectFacts,
  servername: string | null,
  connection: Connected,
): void {
  if (connected.hasSubscribers) publishConnecting(connected, origin, facts, servername, { socket: connection.socket })
}

/** The connection could not be made. Before the requests that wait for it fail. */
export function publishConnectError(
  origin: string,
  facts: ConnectFacts,
  servername: string | null,
  reason: unknown,
): void {
  if (connectError.hasSubscribers) publishConnecting(connectError, origin, facts, servername, { error: reason })
}

/**
 * The request's head is about to be written.
 *
 * @param head without the framing field and the empty line behind it, as undici has it
 */
export function publishSendHeaders(request: object, head: string, connection: Connected): void {
  if (sendHeaders.hasSubscribers) sendHeaders.publish({ request, headers: head, socket: connection.socket })
}

function publishConnecting(
  to: Channel,
  origin: string,
  { localAddress = null, connectFunction = ownConnector }: { [F in keyof ConnectFacts]: ConnectFacts[F] | null },
  servername: string | null,
  more: object,
): void {
  const { host, hostname: bracketed, protocol, port } = new URL(origin)
  const hostname = bracketed.startsWith('[') ? bracketed.slice(1, -1) : bracketed
  // The version of HTTP, as undici names it, is known once there is a connection.
  const version = to === connected ? 'h1' : undefined
  const connectParams = { host, hostname, protocol, port, version, servername, localAddress }
  to.publish({ connectParams, connector: connectFunction, ...more })
}

/** Stands where undici shows the function that makes its connections. */
function ownConnector(): never {
  throw new Error('the connections of this agent are made by itself only')
}
