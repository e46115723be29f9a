/**
 * The receiving half of HTTP/1.1 without any I/O: bytes in, events out.
 *
 * Bytes come through the receive window ({@link ResponseReader.receive}) or, inside of a body whose length does not
 * depend on its content, straight from the kernel ({@link ResponseReader.receiveBody}). Events go to a
 * {@link ResponseSink}, whose methods may pause or stop the reader at any time. Chunks handed out are never written to
 * again: each read is copied out of the window once, and all events of it are views on that copy.
 */
import { Buffer } from 'node:buffer'
import { FieldSection } from './field-section.js'
import { copyOfWindow, Outcome, Parser, receiveWindow, WINDOW_SIZE } from './llhttp.js'
import { ProtocolError } from './protocol-error.js'
import { headError, readHead } from './read-head.js'
import { type Framing, framingOf, type ResponseHead } from './response-head.js'
import { nextState, type ResponseState, type ResponseStep } from './response-state.js'

/** What the reader must know of the request whose response comes next. */
export interface Expectation {
  method: string
  /** The request asked to switch protocols. */
  upgrade: unknown
}

/** Who hears of responses. Each method may call {@link ResponseReader.pause} and {@link ResponseReader.stop}. */
export interface ResponseSink {
  /** The request whose response comes next; `null` when none is due, and then any byte is an error. */
  expectation(): Expectation | null
  /** The first byte of a head has come: once per head, those of 1xx included. */
  onResponseBegin(): void
  /** 100 (Continue). It may be that nobody has asked for it. */
  onContinue(): void
  /** 102 (Processing), 103 (Early Hints) and their like, but for 100 (Continue). */
  onInformational(head: ResponseHead): void
  /** The final head. */
  onHead(head: ResponseHead, framing: Framing): void
  onData(chunk: Buffer): void
  onEnd(trailers: FieldSection): void
  /** The connection is no longer HTTP; `rest` came behind the head. */
  onTunnel(head: ResponseHead, rest: Buffer): void
}

export interface ResponseLimits {
  /** In bytes of field names and values per section; reached is too much, as undici counts. */
  maxHeaderSize: number
  /** In bytes of body; -1: no limit. */
  maxResponseSize: number
}

const NO_CHUNKS: readonly Buffer[] = []

const CR = 0x0d
const LF = 0x0a

/** The reader whose bytes are in the window now: events may let another one use it in between. */
let windowOwner: ResponseReader | null = null

export class ResponseReader {
  readonly #sink: ResponseSink
  readonly #limits: ResponseLimits
  #state: ResponseState = 'head'
  #paused = false
  #parser: Parser | null = null
  /** The first byte of the present head has come. */
  #headHasBegun = false
  /** Bytes of the present section that earlier reads brought. */
  #carried: Buffer | null = null
  /** A copy of what is in the window, made when the first event of a read needs it. */
  #input: Buffer | null = null
  /** Bytes that were received but not parsed, because the sink paused. */
  #rest: Buffer | null = null
  /** Decoded chunks, and the end behind them, that wait for the sink to resume. */
  #chunks: readonly Buffer[] | null = null
  #endIsDue = false
  /** Bytes of empty lines since the last message. */
  #skipped = 0
  /** What is wrong behind the chunks that wait. */
  #failure: ProtocolError | null = null
  /** FIN came while the sink paused. */
  #finIsDue = false
  /** Events are being delivered further up the stack, which goes on after a pause that was taken back. */
  #isDelivering = false
  #remaining = 0
  #bodyBytes = 0
  #shouldKeepAlive = false

  constructor(sink: ResponseSink, limits: ResponseLimits) {
    this.#sink = sink
    this.#limits = limits
  }

  get state(): ResponseState {
    return this.#state
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** A message has begun and is not complete. */
  get isInMessage(): boolean {
    return this.#headHasBegun || this.#state !== 'head'
  }

  /** Something was received, be it FIN, that the sink has not seen yet: it waits for {@link resume}. */
  get hasBacklog(): boolean {
    return this.#rest !== null || this.#chunks !== null || this.#finIsDue
  }

  /**
   * How many bytes of body may be received past the parser now, at most; 0: receive into the window. Never more than
   * what belongs to the present message.
   */
  get directRoom(): number {
    switch (this.#state) {
      case 'sized':
        return this.#remaining
      case 'until-close':
        return Number.POSITIVE_INFINITY
      default:
        return 0
    }
  }

  /** No events until {@link resume}; what has been received is kept. */
  pause(): void {
    this.#paused = true
  }

  /** Delivers what was kept. May be called from within an event. @returns the error in it, or `null` */
  resume(): ProtocolError | null {
    this.#paused = false
    if (this.#isDelivering) return null
    if (this.#chunks !== null) {
      this.#isDelivering = true
      const error = this.#deliverChunks(this.#chunks)
      this.#isDelivering = false
      if (error !== null) return error
    }
    const rest = this.#rest
    if (rest !== null && !this.#paused) {
      this.#rest = null
      rest.copy(receiveWindow())
      windowOwner = this
      this.#input = rest
      const error = this.#run(rest.length)
      if (error !== null) return error
    }
    if (!this.#finIsDue) return null
    this.#finIsDue = false
    return this.receiveEnd()
  }

  /** No more events, ever. */
  stop(): void {
    this.#step('close')
    this.#dropParser()
    this.#headHasBegun = false
    this.#rest = null
    this.#chunks = null
    this.#carried = null
    this.#endIsDue = false
    this.#failure = null
    this.#finIsDue = false
  }

  /** The window holds `length` new bytes; not while {@link hasBacklog}. @returns the error in them, or `null` */
  receive(length: number): ProtocolError | null {
    windowOwner = this
    this.#input = null
    return this.#run(length)
  }

  /** `chunk` was received past the window, not while paused; it is not longer than {@link directRoom} was. */
  receiveBody(chunk: Buffer): ProtocolError | null {
    if (!this.#deliver(chunk)) return new ProtocolError('body-overflow')
    if (this.#state === 'sized') {
      this.#remaining -= chunk.length
      if (this.#remaining > 0) return null
      this.#endIsDue = true
      return this.#deliverChunks(NO_CHUNKS)
    }
    return null
  }

  /**
   * The peer's FIN. Ends a body that it delimits. While the sink pauses it is kept as bytes are, and then
   * {@link resume} returns what this would have.
   *
   * @returns the error when it came too early, or `null`
   */
  receiveEnd(): ProtocolError | null {
    if (this.hasBacklog || (this.#paused && this.#state === 'until-close')) {
      this.#finIsDue = true
      return null
    }
    switch (this.#state) {
      case 'until-close':
        this.#step('close')
        this.#sink.onEnd(FieldSection.empty)
        return null
      case 'closed':
      case 'tunnel':
        return null
      default:
        return this.#shouldKeepAlive || this.#state === 'head' ? new ProtocolError('closed') : this.#truncation()
    }
  }

  /**
   * The connection was reset. As undici has it, a body that FIN delimits ends there.
   *
   * @returns the error that stands for the reset, or `null` when it is the reset itself, or when the message ended well
   */
  receiveReset(): { ended: boolean; error: ProtocolError | null } {
    if (this.#state === 'until-close') return { ended: true, error: this.receiveEnd() }
    const isTruncated = (this.#state === 'sized' || this.#state === 'chunked') && !this.#shouldKeepAlive
    return { ended: false, error: isTruncated ? this.#truncation() : null }
  }

  #truncation(): ProtocolError {
    if (this.#state === 'sized') return new ProtocolError('length-mismatch')
    return ProtocolError.parse('Invalid EOF state', 'INVALID_EOF_STATE', Buffer.alloc(0))
  }

  #step(step: ResponseStep): void {
    this.#state = nextState(this.#state, step)
  }

  #run(length: number): ProtocolError | null {
    this.#isDelivering = true
    const error = this.#consume(length)
    this.#isDelivering = false
    // Or the last reader of a thread would be kept, with all that belongs to its connection.
    windowOwner = null
    return error
  }

  #consume(end: number): ProtocolError | null {
    let position = 0
    while (position < end) {
      if (this.#paused && this.#state !== 'closed') {
        this.#rest = this.#copyOfInput(end).subarray(position)
        return null
      }
      switch (this.#state) {
        case 'head': {
          const error = this.#parseHead(position, end)
          if (error !== null) return error
          position = this.#position
          break
        }
        case 'sized': {
          const length = Math.min(this.#remaining, end - position)
          const chunk = this.#copyOfInput(end).subarray(position, position + length)
          position += length
          const error = this.receiveBody(chunk)
          if (error !== null) return error
          break
        }
        case 'until-close': {
          const chunk = this.#copyOfInput(end).subarray(position, end)
          position = end
          if (!this.#deliver(chunk)) return new ProtocolError('body-overflow')
          break
        }
        case 'chunked': {
          const error = this.#parseChunks(position, end)
          if (error !== null) return error
          position = this.#position
          break
        }
        default:
          return null
      }
    }
    this.#input = null
    return null
  }

  /** Where the last parse stopped. */
  #position = 0

  #execute(parser: Parser, start: number, end: number): Outcome {
    if (windowOwner !== this) {
      // An event of ours led to another reader using the window: put back what was not parsed yet.
      this.#input!.copy(receiveWindow(), start, start, end)
      windowOwner = this
    }
    const outcome = parser.execute(start, end, this.#carried?.length ?? 0)
    this.#position = parser.position
    return outcome
  }

  /** Empty lines between messages mean nothing: llhttp skips them before a message begins. */
  #skipEmptyLines(start: number, end: number): number {
    const bytes = windowOwner === this ? receiveWindow() : this.#input!
    let position = start
    while (position < end && (bytes[position] === CR || bytes[position] === LF)) position++
    return position
  }

  #parseHead(from: number, end: number): ProtocolError | null {
    const start = this.#headHasBegun ? from : this.#skipEmptyLines(from, end)
    this.#skipped += start - from
    if (this.#skipped > this.#longestSection) return new ProtocolError('header-overflow')
    if (start === end) {
      this.#position = end
      return null
    }
    this.#skipped = 0
    const expectation = this.#sink.expectation()
    if (expectation === null) return new ProtocolError('bad-response')
    // Behind a 1xx there is one already, and it knows what that has said.
    const parser = this.#parser ?? Parser.borrow()
    this.#parser = parser
    if (!this.#headHasBegun) {
      this.#headHasBegun = true
      this.#copyOfInput(end)
      this.#sink.onResponseBegin()
      if (this.#parser === null) return null
    }
    const outcome = this.#execute(parser, start, end)
    const length = (this.#carried?.length ?? 0) + this.#position - start
    if (this.#isTooLong(parser, length)) return new ProtocolError('header-overflow')
    if (outcome === Outcome.Failed) return headError(parser, this.#section(start, end))
    if (outcome === Outcome.More) {
      this.#carried = this.#section(start, end)
      return null
    }
    // What is behind the section does no harm, and most often it need not be cut off: a Buffer less.
    const bytes = this.#carried === null && start === 0 ? this.#copyOfInput(end) : this.#section(start, end)
    this.#carried = null
    return this.#headIsComplete(parser, bytes, length, expectation, end)
  }

  #headIsComplete(
    parser: Parser,
    bytes: Buffer,
    length: number,
    { method, upgrade }: Expectation,
    end: number,
  ): ProtocolError | null {
    this.#headHasBegun = false
    const error = this.#refuse(parser, method, upgrade, end)
    if (error !== null) return error
    if (parser.status === 100) return this.#continue()
    const head = readHead(parser, bytes, length, method)
    const framing = framingOf(method, parser)
    if (framing.kind === 'tunnel') return this.#tunnel(head, end)
    if (parser.status < 200) {
      parser.beginHead()
      this.#step('informational')
      this.#sink.onInformational(head)
      // What a handler of a 1xx does to the flow is void: it concerns the final response (undici client-h1).
      this.#paused = false
      return null
    }
    this.#shouldKeepAlive = head.shouldKeepAlive
    this.#bodyBytes = 0
    this.#step(framing.kind)
    if (framing.kind === 'sized') this.#remaining = framing.length
    if (framing.kind === 'chunked') parser.beginSection()
    else this.#dropParser()
    this.#sink.onHead(head, framing)
    if (framing.kind !== 'sized' || framing.length > 0) return null
    this.#endIsDue = true
    return this.#deliverChunks(NO_CHUNKS)
  }

  /**
   * 100 (Continue) is no informational response like the others: it concerns who sends the body, if that is waiting for it,
   * and else is read over (RFC 9110 15.2.1). Whoever takes it for the response, as the interceptors of undici 7 take each
   * 1xx, would be wrong. It is no sign of life of the response either.
   */
  #continue(): null {
    // The next head has a parser that knows nothing of what this one says about the connection.
    this.#dropParser()
    this.#step('informational')
    this.#sink.onContinue()
    return null
  }

  /** What is wrong with a well-formed head. */
  #refuse({ status, upgrade }: Parser, method: string, wanted: unknown, end: number): ProtocolError | null {
    if (status < 100) {
      const rest = this.#copyOfInput(end).subarray(this.#position)
      return ProtocolError.parse('Invalid status code', 'INVALID_STATUS', rest)
    }
    // 101 that does not say what it switches to is none (RFC 9110 15.2.2), yet what follows it is not HTTP.
    const isBad = upgrade ? !wanted : status === 101 && method !== 'CONNECT'
    return isBad ? new ProtocolError('bad-upgrade') : null
  }

  #tunnel(head: ResponseHead, end: number): null {
    const rest = this.#copyOfInput(end).subarray(this.#position)
    this.#position = end
    this.#dropParser()
    this.#step('tunnel')
    this.#sink.onTunnel(head, rest)
    return null
  }

  #parseChunks(start: number, end: number): ProtocolError | null {
    const parser = this.#parser!
    const input = this.#copyOfInput(end)
    const outcome = this.#execute(parser, start, end)
    const chunks: Buffer[] = []
    for (let i = 0; i < parser.body.length; i += 2) {
      const offset = parser.body[i]!
      chunks.push(input.subarray(offset, offset + parser.body[i + 1]!))
    }
    if (parser.hasFields) this.#carried = this.#section(start, end)
    if (this.#carried !== null && this.#isTooLong(parser, this.#carried.length)) {
      this.#failure = new ProtocolError('header-overflow')
    } else {
      this.#failure = parser.error
      this.#endIsDue = outcome === Outcome.End
    }
    return this.#deliverChunks(chunks)
  }

  /** Hands out decoded chunks, and the end or the failure behind them, as far as the sink lets it. */
  #deliverChunks(chunks: readonly Buffer[]): ProtocolError | null {
    this.#chunks = null
    for (let i = 0; i < chunks.length; i++) {
      if (this.#paused) {
        this.#chunks = chunks.slice(i)
        return null
      }
      if (!this.#deliver(chunks[i]!)) return new ProtocolError('body-overflow')
      if (this.#state === 'closed') return null
    }
    if (this.#state === 'closed' || !(this.#endIsDue || this.#failure !== null)) return null
    if (this.#paused) {
      this.#chunks = NO_CHUNKS
      return null
    }
    if (this.#failure !== null) return this.#failure
    this.#end(this.#takeTrailers())
    return null
  }

  #takeTrailers(): FieldSection {
    const section = this.#carried
    let trailers = FieldSection.empty
    if (section !== null) trailers = new FieldSection(section, section.toString('latin1'), this.#parser!.fieldPlaces())
    this.#carried = null
    this.#dropParser()
    return trailers
  }

  #deliver(chunk: Buffer): boolean {
    const { maxResponseSize } = this.#limits
    if (maxResponseSize >= 0 && this.#bodyBytes + chunk.length > maxResponseSize) return false
    this.#bodyBytes += chunk.length
    this.#sink.onData(chunk)
    return true
  }

  #end(trailers: FieldSection): void {
    this.#endIsDue = false
    this.#step('end')
    this.#sink.onEnd(trailers)
  }

  #dropParser(): void {
    this.#parser?.giveBack()
    this.#parser = null
  }

  #copyOfInput(end: number): Buffer {
    this.#input ??= copyOfWindow(end)
    return this.#input
  }

  /** The present section's bytes up to where the parser stopped. */
  #section(start: number, end: number): Buffer {
    const part = this.#copyOfInput(end).subarray(start, this.#position)
    return this.#carried === null ? part : Buffer.concat([this.#carried, part])
  }

  #isTooLong(parser: Parser, length: number): boolean {
    return parser.fieldBytes >= this.#limits.maxHeaderSize || length > this.#longestSection
  }

  /** In bytes, for what has no fields in it that are limited: an endless reason phrase, endless empty lines. */
  get #longestSection(): number {
    return this.#limits.maxHeaderSize + 2 * WINDOW_SIZE
  }
}
