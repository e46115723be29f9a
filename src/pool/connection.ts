/**
 * One connection to an origin: its requests, in the order in which they were written, the reader of their responses
 * and the wire below. Its phases are those of connection-phase.ts.
 *
 * Invariant: `running[0]` is the request whose response is being read. A request is in `pending`, in `starting`, in
 * `running` or with somebody else, never in two places.
 */
import type { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import { publishBeforeConnect, publishConnectError, publishConnected } from '../diagnostics.js'
import { BodyTimeoutError, ClientDestroyedError, HeadersTimeoutError, socketError } from '../errors.js'
import type { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'
import type { DeadlineOwner } from '../reactor/deadlines.js'
import type { Task } from '../reactor/scheduler.js'
import { isOneShot } from '../request/body.js'
import type { Request, RequestCarrier } from '../request/request.js'
import type { Connecting, ConnectListener, Connector, Transport } from '../transport/transport.js'
import { type Initiator, Received, type Wire, type WireListener } from '../transport/wire.js'
import type { ConnectionOptions, ConnectionOwner, EndReason } from './connection-owner.js'
import { type ConnectionPhase, nextPhase } from './connection-phase.js'
import { PooledConnection } from './free-connections.js'
import { Patience } from './patience.js'
import { Receiver, type ReceiverOwner } from './receiver.js'
import { openPayload, sendRequest, type Upload, type WriterOwner } from './request-writer.js'
import { closesAfterBody, closesBefore, endsPipeline, idleTimeAfter } from './reuse.js'

export class Connection
  extends PooledConnection<Connection, Request>
  implements ConnectListener, ReceiverOwner, WireListener, RequestCarrier, WriterOwner, DeadlineOwner, Task
{
  /** performance.now() when it was connected; the owner sets it, where connections have a limited time. */
  connectedAt = 0
  readonly #owner: ConnectionOwner<Connection>
  readonly #transport: Transport
  readonly #options: ConnectionOptions
  readonly #receiver: Receiver
  readonly #patience: Patience
  #phase: ConnectionPhase = 'connecting'
  #connector: Connector | null = null
  #connecting: Connecting | null = null
  /** What the connection was made for; of importance for TLS only. */
  #servername: string | null = null
  #wire: Wire | null = null
  #pending: Request | null = null
  /** Its start callback is being called, which may do anything to the agent: dispatch, close or destroy. */
  #starting: Request | null = null
  #running: Request[] = []
  /** Of the last one: no other is written meanwhile. */
  #upload: Upload | null = null
  /** No further request is written. */
  #isLast = false
  /** The connection ends with the first one's response: a request behind it was aborted, or could get a wrong one. */
  #isCut = false
  /** No further request is written before the response's head is there. */
  #isBlocked = false
  #requestCount = 0
  #idleTimeoutMs: number
  /** Up to this turn of the event loop nothing is written on an idle connection: a FIN may not have been seen yet. */
  #restsUntil = -1
  #head: ResponseHead | null = null
  /** What ends the connection is known, and will be told in the next turn. */
  #isFailing = false
  #isScheduled = false

  constructor(owner: ConnectionOwner<Connection>, order: number, transport: Transport, options: ConnectionOptions) {
    super(order)
    this.#owner = owner
    this.#transport = transport
    this.#options = options
    this.#idleTimeoutMs = options.keepAliveTimeout
    this.#receiver = new Receiver(this, options)
    this.#patience = new Patience(this, transport.deadlines, options)
  }

  get isOpen(): boolean {
    return this.#phase === 'open'
  }

  /** Requests that were written and not answered yet. */
  get runningCount(): number {
    return this.#running.length
  }

  get pendingCount(): number {
    return (this.#pending === null ? 0 : 1) + (this.#starting === null ? 0 : 1)
  }

  /** Whether {@link assign} may be called. */
  get canTake(): boolean {
    return (
      this.#phase === 'open' &&
      this.#pending === null &&
      this.#starting === null &&
      !this.#isLast &&
      !this.#isBlocked &&
      this.#upload === null &&
      this.#running.length < Math.max(1, this.#options.pipelining)
    )
  }

  /** Whether {@link assign} may be called with this request. */
  canServe(request: Request): boolean {
    return this.canTake && (this.#running.length === 0 || this.#isFor(request))
  }

  /**
   * Before an idle connection is handed out: nothing may have arrived, or a FIN or a response that nobody asked for
   * would meet the next request. What has arrived ends the connection here.
   */
  isFit(request: Request): boolean {
    if (!this.#isFor(request)) {
      this.#close(request.servername === this.#servername ? 'upgrade' : 'servername changed', 'self')
      return false
    }
    if (this.#running.length > 0 || this.#isResting) return true
    const wire = this.#wire!
    if (wire.probe() === Received.Nothing) {
      if (!wire.probesKernel) this.#rest(wire)
      return true
    }
    this.onReadable()
    return this.canTake
  }

  /** Begins to connect, for `request`. */
  open(connector: Connector, request: Request): void {
    this.#pending = request
    this.#connector = connector
    const servername = request.protocol === 'https:' ? request.servername : null
    this.#servername = servername
    publishBeforeConnect(request.origin, connector, servername)
    // Whoever was told may have ended it.
    if (this.#phase !== 'connecting') return
    this.#patience.forConnection(connector.connectTimeout)
    this.#connecting = connector.connect(servername, this, request.wantsTunnel)
  }

  /** Takes a request; see {@link canTake}. It is written now behind others, or else in the next turn. */
  assign(request: Request): void {
    this.#pending = request
    if (this.#running.length > 0) this.#advance()
    else this.#schedule()
  }

  /** Of an open connection with nothing pending, but for what was aborted: ends when what is running is answered. */
  retire(): void {
    this.#isLast = true
    if (this.#running.length === 0) this.#close(new ClientDestroyedError(), 'self')
  }

  /**
   * Ends at once. Requests that were not written are failed with `error` now, the others in the next turn, as undici
   * does when their socket has closed.
   */
  destroy(error: Error): void {
    if (this.#phase === 'closed') return
    const running = this.#running
    this.#running = []
    const unsent = this.#takeRequests()
    const wasOpen = this.#phase === 'open'
    this.#end(running.length === 0 && unsent.length === 0 ? 'self' : null)
    for (const request of unsent) request.fail(error)
    this.#stopUpload(error)
    const run = (): void => {
      for (const request of running) request.fail(error)
      if (wasOpen) this.#owner.onDisconnected(this, error, [])
    }
    if (running.length === 0) run()
    else this.#transport.scheduler.later({ run })
  }

  // Task: what could not be done within the call that asked for it.

  run(): void {
    this.#isScheduled = false
    if (this.#phase !== 'open') return
    if (this.#running.length === 0 && this.#isResting) return this.#schedule()
    this.#advance()
    if (this.#receiver.isDue) this.onReadable()
  }

  // ConnectListener

  onConnected(wire: Wire): void {
    this.#connecting = null
    this.#phase = nextPhase(this.#phase, 'connected')
    this.#wire = wire
    wire.listener = this
    publishConnected(this.#pending!.origin, this.#connector!, this.#servername, wire)
    // Whoever is told may end it, as may a handler of 'connect'.
    if (this.isOpen) this.#owner.onConnected(this)
    if (this.isOpen) this.#advance()
  }

  onConnectFailed(error: Error): void {
    this.#connecting = null
    this.#patience.stop()
    const request = this.#pending!
    publishConnectError(request.origin, this.#connector!, this.#servername, error)
    if (this.#phase === 'closed') return
    this.#phase = nextPhase(this.#phase, 'failed')
    this.#pending = null
    this.#owner.onConnectFailed(this, error, request)
  }

  // WireListener

  onReadable(): void {
    if (this.#phase === 'open' && !this.#isFailing) this.#receiver.receive(this.#wire!)
  }

  onDrain(): void {
    this.#upload?.onDrain()
  }

  // ReceiverOwner

  onPeerClosed(): void {
    this.#close(socketError('other side closed', this.#wire!.info), 'peer')
  }

  /** Behind a head, an error waits for the next turn (the first task runs in this one): fetch needs its microtasks. */
  onReceiveFailed(error: Error): void {
    if (this.#head === null) return this.#lose(error)
    this.#isFailing = true
    this.#isLast = true
    const lose = { run: () => this.#phase === 'open' && this.#lose(error) }
    this.#transport.scheduler.later({ run: () => this.#transport.scheduler.later(lose) })
  }

  onReceiveDue(): void {
    this.#schedule()
  }

  expectation(): Request | null {
    return this.#running[0] ?? null
  }

  onResponseBegin(): void {
    this.#running[0]!.onResponseBegin()
  }

  onInformational(head: ResponseHead): void {
    const request = this.#running[0]!
    this.#patience.forHeaders(request)
    request.onHead(head)
  }

  onHead(head: ResponseHead): void {
    const request = this.#running[0]!
    this.#head = head
    if (this.#running.length > 1 && endsPipeline(head, this.#isLast)) this.#isCut = true
    this.#idleTimeoutMs = idleTimeAfter(head, this.#options)
    if (this.#idleTimeoutMs === 0) this.#isLast = true
    request.onHead(head)
    if (this.#phase === 'closed') return
    this.#isBlocked = false
    this.#followPause(request)
    this.#advance()
    if (this.canTake) this.#owner.onAvailable(this)
  }

  onData(chunk: Buffer): void {
    const request = this.#running[0]!
    request.onData(chunk)
    if (this.#phase !== 'closed') this.#followPause(request)
  }

  onEnd(trailers: FieldSection): void {
    const request = this.#running.shift()!
    const head = this.#head!
    this.#head = null
    this.#patience.stop()
    const isLast = this.#isCut || (this.#isLast && this.#running.length === 0)
    const isSent = this.#upload === null || (this.#upload.isFull && !this.#wire!.isBlocked)
    if (isSent && head.shouldKeepAlive && !isLast) {
      this.#rest(this.#wire!)
      this.#owner.onFree(this)
      request.onEnd(trailers)
      if (this.#phase === 'open') this.#nextResponse()
      return
    }
    // The descriptor goes back before the handler hears of the end, so that the next request can have it.
    const unsent = this.#takeRequests()
    // Behind a cut come responses that nobody wants any more.
    this.#end(this.#isCut ? null : head.shouldKeepAlive && head.isSound ? 'self' : 'peer')
    request.onEnd(trailers)
    this.#stopUpload()
    this.#owner.onDisconnected(this, 'reset', unsent)
  }

  onTunnel(head: ResponseHead, rest: Buffer): void {
    const request = this.#running.shift()!
    const unsent = this.#takeRequests()
    this.#phase = nextPhase(this.#phase, 'tunnel')
    this.#patience.stop()
    this.#receiver.stop()
    this.#stopUpload()
    const wire = this.#wire!
    this.#wire = null
    let stream: Duplex
    try {
      stream = wire.detach(rest)
    } catch (error) {
      request.fail(error)
      return this.#owner.onDisconnected(this, error as Error, unsent)
    }
    this.#owner.onDisconnected(this, 'upgrade', unsent)
    request.onUpgrade(head, stream)
  }

  // RequestCarrier

  resumeResponse(request: Request): void {
    if (request !== this.#running[0] || !this.#receiver.isPaused || this.#isFailing) return
    this.#patience.forBody(request)
    this.#receiver.resume(this.#wire!)
  }

  requestAborted(request: Request): void {
    if (this.#phase === 'closed') return
    const index = this.#running.indexOf(request)
    // Its handler did it at the start: nothing was written.
    if (index < 0) return
    const isBeingWritten = this.#upload !== null && index === this.#running.length - 1
    this.#running.splice(index, 1)
    if (index === 0) return this.#lose('aborted')
    // Those behind the head of the pipeline can be sent again; the head, be it a POST, cannot, and need not suffer.
    this.#isLast = true
    this.#isCut = true
    if (isBeingWritten) this.#stopUpload()
  }

  // WriterOwner

  onBodyBegins(request: Request): void {
    this.#isLast ||= closesAfterBody(request)
  }

  onUploadFailed(): void {
    this.#upload = null
  }

  onUploaded(): void {
    this.#upload = null
    if (this.#phase !== 'open') return
    const first = this.#running[0]
    if (this.#head === null && first !== undefined) this.#patience.forHeaders(first)
    this.#advance()
    if (this.canTake) this.#owner.onAvailable(this)
  }

  /** What was awaited did not come. */
  onDeadline(): void {
    const { awaited } = this.#patience
    const first = this.#running[0]
    if (awaited === 'connection') this.#connecting!.expire()
    else if (awaited === 'reuse') this.#close('socket idle timeout', 'self')
    else if (awaited === 'body') this.#lose(new BodyTimeoutError())
    // As long as the body goes out, the peer need not answer: undici counts only a blocked one.
    else if (this.#upload !== null && !this.#wire!.isBlocked && this.#running.length === 1)
      this.#patience.forHeaders(first!)
    else this.#lose(new HeadersTimeoutError())
  }

  get #isResting(): boolean {
    return this.#transport.scheduler.turn <= this.#restsUntil
  }

  /** Lets Node poll once before the next request, where only it can see what has arrived (undici client-h1, resumeH1). */
  #rest({ probesKernel }: Wire): void {
    this.#restsUntil = this.#transport.scheduler.turn + (probesKernel ? 0 : 1)
  }

  /** With TLS: the peer has proved to be whom this request is for, and what is below could become a tunnel. */
  #isFor({ protocol, servername, wantsTunnel }: Request): boolean {
    return protocol !== 'https:' || (servername === this.#servername && (!wantsTunnel || this.#wire!.canDetach))
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
    if (this.#upload !== null || this.#isLast || this.#isBlocked) return false
    if (this.#running.length === 0) return true
    // If an earlier request fails this one is sent again: it must not matter how often (undici client-h1, busy).
    return request.idempotent && !request.wantsTunnel && !isOneShot(request.payload)
  }

  #write(request: Request): void {
    const payload = openPayload(request, this.#owner)
    if (payload === null) return this.#notStarted()
    this.#starting = request
    const isWanted = request.start(this)
    this.#starting = null
    if (!isWanted || this.#phase !== 'open') return this.#notStarted()
    const { pipelining, maxRequestsPerClient } = this.#options
    const isLast = maxRequestsPerClient > 0 && ++this.#requestCount >= maxRequestsPerClient
    const close = closesBefore(request, pipelining, isLast)
    this.#isLast ||= close
    // An array that grows makes room for 17, of which mostly one is needed.
    if (this.#running.length === 0) this.#running = [request]
    else this.#running.push(request)
    if (this.#running.length === 1) this.#patience.forHeaders(request)
    // Whoever is told of it meanwhile may dispatch another one, which must not overtake it.
    this.#isBlocked = true
    const upload = sendRequest(this.#wire!, request, payload, close, this.#owner, this)
    this.#isBlocked = request.blocking
    if (upload === null) return
    this.#upload = upload
    upload.start()
  }

  /** The request was over before anything was written: the connection goes on without it. */
  #notStarted(): void {
    if (this.#phase === 'open' && this.#running.length === 0) this.#nextResponse()
  }

  /** Between two messages. */
  #nextResponse(): void {
    const next = this.#running[0]
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

  /** Ends in good order, between two messages. */
  #close(reason: EndReason, initiator: Initiator): void {
    const unsent = this.#takeRequests()
    this.#end(initiator)
    this.#stopUpload()
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
    if (wasWritten && error !== undefined) requests.shift()!.fail(error)
    this.#stopUpload(error)
    this.#owner.onDisconnected(this, reason, requests)
  }

  #stopUpload(error?: Error): void {
    const upload = this.#upload
    this.#upload = null
    upload?.cancel(error)
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
