/**
 * One request from dispatch() to its last callback: the options, validated once with undici's rules and words, and the
 * handler. Its public fields are those that undici's diagnostics channels show.
 *
 * Invariant: the handler hears of the end exactly once, by its end callback or its error callback. A handler that
 * throws aborts its own request and nothing else.
 */
import { AsyncResource } from 'node:async_hooks'
import type { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import {
  publishBodyChunkReceived,
  publishBodyChunkSent,
  publishBodySent,
  publishCreate,
  publishError,
  publishHeaders,
  publishTrailers,
} from '../diagnostics.js'
import { RequestAbortedError } from '../errors.js'
import type { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'
import { throwLater } from '../reactor/scheduler.js'
import { classifyBody, destroyBody, isOneShot, leaveStream, type RequestBody, type StreamBody } from './body.js'
import { type ExchangeControl, type HandlerPort, handlerPort, type OptionalCallback } from './handler.js'
import { addHeader, addHeaders, type HeaderFields } from './header-validation.js'
import { isIdempotent, serverName, validate, withQuery } from './validation.js'
import { listenForWithdrawal, type WithdrawalOptions } from './withdrawal.js'

/** Told once when a request is over, whatever its end. */
export interface RequestTracker {
  requestOver(request: Request): void
}

/** Who has the request now: a connection, or before that whoever makes it wait for one. */
export interface RequestCarrier {
  /** The handler wants its response's flow to go on. */
  resumeResponse(request: Request): void
  /** The request was aborted, and its handler knows it. */
  requestAborted(request: Request): void
}

/** Nobody has to be told when it is collected: to arrange for that costs more than the request. */
const UNWATCHED = { requireManualDestroy: true }

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
  /** It keeps the process alive. Of its tracker. */
  isHolding = false
  /** Its body was begun to be read. Of whoever sends it. */
  hasBodyBegun = false
  #isSentAgain = false
  /** A server did not know how to be asked. */
  #asksNoMore = false
  readonly #port: HandlerPort
  /** Its callbacks run in the async context of dispatch(), whatever brings them about. */
  readonly #context = new AsyncResource('RecyclingAgentRequest', UNWATCHED)
  readonly #tracker: RequestTracker
  #carrier: RequestCarrier | null = null
  /** Its start callback has been called, for the carrier that it has now. */
  #isStarted = false
  #stopListening: (() => void) | null = null
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
    this.idempotent = options.idempotent ?? isIdempotent(method)
    this.blocking = options.blocking ?? method !== 'HEAD'
    this.reset = reset ?? null
    addHeaders(this, headers as Parameters<typeof addHeaders>[1])
    this.#port = handlerPort(handler, this.wantsTunnel)
    this.servername = (options as { servername?: string }).servername || serverName(this.host)
    if (this.payload.kind === 'stream') this.#watchBody()
    publishCreate(this, handler)
  }

  /** The connection stops being HTTP if the peer agrees. */
  get wantsTunnel(): boolean {
    return this.upgrade !== null || this.method === 'CONNECT'
  }

  get isOver(): boolean {
    return this.completed || this.aborted
  }

  /** It was lost once, and goes to a new connection now. */
  get isSentAgain(): boolean {
    return this.#isSentAgain
  }

  /** It asks the server before it sends its body, if there turns out to be one: RFC 9110 10.1.1. */
  get asksFirst(): boolean {
    return this.expectContinue && !this.#asksNoMore && this.payload.kind !== 'none' && !this.wantsTunnel
  }

  /** It is to be sent once more, and without asking: the server does not take such requests. */
  askNoMore(): void {
    this.#asksNoMore = true
  }

  /** Its body, if it has one, can be read once more, or has been held back: then it can be read. */
  get canBeHadAgain(): boolean {
    return !isOneShot(this.payload) || (this.asksFirst && !this.hasBodyBegun)
  }

  /** Adds a field before the request is written, by the rules of the constructor. */
  addHeader(name: string, value: unknown): this {
    addHeader(this, name, value)
    return this
  }

  /** The type that the body itself implies is sent unless the caller gave one; once, however often it is sent. */
  adoptContentType(type: string | null): void {
    if (type === null || this.contentType !== null) return
    this.contentType = type
    this.headers.push('content-type', type)
  }

  /** That of dispatch(). */
  get context(): AsyncResource {
    return this.#context
  }

  /** Runs what belongs to the request, and is not one of its callbacks, in its async context. */
  run(work: () => void): void {
    this.#context.runInAsyncScope(work)
  }

  /** It is with `carrier` from now on, and waits to be written. */
  carriedBy(carrier: RequestCarrier): void {
    this.#carrier = carrier
  }

  /**
   * Until the request is written its caller can withdraw it, by the means of undici's API: it fails at once
   * then, and its carrier is told.
   *
   * @param options those that it was made of
   */
  mayBeWithdrawn(options: WithdrawalOptions): void {
    try {
      const stopListening = listenForWithdrawal(options, (reason) => this.#withdraw(reason))
      if (this.isOver || this.#isStarted) stopListening()
      else this.#stopListening = stopListening
    } catch (error) {
      this.abort(error)
    }
  }

  /** The request is about to be written. @returns false when it is over already */
  start(carrier: RequestCarrier): boolean {
    if (this.isOver) return false
    this.#carrier = carrier
    this.#isStarted = true
    this.#leaveSignal()
    // A signal of the caller's may have ended it just now.
    if (this.isOver) return false
    this.isPaused = false
    if (this.#bodyError !== null) {
      this.fail(this.#bodyError)
      return false
    }
    try {
      this.#context.runInAsyncScope(this.#port.onStart, this.#port, this)
    } catch (error) {
      this.fail(error)
    }
    return !this.isOver
  }

  /** Its connection ended before anything was answered: it is with `carrier` now, and waits for another one. */
  unstart(carrier: RequestCarrier): void {
    this.#carrier = carrier
    this.#isStarted = false
  }

  /** It was lost with its connection, and is to be sent once more: this once. */
  sendAgain(): void {
    this.#isSentAgain = true
  }

  onResponseBegin(): void {
    this.#callIfThere('onResponseStarted', this.#port.onResponseBegin)
  }

  onHead(head: ResponseHead): void {
    publishHeaders(this, head)
    // Whoever was told, here or below, may have ended the request.
    if (this.isOver) return
    try {
      this.#context.runInAsyncScope(this.#port.onHead, this.#port, head)
    } catch (error) {
      this.abort(error)
    }
    if (head.statusCode < 200) this.isPaused = false
  }

  onData(chunk: Buffer): void {
    publishBodyChunkReceived(this, chunk)
    if (this.isOver) return
    try {
      this.#context.runInAsyncScope(this.#port.onData, this.#port, chunk)
    } catch (error) {
      this.abort(error)
    }
  }

  onEnd(trailers: FieldSection): void {
    this.completed = true
    this.#carrier = null
    this.#leaveBody()
    publishTrailers(this, trailers)
    try {
      this.#context.runInAsyncScope(this.#port.onEnd, this.#port, trailers)
    } catch (error) {
      this.#deliverError(error)
    }
    this.#tracker.requestOver(this)
  }

  /**
   * Destroys the socket when nobody has taken it: the request was aborted, before this or by its handler within it. What
   * the handler throws is the socket's error, too (undici client-h1, onUpgrade): whoever has taken it hears of it.
   */
  onUpgrade(head: ResponseHead, socket: Duplex): void {
    this.#leaveBody()
    this.#carrier = null
    publishHeaders(this, head)
    try {
      if (!this.isOver) this.#context.runInAsyncScope(this.#port.onUpgrade, this.#port, head, socket)
    } catch (error) {
      this.fail(error)
      socket.destroy(error as Error)
    }
    if (this.aborted) {
      // Within its callback, or before it: nobody has the socket.
      socket.destroy()
      return
    }
    this.completed = true
    publishTrailers(this, null)
    this.#tracker.requestOver(this)
  }

  onBodySent(chunk: unknown): void {
    publishBodyChunkSent(this, chunk)
    if (!this.isOver) this.#callIfThere('onBodySent', this.#port.onBodySent, chunk)
  }

  onRequestSent(): void {
    publishBodySent(this)
    if (!this.isOver) this.#callIfThere('onRequestSent', this.#port.onRequestSent)
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
    this.#end(reason || new RequestAbortedError())
    destroyBody(this.payload)
    carrier?.requestAborted(this)
  }

  /** Ends the request, and its body, with an error. No-op when it is over. */
  fail(error: unknown): void {
    if (this.isOver) return
    this.#end(error)
    destroyBody(this.payload, error instanceof Error ? error : undefined)
  }

  /** As its signal has it, whose owner has no controller yet. */
  #withdraw(reason: unknown): void {
    if (this.isOver || this.#isStarted) return
    const error = reason ?? new RequestAbortedError()
    this.#port.onWithdrawn(error)
    this.abort(error)
  }

  #leaveSignal(): void {
    const stopListening = this.#stopListening
    if (stopListening === null) return
    this.#stopListening = null
    try {
      stopListening()
    } catch {
      // A signal of the caller's that cannot be left: what it says from now on has no effect.
    }
  }

  #end(error: unknown): void {
    // First: the body, and the signal, are the caller's.
    this.aborted = true
    this.#carrier = null
    this.#leaveBody()
    this.#leaveSignal()
    this.#deliverError(error)
    this.#tracker.requestOver(this)
  }

  #deliverError(error: unknown): void {
    this.aborted = true
    publishError(this, error)
    try {
      this.#context.runInAsyncScope(this.#port.onError, this.#port, error)
    } catch (thrown) {
      // An error callback may not throw; undici lets it surface as an uncaught exception.
      throwLater(thrown)
    }
  }

  /** Entering the request's context costs more than most of what is done in it: not for a callback that is not there. */
  #callIfThere(name: OptionalCallback, callback: (argument: unknown) => void, argument?: unknown): void {
    try {
      if (this.#port.has(name)) this.#context.runInAsyncScope(callback, this.#port, argument)
    } catch (error) {
      this.abort(error)
    }
  }

  /** A stream may fail before there is a connection to fail with it. */
  #watchBody(): void {
    if (this.payload.kind !== 'stream') return
    const { stream } = this.payload
    this.#onBodyError = (error) => {
      if (this.#isStarted) this.abort(error)
      else this.#bodyError = error
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
    this.#onBodyError = null
    this.#onBodyEnd = null
    // A stream that is destroyed with an error emits it later: somebody has to listen until then.
    if (onBodyError !== null) listenToNothing(stream)
    leaveStream(stream, { error: onBodyError, end: onBodyEnd })
  }
}

function ignore(): void {}

function listenToNothing(stream: StreamBody): void {
  try {
    stream.on('error', ignore)
  } catch {
    // What only looks like a stream of Node's may throw.
  }
}
