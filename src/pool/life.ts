/**
 * How far a connection has come (connection-phase.ts), the wire that it has while it is open, and the ways in which it ends:
 * what becomes of the wire then, and of each request. Why it ends is its owner's to decide.
 */
import type { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'
import type { Scheduler } from '../reactor/scheduler.js'
import type { Request } from '../request/request.js'
import type { Initiator, Wire, WireListener } from '../transport/wire.js'
import type { ConnectionOptions, EndReason } from './connection-owner.js'
import { type ConnectionPhase, nextPhase } from './connection-phase.js'
import type { Idleness } from './idleness.js'
import type { Patience } from './patience.js'
import type { Pipeline } from './pipeline.js'
import type { Responses } from './responses.js'
import { isEndOfPeer, maySendAgain } from './sending-again.js'

/** Whose life it is. */
export interface LifeOwner extends WireListener {
  /** A request that was lost is among the `unsent` of {@link onEnded}, which follows. */
  onSendingAgain(): void
  /** It is over, and was open. See {@link ConnectionOwner.onDisconnected} */
  onEnded(reason: EndReason, unsent: Request[], isAfterwards?: boolean): void
}

/** The other rooms of the connection, which end with it. */
export interface LifeParts {
  readonly pipeline: Pipeline
  readonly responses: Responses
  readonly patience: Patience
  readonly idleness: Idleness
}

export class Life {
  readonly #owner: LifeOwner
  readonly #options: Pick<ConnectionOptions, 'retryStale'>
  readonly #scheduler: Scheduler
  readonly #pipeline: Pipeline
  readonly #responses: Responses
  readonly #patience: Patience
  readonly #idleness: Idleness
  #phase: ConnectionPhase = 'connecting'
  #wire: Wire | null = null

  constructor(
    owner: LifeOwner,
    options: Pick<ConnectionOptions, 'retryStale'>,
    scheduler: Scheduler,
    { pipeline, responses, patience, idleness }: LifeParts,
  ) {
    this.#owner = owner
    this.#options = options
    this.#scheduler = scheduler
    this.#pipeline = pipeline
    this.#responses = responses
    this.#patience = patience
    this.#idleness = idleness
  }

  get phase(): ConnectionPhase {
    return this.#phase
  }

  /** `null` unless it is open. */
  get wire(): Wire | null {
    return this.#wire
  }

  /** There is a wire. */
  begin(wire: Wire): void {
    this.#phase = nextPhase(this.#phase, 'connected')
    this.#wire = wire
    wire.listener = this.#owner
  }

  /** There will be none. @returns the request that waits for one */
  fail(): Request | null {
    this.#patience.stop()
    this.#phase = nextPhase(this.#phase, 'failed')
    const [request = null] = this.#pipeline.takeAll()
    this.#pipeline.end()
    return request
  }

  /** It is not to be made any more: nobody is told. */
  giveUp(): void {
    this.#end(null)
  }

  /** Ends in good order, between two messages. */
  close(reason: EndReason, initiator: Initiator): void {
    const unsent = this.#pipeline.takeAll()
    this.#end(initiator)
    this.#pipeline.stopUpload()
    this.#owner.onEnded(reason, unsent)
  }

  /** Ends behind a response: before its request is told, so that the next one can have the descriptor. */
  closeBehind(request: Request, { shouldKeepAlive, isSound }: ResponseHead, trailers: FieldSection): void {
    const pipeline = this.#pipeline
    const unsent = pipeline.takeAll()
    this.#end(pipeline.isCut ? null : shouldKeepAlive && isSound ? 'self' : 'peer')
    request.onEnd(trailers)
    pipeline.stopUpload()
    this.#owner.onEnded('reset', unsent, true)
  }

  /**
   * Ends at once. The request at the head of the pipeline gets the error, unless it is our own business, or is sent once
   * more; the others were never answered and are sent again.
   */
  lose(reason: EndReason): void {
    const { first } = this.#pipeline
    const error = reason instanceof Error ? reason : undefined
    const isRace = first !== null && error !== undefined && this.#isRace(error)
    const isSentAgain = isRace && this.#sendAgain(first)
    if (isRace) this.#idleness.onClosed()
    const requests = this.#pipeline.takeAll()
    // The FIN was read: the descriptor's lease ends in good order.
    this.#end(isRace && this.#wire!.isPeerClosed ? 'peer' : null)
    if (first !== null && error !== undefined && !isSentAgain) requests.shift()!.fail(error)
    this.#pipeline.stopUpload(error)
    this.#owner.onEnded(reason, requests, reason === 'aborted')
  }

  /**
   * Ends at once. Requests that were not written are failed with `error` now, the others in the next turn, as undici
   * does when their socket has closed.
   */
  destroy(error: Error): void {
    const running = this.#pipeline.takeRunning()
    const unsent = this.#pipeline.takeAll()
    const wasOpen = this.#wire !== null
    this.#end(running.length === 0 && unsent.length === 0 ? 'self' : null, error)
    for (const request of unsent) request.fail(error)
    this.#pipeline.stopUpload(error)
    const run = (): void => {
      for (const request of running) request.fail(error)
      if (wasOpen) this.#owner.onEnded(error, [])
    }
    if (running.length === 0) run()
    else this.#scheduler.later({ run })
  }

  /** Upgrade or CONNECT: the wire becomes the caller's. @param rest came behind the head */
  becomeTunnel(head: ResponseHead, rest: Buffer): void {
    const request = this.#pipeline.takeFirst()
    const unsent = this.#pipeline.takeAll()
    const wire = this.#wire!
    this.#leave('tunnel')
    this.#pipeline.stopUpload()
    let stream: Duplex
    try {
      stream = wire.detach(rest)
    } catch (error) {
      request.fail(error)
      return this.#owner.onEnded(error as Error, unsent)
    }
    this.#owner.onEnded('upgrade', unsent)
    request.onUpgrade(head, stream)
  }

  /** Nothing of a response has come, and the peer may have ended the connection just as the request was written. */
  #isRace(error: Error): boolean {
    return this.#idleness.mayHaveMetEnd && !this.#responses.hasBegun && isEndOfPeer(error)
  }

  /** @returns false when it may not be */
  #sendAgain(request: Request): boolean {
    if (!maySendAgain(request, this.#options, this.#pipeline.isUnwritten(this.#wire!))) return false
    request.sendAgain()
    this.#pipeline.keepBody()
    this.#owner.onSendingAgain()
    return true
  }

  /**
   * @param initiator of an end in good order; `null` for an abort
   * @param reason what a stream of the caller's is destroyed with
   */
  #end(initiator: Initiator | null, reason?: Error): void {
    const wire = this.#wire
    this.#leave(initiator ?? 'abort')
    if (initiator === null) wire?.abort(reason)
    else wire?.finish(initiator, reason)
  }

  #leave(step: Initiator | 'abort' | 'tunnel'): void {
    this.#phase = nextPhase(this.#phase, step)
    this.#pipeline.end()
    this.#patience.stop()
    this.#responses.stop()
    this.#idleness.stop()
    this.#wire = null
  }
}
