/**
 * One connection to an origin: its wire, its phases (connection-phase.ts) and its deadlines, and how it ends. Which requests
 * it carries, and what becomes of them, is decided in its pipeline; what they hear of their responses in responses.ts.
 */
import type { AsyncResource } from 'node:async_hooks'
import type { Buffer } from 'node:buffer'
import { BodyTimeoutError, ClientDestroyedError, HeadersTimeoutError, socketError } from '../errors.js'
import type { FieldSection } from '../http1/field-section.js'
import type { ResponseHead } from '../http1/response-head.js'
import type { DeadlineOwner } from '../reactor/deadlines.js'
import { soon, type Task } from '../reactor/scheduler.js'
import type { Request } from '../request/request.js'
import type { Connector, Transport } from '../transport/transport.js'
import { Received, type Wire, type WireListener } from '../transport/wire.js'
import type { ConnectionOptions, ConnectionOwner, EndReason } from './connection-owner.js'
import type { FinWatchOwner } from './fin-watch.js'
import { PooledConnection } from './free-connections.js'
import { Idleness } from './idleness.js'
import { Life, type LifeOwner } from './life.js'
import { type Occasion, Opening, type OpeningOwner } from './opening.js'
import { Patience } from './patience.js'
import { Pipeline, type PipelineOwner } from './pipeline.js'
import { Responses, type ResponsesOwner } from './responses.js'
import { isEndOfOrigin } from './reuse.js'
import { mayBeRepeated } from './sending-again.js'

export class Connection
  extends PooledConnection<Connection, Request>
  implements OpeningOwner, ResponsesOwner, WireListener, PipelineOwner, FinWatchOwner, LifeOwner, DeadlineOwner, Task
{
  /** performance.now() when it was connected; the owner sets it, where connections have a limited time. */
  connectedAt = 0
  /** It is a spare (spares.ts), and no request was given to it yet; of the owner. */
  isAhead = false
  /** Of what it was made for: in which listeners hear of the connection, as they do with undici. */
  readonly context: AsyncResource
  readonly #owner: ConnectionOwner<Connection>
  readonly #transport: Transport
  readonly #options: ConnectionOptions
  readonly #pipeline: Pipeline
  readonly #responses: Responses
  readonly #patience: Patience
  readonly #opening: Opening
  readonly #idleness: Idleness
  readonly #life: Life
  #isScheduled = false
  /** Made once, for connections that are used again. */
  #advanceSoon: (() => void) | null = null

  /** A request that it is made for is then given to {@link reassign}. */
  constructor(
    owner: ConnectionOwner<Connection>,
    order: number,
    transport: Transport,
    connector: Connector,
    options: ConnectionOptions,
    occasion: Occasion,
  ) {
    super(order)
    this.context = occasion.context
    this.#owner = owner
    this.#transport = transport
    this.#options = options
    this.#pipeline = new Pipeline(this, owner, options, transport.waits)
    this.#patience = new Patience(this, transport.deadlines, options)
    this.#responses = new Responses(this, this.#pipeline, this.#patience, transport.scheduler, options)
    this.#idleness = new Idleness(this, owner.habits, transport)
    this.#life = new Life(this, options, transport.scheduler, {
      pipeline: this.#pipeline,
      responses: this.#responses,
      patience: this.#patience,
      idleness: this.#idleness,
    })
    this.#opening = new Opening(connector, occasion, this)
  }

  get isOpen(): boolean {
    return this.#life.phase === 'open'
  }

  /** It is being made. */
  get isConnecting(): boolean {
    return this.#life.phase === 'connecting'
  }

  get runningCount(): number {
    return this.#pipeline.runningCount
  }

  get pendingCount(): number {
    return this.#pipeline.pendingCount
  }

  /** The request that waits for the connection to be made. */
  get awaiting(): Request | null {
    return this.#life.phase === 'connecting' ? this.#pipeline.pending : null
  }

  /** Whether {@link assign} may be called. */
  get canTake(): boolean {
    return this.#life.phase === 'open' && this.#pipeline.canTake && !this.#idleness.expectsEnd
  }

  /** With TLS: whether the peer is, or will be, proved to be whom this request is for, and could become its tunnel. */
  isFor({ protocol, servername, wantsTunnel }: Request): boolean {
    if (protocol !== 'https:') return true
    const canDetach = this.#life.wire === null ? this.#opening.isForTunnel : this.#life.wire.canDetach
    return servername === this.#opening.servername && (canDetach || !wantsTunnel)
  }

  /** Whether {@link assign} may be called with this request. */
  canServe(request: Request): boolean {
    return this.canTake && (this.#pipeline.first === null || this.isFor(request))
  }

  /** Whether this request, which waits for another connection, is rather written here, and at once. */
  isReadyFor(request: Request): boolean {
    if (!this.canTake || this.#pipeline.first !== null || !this.isFor(request)) return false
    return this.#idleness.isReady(this.#mayBeRepeated(request))
  }

  /**
   * Before an idle connection is handed out: nothing may have arrived, or a FIN or a response that nobody asked for
   * would meet the next request. What has arrived ends the connection here.
   */
  isFit(request: Request): boolean {
    if (!this.isFor(request)) {
      this.#life.close(request.servername === this.#opening.servername ? 'upgrade' : 'servername changed', 'self')
      return false
    }
    if (this.#pipeline.first !== null) return true
    if (this.#patience.isOver) {
      this.#life.close('socket idle timeout', 'self')
      return false
    }
    if (this.#idleness.isResting) return true
    const wire = this.#life.wire!
    if (wire.probe() === Received.Nothing) {
      if (!wire.probesKernel) this.#idleness.rest(wire)
      return true
    }
    this.onReadable()
    return this.canTake
  }

  /** Begins to connect. */
  open(timeoutMs: number): void {
    this.#opening.start()
    // Not before: a function of the user's may have moved a fake clock meanwhile, or ended the connection.
    if (this.#life.phase === 'connecting') this.#patience.forConnection(timeoutMs)
  }

  /** Another connection takes the request that is {@link awaiting}: this one is made nevertheless. */
  release(): void {
    this.#pipeline.takePending()
  }

  /** Of a connection that is being made: this request waits for it now; `null`: nobody does, and it is given up. */
  reassign(request: Request | null): void {
    if (request !== null) return this.#take(request)
    if (this.#life.phase !== 'connecting') return
    this.#life.giveUp()
    this.#opening.withdraw()
  }

  /** Takes a request; see {@link canTake}. Behind others it is written now. */
  assign(request: Request): void {
    this.#take(request)
    if (this.#pipeline.first !== null) return this.#advance()
    if (this.#idleness.onTaken(this.#life.wire!, this.#mayBeRepeated(request)) === 'soon') this.#writeSoon()
    else this.#schedule()
  }

  /** Of an open connection with nothing pending, but for what was aborted: ends when what is running is answered. */
  retire(reason: EndReason = new ClientDestroyedError()): void {
    this.#pipeline.stopWriting()
    if (this.#pipeline.first === null) this.#life.close(reason, 'self')
  }

  /** Ends at once, with all its requests. @param error theirs */
  destroy(error: Error): void {
    if (this.isConnecting) this.#opening.giveUp(error)
    if (this.#life.phase !== 'closed') this.#life.destroy(error)
  }

  // Task: what could not be done within the call that asked for it.

  run(): void {
    this.#isScheduled = false
    if (this.#life.phase !== 'open') return
    if (this.#pipeline.first === null) {
      // It is told when that is over.
      if (this.#idleness.isWaiting) return
      if (this.#idleness.isResting) return this.#schedule()
    }
    this.#advance()
    if (this.#responses.isDue) this.onReadable()
  }

  // OpeningOwner

  onOpened(wire: Wire): void {
    this.#life.begin(wire)
    this.#owner.onConnected(this)
    // Whoever was told may have ended it, or withdrawn its request.
    if (!this.isOpen) return
    if (this.#pipeline.pending !== null) this.#advance()
    else this.#nextResponse()
  }

  onOpeningFailed(error: Error): void {
    this.#owner.onConnectFailed(this, error, this.#life.fail())
  }

  // WireListener

  onReadable(): void {
    if (this.#life.phase === 'open') this.#responses.receive(this.#life.wire!)
  }

  onDrain(): void {
    this.#pipeline.onDrain()
  }

  // ResponsesOwner

  onPeerClosed(): void {
    this.#idleness.onClosed()
    this.#life.close(socketError('other side closed', this.#life.wire!.info), 'peer')
  }

  onLost(error: Error): void {
    this.#life.lose(error)
  }

  onReceiveDue(): void {
    this.#schedule()
  }

  /** As our own business: the request goes to another connection, without its expectation. */
  onExpectationFailed(): void {
    this.#life.lose('reset')
  }

  onHeadTold(): void {
    this.#advance()
    if (this.canTake) this.#owner.onAvailable(this)
  }

  onPaused(request: Request): void {
    this.#owner.onPaused(request)
  }

  onResumed(request: Request): void {
    this.#owner.onResumed(request)
  }

  onAnswered(request: Request, head: ResponseHead, trailers: FieldSection): void {
    const pipeline = this.#pipeline
    const isLast = pipeline.isCut || (pipeline.isLast && pipeline.first === null)
    if (pipeline.isSentTo(this.#life.wire!) && head.shouldKeepAlive && !isLast) {
      this.#idleness.onAnswered(this.#life.wire!, pipeline.first === null)
      this.#owner.onFree(this)
      request.onEnd(trailers)
      if (this.#life.phase === 'open') this.#nextResponse()
      return
    }
    if (isEndOfOrigin(head, request, this.#options.pipelining)) this.#owner.onEndOfOrigin()
    this.#life.closeBehind(request, head, trailers)
  }

  onTunnel(head: ResponseHead, rest: Buffer): void {
    this.#life.becomeTunnel(head, rest)
  }

  // LifeOwner

  onSendingAgain(): void {
    this.#owner.onSendingAgain()
  }

  onEnded(reason: EndReason, unsent: Request[], isAfterwards = false): void {
    this.#owner.onDisconnected(this, reason, unsent, isAfterwards)
  }

  // RequestCarrier

  resumeResponse(request: Request): void {
    const { wire } = this.#life
    if (wire !== null) this.#responses.resume(request, wire)
  }

  requestAborted(request: Request): void {
    if (this.#life.phase === 'closed') return
    if (request === this.#pipeline.pending) {
      this.#pipeline.takePending()
      if (this.#life.phase === 'connecting') this.#owner.onUnneeded(this)
      else if (this.canTake) this.#owner.onAvailable(this)
    } else if (this.#pipeline.drop(request)) this.#life.lose('aborted')
  }

  // PipelineOwner

  onFirstRequest(request: Request): void {
    this.#patience.forHeaders(request)
  }

  onUploaded(): void {
    const { first } = this.#pipeline
    if (this.#responses.awaitsHead && first !== null) this.#patience.forHeaders(first)
    this.#advance()
    if (this.canTake) this.#owner.onAvailable(this)
  }

  // FinWatchOwner

  onStayedOpen(): void {
    if (this.#pipeline.pending !== null) this.#schedule()
    else if (this.canTake) this.#owner.onAvailable(this)
  }

  /** What was awaited did not come. */
  onDeadline(): void {
    const { awaited } = this.#patience
    const { first, isUploading, runningCount } = this.#pipeline
    if (awaited === 'connection') this.#opening.expire()
    else if (awaited === 'reuse') this.#life.close('socket idle timeout', 'self')
    else if (awaited === 'body') this.#life.lose(new BodyTimeoutError())
    // As long as the body goes out, the peer need not answer: undici counts only a blocked one.
    else if (isUploading && !this.#life.wire!.isBlocked && runningCount === 1) this.#patience.forHeaders(first!)
    else this.#life.lose(new HeadersTimeoutError())
  }

  #mayBeRepeated(request: Request): boolean {
    return this.#options.retryStale && mayBeRepeated(request)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#transport.scheduler.later(this)
  }

  /** From a microtask; should it come to be scheduled before that, in its turn. */
  #writeSoon(): void {
    this.#advanceSoon ??= () => this.#advance()
    soon(this.#advanceSoon)
  }

  /** Writes the pending request if it may be written now, and asks for the next. */
  #advance(): void {
    while (this.#life.phase === 'open' && this.#pipeline.canWrite) {
      // Over before anything was written: the connection goes on without it.
      if (!this.#pipeline.write(this.#life.wire!) && this.isOpen && this.#pipeline.first === null) this.#nextResponse()
      if (this.canTake) this.#owner.onAvailable(this)
    }
  }

  #take(request: Request): void {
    this.#pipeline.put(request)
    request.carriedBy(this)
  }

  /** Between two messages. */
  #nextResponse(): void {
    const { first } = this.#pipeline
    if (first !== null) this.#patience.forHeaders(first)
    else this.#patience.forReuse(this.#responses.idleTimeoutMs)
    if (this.canTake) this.#owner.onAvailable(this)
    else if (this.#pipeline.pending !== null) this.#schedule()
  }
}
