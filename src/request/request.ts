/**
 * One request from dispatch() to its last callback: the options, validated once with undici's rules and words, and the
 * handler. Its public fields are those that undici's diagnostics channels show.
 *
 * Invariant: the handler hears of the end exactly once, by its end callback or its error callback. A handler that
 * throws aborts its own request and nothing else.
 */
import type { Buffer } from 'node:buffer'
import { isIP } from 'node:net'
import { stringify } from 'node:querystring'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { InvalidArgumentError, RequestAbortedError } from '../errors.js'
import type { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'
import { throwLater } from '../reactor/scheduler.js'
import { classifyBody, destroyBody, type RequestBody } from './body.js'
import { type ExchangeControl, type HandlerPort, handlerPort } from './handler.js'
import { addHeader, addHeaders, type HeaderFields, isFieldValue, isToken } from './header-validation.js'

/** Told once when a request is over, whatever its end. */
export interface RequestTracker {
  requestOver(request: Request): void
}

/** Who carries the request now. */
export interface RequestCarrier {
  /** The handler wants its response's flow to go on. */
  resumeResponse(request: Request): void
  /** The request was aborted, and its handler knows it. */
  requestAborted(request: Request): void
}

const INVALID_PATH = /[^\u0021-\u00ff]/

export class Request implements ExchangeControl, HeaderFields {
  readonly origin: string
  readonly protocol: string
  readonly path: string
  readonly method: string
  readonly upgrade: string | null
  readonly idempotent: boolean
  readonly blocking: boolean
  readonly headersTimeout: number | null | undefined
  readonly bodyTimeout: number | null | undefined
  readonly typeOfService: number | null | undefined
  readonly expectContinue: boolean
  readonly throwOnError = undefined
  readonly servername: string | null
  /** The caller's body. */
  readonly body: unknown
  readonly payload: RequestBody
  headers: (string | string[])[] = []
  host: string | null = null
  contentLength: number | null = null
  contentType: string | string[] | null = null
  reset: boolean | null
  completed = false
  aborted = false
  /** The handler does not take more of the response for now. */
  isPaused = false
  readonly #port: HandlerPort
  readonly #tracker: RequestTracker
  #carrier: RequestCarrier | null = null
  #bodyError: Error | null = null
  #onBodyError: ((error: Error) => void) | null = null
  #onBodyEnd: (() => void) | null = null

  /** @throws InvalidArgumentError, NotSupportedError, or a plain Error for a query on a path that has one */
  constructor(
    origin: string,
    protocol: string,
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    tracker: RequestTracker,
  ) {
    const { path, method, body, headers, query, upgrade, reset } = options
    validate(options)
    this.#tracker = tracker
    this.origin = origin
    this.protocol = protocol
    this.method = method
    this.headersTimeout = options.headersTimeout
    this.bodyTimeout = options.bodyTimeout
    this.typeOfService = options.typeOfService
    this.expectContinue = options.expectContinue ?? false
    this.payload = classifyBody(body)
    this.body = this.payload.kind === 'none' ? null : this.payload.kind === 'bytes' ? this.payload.bytes : body
    this.upgrade = (upgrade as string | null | undefined) || null
    this.path = query ? withQuery(path, query) : path
    this.idempotent = options.idempotent ?? (method === 'HEAD' || method === 'GET')
    this.blocking = options.blocking ?? method !== 'HEAD'
    this.reset = reset ?? null
    addHeaders(this, headers as Parameters<typeof addHeaders>[1])
    this.#port = handlerPort(handler, this.wantsTunnel)
    this.servername =
      (options as { servername?: string }).servername || (this.host === null ? null : serverName(this.host))
    if (this.payload.kind === 'stream') this.#watchBody()
  }

  /** The connection stops being HTTP if the peer agrees. */
  get wantsTunnel(): boolean {
    return this.upgrade !== null || this.method === 'CONNECT'
  }

  get isOver(): boolean {
    return this.completed || this.aborted
  }

  /** Adds a field before the request is written, by the rules of the constructor. */
  addHeader(name: string, value: unknown): this {
    addHeader(this, name, value)
    return this
  }

  /** The request is about to be written. @returns false when it is over already */
  start(carrier: RequestCarrier): boolean {
    // Aborted while it waited to be sent again.
    if (this.isOver) return false
    this.#carrier = carrier
    this.isPaused = false
    if (this.#bodyError !== null) {
      this.fail(this.#bodyError)
      return false
    }
    try {
      this.#port.onStart(this)
    } catch (error) {
      this.fail(error)
    }
    return !this.isOver
  }

  /** The connection ended before anything was written: the request waits for another one. */
  unstart(): void {
    this.#carrier = null
  }

  onResponseBegin(): void {
    this.#guard(() => this.#port.onResponseBegin())
  }

  onHead(head: ResponseHead): void {
    try {
      this.#port.onHead(head)
    } catch (error) {
      this.abort(error)
    }
    if (head.statusCode < 200) this.isPaused = false
  }

  onData(chunk: Buffer): void {
    try {
      this.#port.onData(chunk)
    } catch (error) {
      this.abort(error)
    }
  }

  onEnd(trailers: FieldSection): void {
    this.#leaveBody()
    this.completed = true
    this.#carrier = null
    try {
      this.#port.onEnd(trailers)
    } catch (error) {
      this.#deliverError(error)
    }
    this.#tracker.requestOver(this)
  }

  /** Destroys the socket when nobody has taken it: the request was aborted, before this or by its handler within it. */
  onUpgrade(head: ResponseHead, socket: Duplex): void {
    this.#leaveBody()
    this.#carrier = null
    try {
      if (!this.isOver) this.#port.onUpgrade(head, socket)
    } catch (error) {
      this.fail(error)
    }
    if (this.aborted) {
      socket.destroy()
      return
    }
    this.completed = true
    this.#tracker.requestOver(this)
  }

  onBodySent(chunk: unknown): void {
    this.#guard(() => this.#port.onBodySent(chunk))
  }

  onRequestSent(): void {
    this.#guard(() => this.#port.onRequestSent())
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.#carrier?.resumeResponse(this)
  }

  /** Ends the request by its handler's will, or for what its handler or its body threw. No-op when it is over. */
  abort(reason?: unknown): void {
    if (this.isOver) return
    const carrier = this.#carrier
    this.fail(reason || new RequestAbortedError())
    destroyBody(this.payload)
    carrier?.requestAborted(this)
  }

  /** Ends the request with an error. No-op when it is over. */
  fail(error: unknown): void {
    if (this.isOver) return
    this.#leaveBody()
    this.aborted = true
    this.#carrier = null
    this.#deliverError(error)
    this.#tracker.requestOver(this)
  }

  #deliverError(error: unknown): void {
    this.aborted = true
    try {
      this.#port.onError(error)
    } catch (thrown) {
      // An error callback may not throw; undici lets it surface as an uncaught exception.
      throwLater(thrown)
    }
  }

  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.abort(error)
    }
  }

  /** A stream may fail before there is a connection to fail with it. */
  #watchBody(): void {
    if (this.payload.kind !== 'stream') return
    const { stream } = this.payload
    this.#onBodyError = (error) => {
      if (this.#carrier === null) this.#bodyError = error
      else this.abort(error)
    }
    stream.on('error', this.#onBodyError)
    if (stream._readableState?.autoDestroy) return
    this.#onBodyEnd = () => destroyBody(this.payload)
    stream.on('end', this.#onBodyEnd)
  }

  #leaveBody(): void {
    if (this.payload.kind !== 'stream') return
    const { stream } = this.payload
    const { onBodyError, onBodyEnd } = { onBodyError: this.#onBodyError, onBodyEnd: this.#onBodyEnd }
    // A stream that is destroyed with an error emits it later: somebody has to listen until then.
    if (onBodyError !== null) {
      stream.on('error', ignore)
      stream.removeListener('error', onBodyError)
    }
    if (onBodyEnd !== null) stream.removeListener('end', onBodyEnd)
    this.#onBodyError = null
    this.#onBodyEnd = null
  }
}

function ignore(): void {}

function validate(options: Dispatcher.DispatchOptions): void {
  const { path, method, upgrade, headersTimeout, bodyTimeout, reset, expectContinue, throwOnError } = options
  const { typeOfService } = options
  if (typeof path !== 'string') throw new InvalidArgumentError('path must be a string')
  if (path[0] !== '/' && !path.startsWith('http://') && !path.startsWith('https://') && method !== 'CONNECT') {
    throw new InvalidArgumentError('path must be an absolute URL or start with a slash')
  }
  if (INVALID_PATH.test(path)) throw new InvalidArgumentError('invalid request path')
  if (typeof method !== 'string') throw new InvalidArgumentError('method must be a string')
  if (!isToken(method)) throw new InvalidArgumentError('invalid request method')
  if (upgrade && typeof upgrade !== 'string') throw new InvalidArgumentError('upgrade must be a string')
  if (upgrade && !isFieldValue(upgrade as string)) throw new InvalidArgumentError('invalid upgrade header')
  assertTimeout('headersTimeout', headersTimeout)
  assertTimeout('bodyTimeout', bodyTimeout)
  if (reset != null && typeof reset !== 'boolean') throw new InvalidArgumentError('invalid reset')
  if (expectContinue != null && typeof expectContinue !== 'boolean') {
    throw new InvalidArgumentError('invalid expectContinue')
  }
  if (throwOnError != null) throw new InvalidArgumentError('invalid throwOnError')
  const { maxRedirections } = options as { maxRedirections?: unknown }
  if (maxRedirections != null && maxRedirections !== 0) {
    throw new InvalidArgumentError('maxRedirections is not supported, use the redirect interceptor')
  }
  if (typeOfService != null && (!Number.isInteger(typeOfService) || typeOfService < 0 || typeOfService > 255)) {
    throw new InvalidArgumentError('typeOfService must be an integer between 0 and 255')
  }
}

function assertTimeout(name: string, value: number | null | undefined): void {
  if (value != null && (!Number.isFinite(value) || value < 0)) throw new InvalidArgumentError(`invalid ${name}`)
}

function withQuery(path: string, query: Record<string, unknown>): string {
  if (path.includes('?') || path.includes('#')) {
    throw new Error('Query params cannot be passed when url already contains "?" or "#".')
  }
  const text = stringify(query as Parameters<typeof stringify>[0])
  return text === '' ? path : `${path}?${text}`
}

/** The name for TLS's SNI in a Host field's value; '' for an IP literal, which is none (RFC 6066 3). */
function serverName(host: string): string {
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.split(':', 1)[0]!
  return isIP(name) === 0 ? name : ''
}
