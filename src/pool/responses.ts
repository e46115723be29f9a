/**
 * The responses of one connection, as they come in: what their requests hear of them, and what follows from them for the
 * connection. Bytes and their meaning are the receiver's; when a connection ends, and what is written next, is up to its
 * owner.
 */
import type { Buffer } from 'node:buffer'
import type { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'
import type { ResponseLimits } from '../http1/response-reader.js'
import type { Scheduler } from '../reactor/scheduler.js'
import type { Request } from '../request/request.js'
import type { Wire } from '../transport/wire.js'
import type { Patience } from './patience.js'
import type { Pipeline } from './pipeline.js'
import { Receiver, type ReceiverOwner } from './receiver.js'
import { endsPipeline, idleTimeAfter, type KeepAliveLimits } from './reuse.js'

/** The connection. Each of these may end it. */
export interface ResponsesOwner extends Pick<ReceiverOwner, 'onPeerClosed' | 'onReceiveDue' | 'onTunnel'> {
  readonly isOpen: boolean
  /** 417 (RFC 9110 15.5.18): the first request is to be sent once more, without asking for its body to be asked for. */
  onExpectationFailed(): void
  /** The first request has heard of its response's head: others may be written behind it. */
  onHeadTold(): void
  /** A response is complete, and its request, which is not in the pipeline any more, still to be told so. */
  onAnswered(request: Request, head: ResponseHead, trailers: FieldSection): void
  /** Nothing can be received any more. */
  onLost(error: Error): void
  /** The handler takes no more of the response for now. */
  onPaused(request: Request): void
  onResumed(request: Request): void
}

export class Responses implements ReceiverOwner {
  /** How long the connection may idle behind the last response, in milliseconds; 0: not at all. */
  idleTimeoutMs: number
  readonly #owner: ResponsesOwner
  readonly #pipeline: Pipeline
  readonly #patience: Patience
  readonly #scheduler: Scheduler
  readonly #limits: KeepAliveLimits
  readonly #receiver: Receiver
  /** Of the response whose body is being read. */
  #head: ResponseHead | null = null
  #hasBegun = false
  /** What ends the connection is known, and will be told in the next turn. */
  #isFailing = false

  constructor(
    owner: ResponsesOwner,
    pipeline: Pipeline,
    patience: Patience,
    scheduler: Scheduler,
    limits: KeepAliveLimits & ResponseLimits,
  ) {
    this.#owner = owner
    this.#pipeline = pipeline
    this.#patience = patience
    this.#scheduler = scheduler
    this.#limits = limits
    this.idleTimeoutMs = limits.keepAliveTimeout
    this.#receiver = new Receiver(this, limits)
  }

  /** The final head of the response that is due has not come. */
  get awaitsHead(): boolean {
    return this.#head === null
  }

  /** A byte of the response that is due has come, be it of a 1xx. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** {@link receive} is to be called again. */
  get isDue(): boolean {
    return this.#receiver.isDue
  }

  receive(wire: Wire): void {
    if (!this.#isFailing) this.#receiver.receive(wire)
  }

  /** The handler of `request` wants more of its response. */
  resume(request: Request, wire: Wire): void {
    if (request !== this.#pipeline.first || !this.#receiver.isPaused || this.#isFailing) return
    this.#owner.onResumed(request)
    this.#patience.forBody(request)
    this.#receiver.resume(wire)
  }

  /** Nothing more is told, ever. */
  stop(): void {
    this.#receiver.stop()
  }

  // ReceiverOwner

  expectation(): Request | null {
    return this.#pipeline.first
  }

  onPeerClosed(): void {
    this.#owner.onPeerClosed()
  }

  /** Behind a head, an error waits for the next turn (the first task runs in this one): fetch needs its microtasks. */
  onReceiveFailed(error: Error): void {
    if (this.#head === null) return this.#owner.onLost(error)
    this.#isFailing = true
    this.#pipeline.stopWriting()
    const lose = { run: () => this.#owner.isOpen && this.#owner.onLost(error) }
    this.#scheduler.later({ run: () => this.#scheduler.later(lose) })
  }

  onReceiveDue(): void {
    this.#owner.onReceiveDue()
  }

  onResponseBegin(): void {
    this.#hasBegun = true
    this.#pipeline.first!.onResponseBegin()
  }

  onContinue(): void {
    this.#pipeline.onContinue()
  }

  onInformational(head: ResponseHead): void {
    const request = this.#pipeline.first!
    this.#patience.forHeaders(request)
    request.onHead(head)
  }

  onHead(head: ResponseHead): void {
    const pipeline = this.#pipeline
    if (pipeline.isNotToBeAsked(head)) return this.#owner.onExpectationFailed()
    const request = pipeline.first!
    this.#head = head
    if (pipeline.runningCount > 1 && endsPipeline(head, pipeline.isLast)) pipeline.cut()
    this.idleTimeoutMs = idleTimeAfter(head, this.#limits)
    if (this.idleTimeoutMs === 0) pipeline.stopWriting()
    this.#patience.forBody(request)
    request.onHead(head)
    if (!this.#owner.isOpen) return
    pipeline.onHead()
    this.#followPause(request)
    this.#owner.onHeadTold()
  }

  onData(chunk: Buffer): void {
    const request = this.#pipeline.first!
    this.#patience.forBody(request)
    request.onData(chunk)
    if (this.#owner.isOpen) this.#followPause(request)
  }

  onEnd(trailers: FieldSection): void {
    const head = this.#head!
    this.#head = null
    this.#hasBegun = false
    this.#patience.stop()
    this.#owner.onAnswered(this.#pipeline.takeFirst(), head, trailers)
  }

  onTunnel(head: ResponseHead, rest: Buffer): void {
    this.#owner.onTunnel(head, rest)
  }

  #followPause(request: Request): void {
    if (!request.isPaused) return
    this.#receiver.pause()
    this.#patience.stop()
    this.#owner.onPaused(request)
  }
}
