/** The sending half of a connection: a request's head and body onto the wire, one request at a time. */
import { Buffer } from 'node:buffer'
import { publishSendHeaders } from '../diagnostics.js'
import { RequestContentLengthMismatchError } from '../errors.js'
import { EXPECT_CONTINUE, formatHead, framingLine, requestFraming } from '../http1/request-head.js'
import { type BodyIterable, isStream, openBody, type Payload, type StreamBody } from '../request/body.js'
import type { Request } from '../request/request.js'
import type { Wire } from '../transport/wire.js'
import { type BodyPump, BytesPump, IterablePump, type PumpOwner, StreamPump } from './body-pump.js'
import { type BodyOwner, BodyWriter } from './body-writer.js'

/** Whose requests are sent. */
export interface WriterOwner extends BodyOwner {
  readonly isOpen: boolean
  /** The upload is over, and so is its request's part of the connection: the last byte was handed to the wire. */
  onUploaded(): void
  /** The upload is over: its source has failed, or did not keep its word. Its request is told after this. */
  onUploadFailed(): void
}

/** Up to this size a body is copied behind its head, which is cheaper than a second system call. */
const COPY_LIMIT = 16_384

/** Methods whose announced length is not held against their body (undici client-h1, shouldSendContentLength). */
const UNCHECKED_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT'])

/** What is the same for all requests to an origin. */
export interface SendingRules {
  /** The value of Host for requests that bring none. */
  readonly host: string
  /** A body that is not as long as announced is an error, not a warning. */
  readonly strictContentLength: boolean
}

/**
 * A request's body in the form in which {@link sendRequest} takes it. Fails the request for a body that is not as long
 * as announced (RequestContentLengthMismatchError), or whose type cannot be sent (InvalidArgumentError).
 *
 * @returns `null` when the request has failed
 */
export function openPayload(request: Request, rules: SendingRules): Payload | null {
  try {
    return checkedPayload(request, rules)
  } catch (error) {
    request.fail(error)
    return null
  }
}

function checkedPayload(
  { method, contentLength, contentType, payload, asksFirst }: Request,
  { strictContentLength }: SendingRules,
): Payload {
  const opened = openBody(payload, contentType !== null, asksFirst)
  const { length } = opened
  const isAsAnnounced = contentLength === null || length === null || length === 0 || contentLength === length
  if (isAsAnnounced || UNCHECKED_METHODS.has(method)) return opened
  const error = new RequestContentLengthMismatchError()
  if (strictContentLength) throw error
  process.emitWarning(error)
  return opened
}

/**
 * Sends a request, but for a body that comes piece by piece, or is held back.
 *
 * @param close say that no further request follows on the connection
 * @returns that one's upload, to be started, or when it is held back as soon as it is asked for; or `null` when all has
 *   been sent
 */
export function sendRequest(
  wire: Wire,
  request: Request,
  { source, length, contentType }: Payload,
  close: boolean,
  { host, strictContentLength }: SendingRules,
  owner: WriterOwner,
): Upload | null {
  request.adoptContentType(contentType)
  const isHeldBack = request.asksFirst && announcesContent(length, request.contentLength)
  let head = formatHead(request, request.host ?? host, close)
  if (isHeldBack) head += EXPECT_CONTINUE
  if (request.typeOfService != null) wire.setTypeOfService(request.typeOfService)
  publishSendHeaders(request, head, wire)
  // Whoever was told may have ended the request, or its connection.
  if (request.isOver || !owner.isOpen) return null
  const framing = requestFraming(request.method, length, request.contentLength)
  if (source === null || length === 0) {
    wire.sendLatin1(`${head}${framingLine(framing)}`, false)
    request.onRequestSent()
    return null
  }
  if (source instanceof Uint8Array && !isHeldBack) {
    owner.onBodyBegins(request)
    sendBytes(wire, `${head}${framingLine(framing)}`, source)
    request.onBodySent(source)
    if (!request.isOver) request.onRequestSent()
    return null
  }
  const writer = new BodyWriter(owner, wire, request, head, framing, strictContentLength)
  if (isHeldBack) writer.sendHead()
  return new Upload(owner, request, writer, source, length, isHeldBack)
}

/** Only then a 100 (Continue) may be asked for: RFC 9110 10.1.1. */
const announcesContent = (length: number | null, declared: number | null): boolean =>
  length === null ? declared !== 0 : length > 0

/** A body that is sent piece by piece, or after its head. */
export class Upload implements PumpOwner {
  /** Its head asks for a 100 (Continue): see {@link HeldBody}. */
  readonly isHeldBack: boolean
  readonly #owner: WriterOwner
  readonly #request: Request
  readonly #writer: BodyWriter
  readonly #pump: BodyPump
  #hasBegun = false

  constructor(
    owner: WriterOwner,
    request: Request,
    writer: BodyWriter,
    source: Uint8Array | StreamBody | BodyIterable,
    length: number | null,
    isHeldBack: boolean,
  ) {
    this.isHeldBack = isHeldBack
    this.#owner = owner
    this.#request = request
    this.#writer = writer
    if (source instanceof Uint8Array) this.#pump = new BytesPump(source, writer, this)
    else if (isStream(source)) this.#pump = new StreamPump(source, writer, this)
    else this.#pump = new IterablePump(source, length, writer, this)
  }

  /** It lacks nothing but its source's word that this was all. */
  get isFull(): boolean {
    return this.#writer.isFull
  }

  start(): void {
    this.#hasBegun = true
    this.#request.hasBodyBegun = true
    // The source is the caller's code.
    this.#request.run(() => this.#pump.start())
  }

  /** The wire takes more. */
  onDrain(): void {
    // Before that it was the head that it had no room for.
    if (this.#hasBegun) this.#pump.onDrain()
  }

  /** Stops. The source is told, and why; the owner is not. */
  cancel(error?: Error): void {
    this.#pump.cancel(error)
  }

  bodySent(): void {
    this.#owner.onUploaded()
  }

  bodyFailed(error: unknown): void {
    this.#owner.onUploadFailed()
    this.cancel(error instanceof Error ? error : undefined)
    // The response is complete, and what was sent is what was announced: this concerns nobody any more.
    if (this.#request.completed) this.#owner.onUploaded()
    else this.#request.abort(error)
  }
}

function sendBytes(wire: Wire, head: string, bytes: Uint8Array): void {
  if (bytes.byteLength <= COPY_LIMIT) {
    wire.send(Buffer.concat([Buffer.from(head, 'latin1'), bytes]), false)
  } else {
    wire.sendLatin1(head, true)
    wire.send(bytes, false)
  }
}
