/** Responses by chance, read in many manners: whatever the splits, pauses and other readers, the same is heard. */
import { deepEqual, equal, ok } from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { receiveWindow } from '../../src/http1/llhttp.js'
import type { ProtocolError } from '../../src/http1/protocol-error.js'
import type { Expectation, ResponseReader } from '../../src/http1/response-reader.js'
import { type Entry, latin1, Recording } from '../http1/recording.js'
import type { Random } from '../support/random.js'
import { randomPieces, randomResponse } from './random-responses.js'

const EXPECTATIONS: readonly Expectation[] = [
  { method: 'GET', upgrade: null },
  { method: 'GET', upgrade: null },
  { method: 'POST', upgrade: null },
  { method: 'HEAD', upgrade: null },
  { method: 'CONNECT', upgrade: null },
  { method: 'GET', upgrade: 'websocket' },
]
const KINDS: ReadonlySet<string> = new Set([
  'parse',
  'header-overflow',
  'body-overflow',
  'length-mismatch',
  'closed',
  'bad-response',
  'bad-upgrade',
])

/** Behind what was received; the parser must neither see it nor change it. */
const CANARY = Buffer.from('\r\n\r\nHTTP/1.1 200 OK\r\n\r\n')

interface Manner {
  pieces: readonly Buffer[]
  /** Whether the sink pauses at an event. */
  pauses?: () => boolean
  /** Whether another reader reads in between. */
  interrupts?: () => boolean
  /** FIN comes before the sink has resumed. */
  finMeetsPause?: boolean
  /** The number of the event at which the sink has heard enough. */
  stopsAt?: number
}

const OTHER = latin1('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother')

/** A whole exchange of somebody else's, in the same window. */
function readSomethingElse(): void {
  const other = new Recording()
  OTHER.copy(receiveWindow())
  equal(other.reader.receive(OTHER.length), null)
  equal(other.body, 'other')
}

class Play {
  readonly recording: Recording
  readonly #manner: Manner
  #events = 0
  #wasInterrupted = false

  constructor(expectations: readonly Expectation[], manner: Manner, maxHeaderSize: number) {
    this.#manner = manner
    const react = (reader: ResponseReader): void => {
      if (++this.#events === manner.stopsAt) return reader.stop()
      if (manner.interrupts?.()) {
        this.#wasInterrupted = true
        readSomethingElse()
      }
    }
    const pause = (reader: ResponseReader): void => {
      react(reader)
      if (manner.pauses?.()) reader.pause()
    }
    const on = { begin: react, informational: react, head: pause, data: pause, end: react, tunnel: react }
    this.recording = new Recording({ expectations, limits: { maxHeaderSize }, on })
  }

  /** From the first byte to FIN. */
  run(): this {
    const { recording } = this
    const { reader } = recording
    for (const [i, piece] of this.#manner.pieces.entries()) {
      const last = recording.entries.at(-1)
      if (last?.event === 'tunnel') {
        last.rest += piece.toString('latin1')
        continue
      }
      if (recording.note(this.#receive(piece))) return this
      const isLast = i === this.#manner.pieces.length - 1
      if (isLast && this.#manner.finMeetsPause && reader.isPaused) break
      if (this.#resume()) return this
    }
    recording.finish()
    this.#resume()
    return this
  }

  #receive(piece: Buffer): ProtocolError | null {
    const { reader } = this.recording
    if (reader.state === 'closed') return null
    const window = receiveWindow()
    piece.copy(window)
    CANARY.copy(window, piece.length)
    this.#wasInterrupted = false
    const error = reader.receive(piece.length)
    const behind = receiveWindow().subarray(piece.length, piece.length + CANARY.length)
    ok(this.#wasInterrupted || behind.equals(CANARY), 'the window was written to behind what was received')
    return error
  }

  /** @returns whether nothing more is to be heard */
  #resume(): boolean {
    const { recording } = this
    while (recording.reader.isPaused && recording.reader.state !== 'closed') {
      if (recording.note(recording.reader.resume())) return true
    }
    return recording.reader.state === 'closed'
  }
}

/** What was handed out is nobody else's, and stays what it was. */
function assertOwned({ chunks, heads, trailers, entries }: Recording): void {
  receiveWindow().fill(0x55, 0, 4096)
  const memory = receiveWindow().buffer
  const handedOut = [...chunks, ...heads.flatMap(({ fields }) => fields.toRaw()), ...(trailers?.toRaw() ?? [])]
  for (const bytes of handedOut) ok(bytes.buffer !== memory, 'a view into the memory of the parser was handed out')
  const heard = entries.map((entry) => (entry.event === 'data' ? entry.body : '')).join('')
  equal(chunks.map((chunk) => chunk.toString('latin1')).join(''), heard)
}

function assertDocumented(entries: readonly Entry[]): void {
  for (const [i, entry] of entries.entries()) {
    if (entry.event !== 'error') continue
    equal(i, entries.length - 1)
    ok(KINDS.has(entry.kind), entry.kind)
    if (entry.kind !== 'parse') continue
    ok(/^Response does not match the HTTP\/1\.1 protocol \([^()]+\)$/.test(entry.message), entry.message)
    ok(entry.code !== 'INTERNAL' && entry.code !== undefined, entry.code)
  }
}

/** Nothing is heard behind a stop, and before it what would have been heard anyhow. */
function assertStopped(recording: Recording, expected: readonly Entry[], pieces: readonly Buffer[]): void {
  const { reader, entries, names } = recording
  if (reader.state !== 'closed') return
  const { length } = entries
  for (const piece of pieces) {
    piece.copy(receiveWindow())
    reader.receive(piece.length)
  }
  reader.resume()
  equal(reader.receiveEnd(), null)
  equal(entries.length, length)
  deepEqual(names.slice(0, -1), expected.map(({ event }) => event).slice(0, Math.max(0, length - 1)))
}

/**
 * Where the fields come near to their limit, a name with a bad character in it is found too long or wrong: as much of it
 * is counted as came in earlier reads. Refused it is anyhow.
 */
function inGeneral(entries: readonly Entry[]): readonly unknown[] {
  const last = entries.at(-1)
  const isVague = last?.event === 'error' && ['header-overflow', 'parse', 'length-mismatch'].includes(last.kind)
  return isVague ? entries.with(-1, { ...last, kind: 'parse', message: '', code: '' }) : entries
}

/** @throws AssertionError, or what should never have been thrown */
export function fuzzReader(next: Random): void {
  const count = 1 + next(3)
  const expectations = Array.from({ length: count }, () => EXPECTATIONS[next(EXPECTATIONS.length)]!)
  const bytes = randomResponse(next, count)
  const isLimited = next(4) === 0
  const maxHeaderSize = isLimited ? next(400) : 16_384
  const play = (manner: Manner): Recording => {
    const { recording } = new Play(expectations, manner, maxHeaderSize).run()
    assertOwned(recording)
    return recording
  }
  const whole = play({ pieces: bytes.length === 0 ? [] : [bytes] })
  const { entries } = whole
  assertDocumented(entries)
  const pieces = randomPieces(bytes, next)
  const sometimes = (): boolean => next(3) === 0
  const pieceByPiece = Array.from(bytes, (byte) => Buffer.of(byte))
  const assertHeard = (recording: Recording, manner: string): void => {
    if (isLimited) deepEqual(inGeneral(recording.entries), inGeneral(entries), manner)
    else deepEqual(recording.entries, entries, manner)
  }
  assertHeard(play({ pieces }), 'in pieces')
  assertHeard(play({ pieces: pieceByPiece }), 'byte by byte')
  assertHeard(play({ pieces, pauses: sometimes }), 'with pauses')
  const disturbed = { pieces, pauses: sometimes, interrupts: sometimes, finMeetsPause: true }
  assertHeard(play(disturbed), 'with pauses and interruptions')
  const direct = new Recording({ expectations, limits: { maxHeaderSize } })
  assertHeard(direct.feedDirectly(bytes, 1 + next(50)).finish(), 'past the parser')
  const stopsAt = 1 + next(8)
  assertStopped(play({ pieces, stopsAt, interrupts: sometimes }), entries, pieces)
}
