/**
 * undici's two handler interfaces behind one. A handler is of the new kind exactly when it has `onRequestStart`
 * (undici unwrap-handler); the legacy kind gets raw header Buffers and answers with return values.
 */
import type { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { InvalidArgumentError } from '../errors.js'
import { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'

/** What a handler can do to its request's exchange. */
export interface ExchangeControl {
  pause(): void
  resume(): void
  abort(reason?: unknown): void
}

/** What a handler need not have. */
export type OptionalCallback = 'onResponseStarted' | 'onBodySent' | 'onRequestSent'

/** A handler of either kind. Every method may throw what the user's code throws. */
export interface HandlerPort {
  /** Whether the handler has that callback now. */
  has(callback: OptionalCallback): boolean
  /** The request is to fail before its start: by its caller's will, and not for anything that could be tried again. */
  onWithdrawn(reason: unknown): void
  onStart(control: ExchangeControl): void
  onResponseBegin(): void
  onHead(head: ResponseHead): void
  onData(chunk: Buffer): void
  onEnd(trailers: FieldSection): void
  onUpgrade(head: ResponseHead, socket: Duplex): void
  onError(error: unknown): void
  onBodySent(chunk: unknown): void
  onRequestSent(): void
}

type Handler = Dispatcher.DispatchHandler

/** Called by both kinds, though not in the types of all of undici's versions, or with other arguments there. */
interface SentCallbacks {
  onBodySent?(chunk: unknown): void
  onRequestSent?(): void
}
type ModernHandler = Omit<Handler, keyof SentCallbacks> & SentCallbacks
type LegacyHandler = Omit<Required<Handler>, keyof SentCallbacks> & SentCallbacks

/** @throws InvalidArgumentError for a handler that lacks a required method (undici assertRequestHandler) */
export function handlerPort(handler: Handler, wantsTunnel: boolean): HandlerPort {
  if (typeof handler.onRequestStart === 'function') {
    assertModernHandler(handler as ModernHandler, wantsTunnel)
    return new ModernPort(handler)
  }
  assertLegacyHandler(handler, wantsTunnel)
  return new LegacyPort(handler as Required<Handler>)
}

function hasCallback(handler: ModernHandler | LegacyHandler, callback: OptionalCallback): boolean {
  switch (callback) {
    case 'onResponseStarted':
      return handler.onResponseStarted != null
    case 'onBodySent':
      return handler.onBodySent != null
    case 'onRequestSent':
      return handler.onRequestSent != null
  }
}

/** Delivers an error that came up before there was a request. Throws it where the handler cannot take it. */
export function refuse(handler: Handler, error: unknown): void {
  if (typeof handler.onRequestStart === 'function') {
    if (typeof handler.onResponseError !== 'function') throw new InvalidArgumentError('invalid onError method')
    // There is no controller yet: undici 7 and 8 pass none either.
    handler.onResponseError(undefined as unknown as Dispatcher.DispatchController, error as Error)
  } else {
    if (typeof handler.onError !== 'function') throw error
    handler.onError(error as Error)
  }
}

/**
 * At dispatch, and again when it is called: the handler is the caller's, who may have changed it.
 *
 * @param method as it is now; looked up where its name is written down, as V8 has no inline cache for variable names
 */
function assertMethod(method: unknown, name: keyof Handler | OptionalCallback): void {
  if (typeof method !== 'function') throw new InvalidArgumentError(`invalid ${name} method`)
}

/**
 * A handler may do without most methods, as with undici 7. But without `onRequestUpgrade` nobody would take the socket: as
 * in undici 8 that is refused, and so is what is no function where we call it.
 */
function assertModernHandler(handler: ModernHandler, wantsTunnel: boolean): void {
  if (wantsTunnel) assertMethod(handler.onRequestUpgrade, 'onRequestUpgrade')
  if (handler.onBodySent != null) assertMethod(handler.onBodySent, 'onBodySent')
  if (handler.onRequestSent != null) assertMethod(handler.onRequestSent, 'onRequestSent')
}

function assertLegacyHandler(handler: Handler, wantsTunnel: boolean): void {
  assertMethod(handler.onConnect, 'onConnect')
  assertMethod(handler.onError, 'onError')
  if (handler.onBodySent !== undefined) assertMethod(handler.onBodySent, 'onBodySent')
  if (wantsTunnel) {
    assertMethod(handler.onUpgrade, 'onUpgrade')
  } else {
    assertMethod(handler.onHeaders, 'onHeaders')
    assertMethod(handler.onData, 'onData')
    assertMethod(handler.onComplete, 'onComplete')
  }
}

/** The controller that new handlers get (undici types/dispatcher, DispatchController). */
class RequestController implements Dispatcher.DispatchController {
  readonly #control: ExchangeControl
  #paused = false
  #aborted = false
  #reason: unknown = null
  /** As they came, or raw once they were asked for. */
  #headers: FieldSection | Buffer[] | null = null
  #trailers: FieldSection | Buffer[] | null = null

  constructor(control: ExchangeControl) {
    this.#control = control
  }

  get paused(): boolean {
    return this.#paused
  }

  get aborted(): boolean {
    return this.#aborted
  }

  get reason(): Error | null {
    return this.#reason as Error | null
  }

  /** The fields of the latest head, 1xx included, as flat name and value Buffers. */
  get rawHeaders(): Buffer[] | null {
    if (this.#headers instanceof FieldSection) this.#headers = this.#headers.toRaw()
    return this.#headers
  }

  /** Interceptors may change what the handlers above them see, as they may with undici's controllers. */
  set rawHeaders(fields: Buffer[] | null) {
    this.#headers = fields
  }

  get rawTrailers(): Buffer[] | null {
    if (this.#trailers instanceof FieldSection) this.#trailers = this.#trailers.toRaw()
    return this.#trailers
  }

  set rawTrailers(fields: Buffer[] | null) {
    this.#trailers = fields
  }

  pause(): void {
    this.#paused = true
    this.#control.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#control.resume()
  }

  abort(reason?: Error): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#reason = reason
    this.#control.abort(reason)
  }

  noteHead(fields: FieldSection): void {
    this.#headers = fields
  }

  noteTrailers(fields: FieldSection): void {
    this.#trailers = fields
  }

  /** A pause during a 1xx does not outlive it. */
  forgetPause(): void {
    this.#paused = false
  }
}

/** Of a request that was never written. */
const NO_EXCHANGE: ExchangeControl = { pause() {}, resume() {}, abort() {} }

class ModernPort implements HandlerPort {
  readonly #handler: ModernHandler
  #controller: RequestController | undefined

  constructor(handler: Handler) {
    this.#handler = handler as ModernHandler
  }

  has(callback: OptionalCallback): boolean {
    return hasCallback(this.#handler, callback)
  }

  onWithdrawn(reason: unknown): void {
    const controller = new RequestController(NO_EXCHANGE)
    controller.abort(reason as Error)
    this.#controller = controller
  }

  onStart(control: ExchangeControl): void {
    this.#controller = new RequestController(control)
    assertMethod(this.#handler.onRequestStart, 'onRequestStart')
    this.#handler.onRequestStart!(this.#controller, undefined)
  }

  onResponseBegin(): void {
    assertMethod(this.#handler.onResponseStarted, 'onResponseStarted')
    this.#handler.onResponseStarted!()
  }

  onHead({ statusCode, statusText, fields }: ResponseHead): void {
    const controller = this.#controller!
    controller.noteHead(fields)
    if (this.#handler.onResponseStart != null) {
      assertMethod(this.#handler.onResponseStart, 'onResponseStart')
      this.#handler.onResponseStart(controller, statusCode, fields.toRecord(), statusText)
    }
    if (statusCode < 200) controller.forgetPause()
  }

  onData(chunk: Buffer): void {
    if (this.#handler.onResponseData == null) return
    assertMethod(this.#handler.onResponseData, 'onResponseData')
    this.#handler.onResponseData(this.#controller!, chunk)
  }

  onEnd(trailers: FieldSection): void {
    this.#controller!.noteTrailers(trailers)
    if (this.#handler.onResponseEnd == null) return
    assertMethod(this.#handler.onResponseEnd, 'onResponseEnd')
    this.#handler.onResponseEnd(this.#controller!, trailers.toRecord())
  }

  onUpgrade({ statusCode, fields }: ResponseHead, socket: Duplex): void {
    this.#controller!.noteHead(fields)
    assertMethod(this.#handler.onRequestUpgrade, 'onRequestUpgrade')
    this.#handler.onRequestUpgrade!(this.#controller!, statusCode, fields.toRecord(), socket)
  }

  onError(error: unknown): void {
    const handler = this.#handler
    if (typeof handler.onResponseError !== 'function') throw new InvalidArgumentError('invalid onError method')
    handler.onResponseError(this.#controller as Dispatcher.DispatchController, error as Error)
  }

  onBodySent(chunk: unknown): void {
    assertMethod(this.#handler.onBodySent, 'onBodySent')
    this.#handler.onBodySent!(chunk)
  }

  onRequestSent(): void {
    assertMethod(this.#handler.onRequestSent, 'onRequestSent')
    this.#handler.onRequestSent!()
  }
}

class LegacyPort implements HandlerPort {
  readonly #handler: LegacyHandler
  #control: ExchangeControl | undefined
  #paused = false
  readonly #resume = (): void => {
    if (!this.#paused) return
    this.#paused = false
    this.#control!.resume()
  }

  constructor(handler: Required<Handler>) {
    this.#handler = handler as LegacyHandler
  }

  has(callback: OptionalCallback): boolean {
    return hasCallback(this.#handler, callback)
  }

  /** It has no way to see it. */
  onWithdrawn(): void {}

  onStart(control: ExchangeControl): void {
    this.#control = control
    assertMethod(this.#handler.onConnect, 'onConnect')
    this.#handler.onConnect((reason) => control.abort(reason))
  }

  onResponseBegin(): void {
    assertMethod(this.#handler.onResponseStarted, 'onResponseStarted')
    this.#handler.onResponseStarted!()
  }

  onHead({ statusCode, statusText, fields }: ResponseHead): void {
    // Exactly `false` pauses; for a 1xx it means nothing (undici client-h1).
    assertMethod(this.#handler.onHeaders, 'onHeaders')
    const goOn = this.#handler.onHeaders(statusCode, fields.toRaw(), this.#resume, statusText)
    if (goOn === false && statusCode >= 200) this.#pause()
  }

  onData(chunk: Buffer): void {
    assertMethod(this.#handler.onData, 'onData')
    if (this.#handler.onData(chunk) === false) this.#pause()
  }

  onEnd(trailers: FieldSection): void {
    assertMethod(this.#handler.onComplete, 'onComplete')
    // The type says strings; undici passes, and its consumers take, Buffers.
    this.#handler.onComplete(trailers.toRaw() as unknown as string[])
  }

  onUpgrade({ statusCode, fields }: ResponseHead, socket: Duplex): void {
    assertMethod(this.#handler.onUpgrade, 'onUpgrade')
    this.#handler.onUpgrade(statusCode, fields.toRaw(), socket)
  }

  onError(error: unknown): void {
    assertMethod(this.#handler.onError, 'onError')
    this.#handler.onError(error as Error)
  }

  onBodySent(chunk: unknown): void {
    assertMethod(this.#handler.onBodySent, 'onBodySent')
    this.#handler.onBodySent!(chunk)
  }

  onRequestSent(): void {
    assertMethod(this.#handler.onRequestSent, 'onRequestSent')
    this.#handler.onRequestSent!()
  }

  #pause(): void {
    this.#paused = true
    this.#control!.pause()
  }
}
