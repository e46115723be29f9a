/** The sending half of a connection: a request's head and body onto the wire, one request at a time. */
import { Buffer } from 'node:buffer'
import { publishSendHeaders } from '../diagnostics.js'
import { RequestContentLengthMismatchError } from '../errors.js'
import { formatHead, framingLine, requestFraming } from '../http1/request-head.js'
import { isStream, openBody, type Payload } from '../request/body.js'
import type { Request } from '../request/request.js'
import type { Wire } from '../transport/wire.js'
import { type BodyPump, IterablePump, type PumpOwner, StreamPump } from './body-pump.js'
import { BodyWriter } from './body-writer.js'

/** Who waits for a body that is sent piece by piece. */
export interface WriterOwner {
  readonly isOpen: boolean
  /** The first byte of the body is about to be sent: there is one. */
  onBodyBegins(request: Request): void
  /** The last byte was handed to the wire. Not called for bodies that {@link RequestWriter.send} sends at once. */
  onWritten(): void
}

/** Up to this size a body is copied behind its head, which is cheaper than a second system call. */
const COPY_LIMIT = 16_384

/** Methods whose announced length is not held against their body (undici client-h1, shouldSendContentLength). */
const UNCHECKED_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT'])

export class RequestWriter implements PumpOwner {
  readonly #owner: WriterOwner
  readonly #hostHeader: string
  readonly #strict: boolean
  #request: Request | null = null
  #pump: BodyPump | null = null
  #body: BodyWriter | null = null

  /**
   * @param hostHeader for requests that bring none
   * @param strict a body that is not as long as announced is an error, not a warning
   */
  constructor(owner: WriterOwner, hostHeader: string, strict: boolean) {
    this.#owner = owner
    this.#hostHeader = hostHeader
    this.#strict = strict
  }

  /** A body is being sent. */
  get isBusy(): boolean {
    return this.#pump !== null
  }

  /** While {@link isBusy}: the body that is being sent lacks nothing but its source's word that this was all. */
  get isFull(): boolean {
    return this.#body!.isFull
  }

  /**
   * The body in the form in which {@link send} takes it.
   *
   * @throws RequestContentLengthMismatchError when it is not as long as announced, InvalidArgumentError for its type
   */
  open({ method, contentLength, contentType, payload }: Request): Payload {
    const opened = openBody(payload, contentType !== null)
    const { length } = opened
    const isAsAnnounced = contentLength === null || length === null || length === 0 || contentLength === length
    if (isAsAnnounced || UNCHECKED_METHODS.has(method)) return opened
    const error = new RequestContentLengthMismatchError()
    if (this.#strict) throw error
    process.emitWarning(error)
    return opened
  }

  /** @param close say that no further request follows on the connection */
  send(wire: Wire, request: Request, close: boolean, { source, length, contentType }: Payload): void {
    request.adoptContentType(contentType)
    const head = formatHead(request, request.host ?? this.#hostHeader, close)
    if (request.typeOfService != null) wire.setTypeOfService(request.typeOfService)
    publishSendHeaders(request, head, wire)
    // Whoever was told may have ended the request, or its connection.
    if (request.isOver || !this.#owner.isOpen) return
    const framing = requestFraming(request.method, length, request.contentLength)
    if (source === null || length === 0) {
      wire.sendLatin1(`${head}${framingLine(framing)}`, false)
      request.onRequestSent()
    } else if (source instanceof Uint8Array) {
      this.#owner.onBodyBegins(request)
      sendBytes(wire, `${head}${framingLine(framing)}`, source)
      request.onBodySent(source)
      if (!request.isOver) request.onRequestSent()
    } else {
      const writer = new BodyWriter(wire, request, head, framing, this.#strict, () => this.#owner.onBodyBegins(request))
      this.#request = request
      this.#body = writer
      this.#pump = isStream(source)
        ? new StreamPump(source, writer, this)
        : new IterablePump(source, length, writer, this)
      const pump = this.#pump
      // The source is the caller's code.
      request.run(() => pump.start())
    }
  }

  /** The wire takes more. */
  onDrain(): void {
    this.#pump?.onDrain()
  }

  /** Stops sending. The body's source is told, and why. */
  cancel(error?: Error): void {
    const pump = this.#pump
    this.#forget()
    pump?.cancel(error)
  }

  bodySent(): void {
    this.#forget()
    this.#owner.onWritten()
  }

  bodyFailed(error: unknown): void {
    const request = this.#request
    this.cancel(error instanceof Error ? error : undefined)
    // The response is complete, and what was sent is what was announced: this concerns nobody any more.
    if (request?.completed) this.#owner.onWritten()
    else request?.abort(error)
  }

  #forget(): void {
    this.#pump = null
    this.#request = null
    this.#body = null
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
