/**
 * The requests of one connection, in the order in which they were written: what may be written next, and what becomes of
 * each of them when the connection ends. What may be written is in pipeline-state.ts; time, and how responses are read, is
 * the connection's business.
 *
 * Invariant: `first` is the request whose response is being read. A request is pending, starting, running or with
 * somebody else, never in two places.
 */
import type { ResponseHead } from '../http1/response-head.js'
import type { Deadlines } from '../reactor/deadlines.js'
import { isOneShot } from '../request/body.js'
import type { Request, RequestCarrier } from '../request/request.js'
import type { Wire } from '../transport/wire.js'
import { HeldBody } from './held-body.js'
import { nextState, type PipelineState, type PipelineStep } from './pipeline-state.js'
import { openPayload, type SendingRules, sendRequest, type Upload, type WriterOwner } from './request-writer.js'
import { closesAfterBody, closesBefore } from './reuse.js'

export interface PipelineOptions {
  /** How many requests may be unanswered at a time; 0: one, and the connection ends with it. */
  pipelining: number
  /** How many are written in all; 0: no limit. */
  maxRequestsPerClient: number
  /** How long a body waits for the server to ask for it, in milliseconds. */
  expectContinueTimeout: number
}

/** The connection, which carries the requests. */
export interface PipelineOwner extends RequestCarrier {
  /** A request goes onto the wire, and its response is the next to come. */
  onFirstRequest(request: Request): void
  /** The body that was being sent has been sent. */
  onUploaded(): void
}

export class Pipeline implements WriterOwner {
  readonly #owner: PipelineOwner
  readonly #rules: SendingRules
  readonly #options: PipelineOptions
  readonly #waits: Deadlines
  #state: PipelineState = 'ready'
  #pending: Request | null = null
  /** Its start callback is being called. */
  #starting: Request | null = null
  #running: Request[] = []
  /** Of the last one: no other is written meanwhile. */
  #upload: Upload | null = null
  /** Of the first request, whose head has asked for a 100 (Continue): it stays when the body has begun. */
  #held: HeldBody | null = null
  #requestCount = 0
  /** Of the wire, before the first request was written. */
  #bytesBefore = 0

  /** @param waits by the real clock */
  constructor(owner: PipelineOwner, rules: SendingRules, options: PipelineOptions, waits: Deadlines) {
    this.#owner = owner
    this.#rules = rules
    this.#options = options
    this.#waits = waits
  }

  /** The connection has not ended. */
  get isOpen(): boolean {
    return this.#state !== 'over'
  }

  /** The request whose response is being read. */
  get first(): Request | null {
    return this.#running[0] ?? null
  }

  /** How many were written and not answered yet. */
  get runningCount(): number {
    return this.#running.length
  }

  /** How many were given to {@link put} and not written yet. */
  get pendingCount(): number {
    return (this.#pending === null ? 0 : 1) + (this.#starting === null ? 0 : 1)
  }

  /** The one that was given to {@link put}. */
  get pending(): Request | null {
    return this.#pending
  }

  /** Whether {@link put} may be called. */
  get canTake(): boolean {
    return (
      this.#state === 'ready' &&
      this.#pending === null &&
      this.#upload === null &&
      this.#running.length < Math.max(1, this.#options.pipelining)
    )
  }

  /** Whether {@link write} may be called. */
  get canWrite(): boolean {
    const request = this.#pending
    if (request === null || this.#upload !== null || this.#state !== 'ready') return false
    if (this.#running.length === 0) return true
    // If an earlier request fails this one is sent again: it must not matter how often (undici client-h1, busy).
    // And whoever waits for a 100 is the next to be answered: else the time for that would run while others are.
    return request.idempotent && !request.wantsTunnel && !isOneShot(request.payload) && !request.asksFirst
  }

  /** No further request is written. */
  get isLast(): boolean {
    return this.#state === 'last' || this.#state === 'cut'
  }

  /** Behind the first response come others that nobody wants any more. */
  get isCut(): boolean {
    return this.#state === 'cut'
  }

  get isUploading(): boolean {
    return this.#upload !== null
  }

  put(request: Request): void {
    this.#pending = request
  }

  /** The opposite: it is somebody else's now. */
  takePending(): void {
    this.#pending = null
  }

  /** @returns false when the request was over before anything was written, or the connection is */
  write(wire: Wire): boolean {
    const request = this.#pending!
    this.#pending = null
    this.#step('write')
    this.#starting = request
    // Its body is the caller's code, as its handler is: either may end the request, or the connection.
    const payload = openPayload(request, this.#rules)
    const isWanted = payload !== null && this.isOpen && request.start(this.#owner)
    this.#starting = null
    if (!isWanted || !this.isOpen) {
      this.#written('written')
      return false
    }
    const { pipelining, maxRequestsPerClient } = this.#options
    const isLast = maxRequestsPerClient > 0 && ++this.#requestCount >= maxRequestsPerClient
    const close = closesBefore(request, pipelining, isLast)
    if (close) this.stopWriting()
    // An array that grows makes room for 17, of which mostly one is needed.
    if (this.#running.length === 0) this.#running = [request]
    else this.#running.push(request)
    if (this.#running.length === 1) {
      this.#bytesBefore = wire.bytesWritten
      this.#owner.onFirstRequest(request)
    }
    const upload = sendRequest(wire, request, payload, close, this.#rules, this)
    this.#written(request.blocking ? 'block' : 'written')
    if (upload !== null) {
      this.#upload = upload
      if (upload.isHeldBack) this.#hold(request, upload)
      else upload.start()
    }
    return true
  }

  onDrain(): void {
    this.#upload?.onDrain()
  }

  /** The server asks for the body of the first request, if that is held back. */
  onContinue(): void {
    this.#held?.release()
  }

  /**
   * The head of a response is there. A body that was not asked for is not sent any more, which ends the connection with
   * the response: a server may wait for it nevertheless, and take the next request for it (RFC 9112 9.3).
   */
  onHead(): void {
    if (this.#state === 'blocked') this.#step('head')
    if (!this.#held?.isHeld) return
    this.#held.stop()
    this.#held = null
    this.stopWriting()
    this.#upload?.cancel()
  }

  /**
   * Whether this response says that the server does not know of 100 (Continue), so that the first request is sent once
   * more without asking for it, if its body is still there: RFC 9110 10.1.1.
   */
  isNotToBeAsked({ statusCode }: ResponseHead): boolean {
    const request = this.#held?.request
    if (statusCode !== 417 || request === undefined || !request.canBeHadAgain) return false
    this.keepBody()
    request.askNoMore()
    return true
  }

  /** The first request is to be sent once more: a body that is held back goes with it. */
  keepBody(): void {
    if (this.#held?.isHeld) this.#upload = null
  }

  /** The first response is complete. @returns its request */
  takeFirst(): Request {
    this.#held = null
    return this.#running.shift()!
  }

  /** Whether not a byte of the first request has left, as far as the wire knows; there is no other one. */
  isUnwritten(wire: Wire): boolean {
    return this.#running.length === 1 && wire.bytesWritten === this.#bytesBefore
  }

  /** Whether the last request has left, but perhaps for its source's word that this was all. */
  isSentTo(wire: Wire): boolean {
    return this.#upload === null || (this.#upload.isFull && !wire.isBlocked)
  }

  /** No further request is written: see {@link isLast}. */
  stopWriting(): void {
    if (!this.isLast && this.isOpen) this.#step('last')
  }

  /** No further request is written, and no response read behind the first: see {@link isCut}. */
  cut(): void {
    if (!this.isCut) this.#step('cut')
  }

  /**
   * A request was aborted and is not of this pipeline any more. Those behind the first one can be sent again; the first,
   * be it a POST, cannot, and need not suffer for them.
   *
   * @returns whether it was the first one
   */
  drop(request: Request): boolean {
    const index = this.#running.indexOf(request)
    // Its handler did it at the start: nothing was written.
    if (index < 0) return false
    const isBeingSent = this.#upload !== null && index === this.#running.length - 1
    this.#running.splice(index, 1)
    if (index === 0) return true
    this.cut()
    if (isBeingSent) this.stopUpload()
    return false
  }

  /** What was written and not answered. */
  takeRunning(): Request[] {
    const requests = this.#running
    this.#running = []
    return requests
  }

  /** All that were not answered, in their order. */
  takeAll(): Request[] {
    const requests = this.takeRunning()
    if (this.#starting !== null) requests.push(this.#starting)
    if (this.#pending !== null) requests.push(this.#pending)
    this.#starting = null
    this.#pending = null
    return requests
  }

  /** The connection has ended; {@link stopUpload} is still to be called, when those who must hear of the end before have. */
  end(): void {
    this.#held?.stop()
    this.#step('end')
  }

  /** The body that is being sent is not sent to its end: its source is told. */
  stopUpload(error?: Error): void {
    const upload = this.#upload
    this.#upload = null
    upload?.cancel(error)
  }

  // WriterOwner

  onBodyBegins(request: Request): void {
    if (closesAfterBody(request)) this.stopWriting()
  }

  onUploadFailed(): void {
    this.#upload = null
  }

  onUploaded(): void {
    this.#upload = null
    if (this.isOpen) this.#owner.onUploaded()
  }

  #hold(request: Request, upload: Upload): void {
    this.#held = new HeldBody(request, upload, this.#waits)
    this.#held.wait(this.#options.expectContinueTimeout)
  }

  #step(step: PipelineStep): void {
    this.#state = nextState(this.#state, step)
  }

  /** Meanwhile the connection may have ended, or been found to take no further request. */
  #written(step: 'written' | 'block'): void {
    if (this.#state === 'writing') this.#step(step)
  }
}
