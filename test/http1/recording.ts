/** Feeds a ResponseReader and writes down what it says, in a form that does not depend on how the bytes were split. */
import { Buffer } from 'node:buffer'
import type { FieldRecord, FieldSection } from '../../src/http1/field-section.js'
import { receiveWindow } from '../../src/http1/llhttp.js'
import type { ProtocolError, ProtocolErrorKind } from '../../src/http1/protocol-error.js'
import type { Framing, ResponseHead } from '../../src/http1/response-head.js'
import {
  type Expectation,
  type ResponseLimits,
  ResponseReader,
  type ResponseSink,
} from '../../src/http1/response-reader.js'

export type Entry =
  | { event: 'begin' }
  | { event: 'continue' }
  | { event: 'informational'; status: number; text: string; fields: FieldRecord }
  | {
      event: 'head'
      status: number
      text: string
      fields: FieldRecord
      keepAlive: boolean
      hint: number | null
      sound: boolean
      framing: Framing
    }
  | { event: 'data'; body: string }
  | { event: 'end'; trailers: FieldRecord }
  | { event: 'tunnel'; status: number; text: string; fields: FieldRecord; rest: string }
  | { event: 'error'; kind: ProtocolErrorKind; message: string; code: string | undefined }

/** What a test does within an event; `count` is how many events of this kind there have been, this one included. */
export type Reaction = (reader: ResponseReader, count: number) => void
export type Reactions = Partial<Record<Exclude<Entry['event'], 'error'>, Reaction>>

export interface RecordingOptions {
  /** The requests that wait for a response, in their order. */
  expectations?: readonly Expectation[]
  limits?: Partial<ResponseLimits>
  on?: Reactions
}

export const GET: Expectation = { method: 'GET', upgrade: null }

export class Recording implements ResponseSink {
  readonly reader: ResponseReader
  /** Everything that was heard; neighbouring chunks are joined, since their boundaries are those of the reads. */
  readonly entries: Entry[] = []
  /** The chunks as they were handed out. */
  readonly chunks: Buffer[] = []
  readonly heads: ResponseHead[] = []
  trailers: FieldSection | null = null
  readonly #expectations: Expectation[]
  readonly #on: Reactions
  readonly #counts = new Map<Entry['event'], number>()

  constructor({ expectations = [GET], limits = {}, on = {} }: RecordingOptions = {}) {
    this.#expectations = [...expectations]
    this.#on = on
    this.reader = new ResponseReader(this, { maxHeaderSize: 16_384, maxResponseSize: -1, ...limits })
  }

  /** The events' names in their order; neighbouring chunks count as one. */
  get names(): string[] {
    return this.entries.map(({ event }) => event)
  }

  get body(): string {
    return this.chunks.map((chunk) => chunk.toString('latin1')).join('')
  }

  expectation(): Expectation | null {
    return this.#expectations[0] ?? null
  }

  onResponseBegin(): void {
    this.#hear({ event: 'begin' })
  }

  onContinue(): void {
    this.#hear({ event: 'continue' })
  }

  onInformational(head: ResponseHead): void {
    this.heads.push(head)
    const { statusCode, statusText, fields } = head
    this.#hear({ event: 'informational', status: statusCode, text: statusText, fields: fields.toRecord() })
  }

  onHead(head: ResponseHead, framing: Framing): void {
    this.heads.push(head)
    this.#hear({
      event: 'head',
      status: head.statusCode,
      text: head.statusText,
      fields: head.fields.toRecord(),
      keepAlive: head.shouldKeepAlive,
      hint: head.keepAliveHint,
      sound: head.isSound,
      framing,
    })
  }

  onData(chunk: Buffer): void {
    this.chunks.push(chunk)
    const last = this.entries.at(-1)
    const body = chunk.toString('latin1')
    if (last?.event === 'data') {
      last.body += body
      this.#react('data')
    } else {
      this.#hear({ event: 'data', body })
    }
  }

  onEnd(trailers: FieldSection): void {
    this.trailers = trailers
    this.#expectations.shift()
    this.#hear({ event: 'end', trailers: trailers.toRecord() })
  }

  onTunnel(head: ResponseHead, rest: Buffer): void {
    this.heads.push(head)
    const { statusCode, statusText, fields } = head
    this.#hear({
      event: 'tunnel',
      status: statusCode,
      text: statusText,
      fields: fields.toRecord(),
      rest: rest.toString('latin1'),
    })
  }

  /** Feeds `bytes` in pieces of the given sizes, the last size again and again, until an error or the end of HTTP. */
  feed(bytes: Buffer, ...sizes: readonly number[]): this {
    let position = 0
    for (let i = 0; position < bytes.length; i++) {
      const size = sizes[Math.min(i, sizes.length - 1)] ?? bytes.length
      const piece = bytes.subarray(position, position + size)
      position += piece.length
      if (this.#belongsToTunnel(piece)) continue
      if (this.note(receive(this.reader, piece)) || this.reader.state === 'closed') return this
    }
    return this
  }

  /** Feeds `bytes` as a connection does that bypasses the window for whatever is certain to be body. */
  feedDirectly(bytes: Buffer, size: number): this {
    for (let position = 0; position < bytes.length; ) {
      const room = this.reader.directRoom
      const piece = bytes.subarray(position, position + (room === 0 ? size : Math.min(size, room)))
      position += piece.length
      if (this.#belongsToTunnel(piece)) continue
      const error = room === 0 ? receive(this.reader, piece) : this.reader.receiveBody(Buffer.from(piece))
      if (this.note(error) || this.reader.state === 'closed') return this
    }
    return this
  }

  /** The peer's FIN. */
  finish(): this {
    if (this.entries.at(-1)?.event !== 'error') this.note(this.reader.receiveEnd())
    return this
  }

  /** Writes an error down, as a connection would. */
  note(error: ProtocolError | null): boolean {
    if (error === null) return false
    this.entries.push({ event: 'error', kind: error.kind, message: error.message, code: error.parserCode })
    this.reader.stop()
    return true
  }

  #belongsToTunnel(piece: Buffer): boolean {
    const last = this.entries.at(-1)
    if (last?.event !== 'tunnel') return false
    last.rest += piece.toString('latin1')
    return true
  }

  #hear(entry: Entry): void {
    this.entries.push(entry)
    this.#react(entry.event)
  }

  #react(event: Entry['event']): void {
    const count = (this.#counts.get(event) ?? 0) + 1
    this.#counts.set(event, count)
    if (event !== 'error') this.#on[event]?.(this.reader, count)
  }
}

/** Puts `bytes` where the kernel would, and lets `reader` read them. */
export function receive(reader: ResponseReader, bytes: Buffer): ProtocolError | null {
  bytes.copy(receiveWindow())
  return reader.receive(bytes.length)
}

export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Lines joined and ended by CRLF. */
export const lines = (...parts: readonly string[]): string => `${parts.join('\r\n')}\r\n`

/** A head with its empty line. */
export const head = (...parts: readonly string[]): string => `${lines(...parts)}\r\n`
