/**
 * One connection to an origin: its requests, in the order in which they were written, the reader of their responses
 * and the wire below. Its phases are those of connection-phase.ts.
 *
 * Invariant: `running[0]` is the request whose response is being read. A request is in `pending`, in `starting`, in
 * `running` or with somebody else, never in two places.
 */
import type { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { Linked, LinkedList } from '../collections/linked-list.js'
import { publishBeforeConnect, publishConnectError, publishConnected } from '../diagnostics.js'
import { BodyTimeoutError, ClientDestroyedError, HeadersTimeoutError, socketError } from '../errors.js'
import type { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'
import type { Task } from '../reactor/scheduler.js'
import { isOneShot, type Payload } from '../request/body.js'
import type { Request, RequestCarrier } from '../request/request.js'
import type { Connecting, Connector, Transport } from '../transport/transport.js'
import { type Initiator, Received, type Wire, type WireListener } from '../transport/wire.js'
import type { ConnectionOptions, ConnectionOwner, EndReason } from './connection-owner.js'

    this.#phase = nextPhase(this.#phase, 'failed')
    const request = this.#pending!
    this.#pending = null
    this.#owner.onConnectFailed(this, error, request)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#transport.scheduler.later(this)
  }

  /** Writes the pending request if it may be written now, and asks for the next. */
  #advance(): void {
    while (this.#pending !== null && this.#phase === 'open' && this.#mayWrite(this.#pending)) {
      const request = this.#pending
      this.#pending = null
      this.#write(request)
      if (this.canTake) this.#owner.onAvailable(this)
    }
  }

  #mayWrite(request: Request): boolean {
    if (this.#writer.isBusy || this.#isLast || this.#isBlocked) return false
    if (this.#running.length === 0) return true
    // If an earlier request fails this one is sent again: it must not matter how often (undici client-h1, busy).
    return request.idempotent && !request.wantsTunnel && !isOneShot(request.payload)
  }

  #write(request: Request): void {
    let payload: Payload
    try {
      payload = this.#writer.open(request)
    } catch (error) {
      request.fail(error)
      return this.#notStarted()
    }
    this.#starting = request
    const isWanted = request.start(this)
    this.#starting = null
    if (!isWanted || this.#phase !== 'open') return this.#notStarted()
    const { pipelining, maxRequestsPerClient } = this.#options
    this.#requestCount++
    const isLast = maxRequestsPerClient > 0 && this.#requestCount >= maxRequestsPerClient
    const close = closesBefore(request, pipelining, isLast)
    this.#isLast ||= close
    this.#isBlocked = request.blocking
    this.#running.push(request)
    if (this.canTake) this.#owner.onFree(this)
    if (this.#running.length === 1) this.#patience.forHeaders(request)
    this.#writer.send(this.#wire!, request, close, payload)
  }

  /** The request was over before anything was written: the connection goes on without it. */
  #notStarted(): void {
    if (this.#phase === 'open' && this.#running.length === 0) this.#nextResponse()
  }

  /** Between two messages. */
  #nextResponse(): void {
    const [next] = this.#running
    if (next !== undefined) this.#patience.forHeaders(next)
    else this.#patience.forReuse(this.#idleTimeoutMs)
    if (this.canTake) this.#owner.onAvailable(this)
    else if (this.#pending !== null) this.#schedule()
  }

  #followPause(request: Request): void {
    if (request.isPaused) {
      this.#receiver.pause()
      this.#patience.stop()
    } else {
      this.#patience.forBody(request)
    }
  }

  #onImpatience(awaited: Awaited): void {
    switch (awaited) {
      case 'headers':
        // As long as the body goes out, the peer need not answer: undici counts only a blocked one.
        if (this.#writer.isBusy && !this.#wire!.isBlocked && this.#running.length === 1)
          this.#patience.forHeaders(this.#running[0]!)
        else this.#lose(new HeadersTimeoutError())
        break
      case 'body':
        this.#lose(new BodyTimeoutError())
        break
      case 'reuse':
        this.#close('socket idle timeout', 'self')
        break
    }
  }

  /** Ends in good order, between two messages. */
  #close(reason: EndReason, initiator: Initiator): void {
    const unsent = this.#takeRequests()
    this.#end(initiator)
    this.#writer.cancel()
    this.#owner.onDisconnected(this, reason, unsent)
  }

  /**
   * Ends at once. The request at the head of the pipeline gets the error, unless it is our own business; the others
   * were never answered and are sent again.
   */
  #lose(reason: EndReason): void {
    const wasWritten = this.#running.length > 0
    const requests = this.#takeRequests()
    this.#end(null)
    const error = reason instanceof Error ? reason : undefined
    if (wasWritten && error !== undefined) {
      requests.shift()!.fail(error)
    }
    this.#writer.cancel(error)
    this.#owner.onDisconnected(this, reason, requests)
  }

  #takeRequests(): Request[] {
    const requests = this.#running
    this.#running = []
    if (this.#starting !== null) requests.push(this.#starting)
    if (this.#pending !== null) requests.push(this.#pending)
    this.#starting = null
    this.#pending = null
    return requests
  }

  /** @param initiator of an end in good order; `null` for an abort */
  #end(initiator: Initiator | null): void {
    this.#phase = nextPhase(this.#phase, initiator ?? 'abort')
    this.#patience.stop()
    this.#receiver.stop()
    this.#connecting?.cancel()
    this.#connecting = null
    if (initiator === null) this.#wire?.abort()
    else this.#wire?.finish(initiator)
    this.#wire = null
  }
}
