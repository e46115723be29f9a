/**
 * llhttp, compiled to WebAssembly (undici's build, bundled), behind a narrow door: response heads, chunked bodies and
 * trailers go through it; bodies of known length or ended by FIN never do.
 *
 * No code of a user runs while wasm frames are on the stack: callbacks only note offsets. So parsing never re-enters
 * itself, and nothing that a handler throws can unwind through the parser.
 */
import { Buffer } from 'node:buffer'
import base64 from 'virtual:llhttp-wasm'
import { ProtocolError } from './protocol-error.js'

/** What a run of the parser ended with. */
export const Outcome = {
  /** All bytes were consumed; the message goes on. */
  More: 0,
  /** A head is complete; the bytes behind it have not been looked at. */
  Head: 1,
  /** The message is complete, trailers included; the bytes behind it have not been looked at. */
  End: 2,
  /** The bytes are not HTTP/1.1; see {@link Parser.error}. */
  Failed: 3,
} as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/** Size of the window that bytes are received into, in bytes; as much as undici reads at once. */
export const WINDOW_SIZE = 65_536

interface Exports {
  memory: { buffer: ArrayBuffer }
  malloc(size: number): number
  llhttp_alloc(type: number): number
  llhttp_reset(parser: number): void
  llhttp_execute(parser: number, data: number, length: number): number
  llhttp_resume(parser: number): void
  llhttp_get_error_pos(parser: number): number
  llhttp_get_error_reason(parser: number): number
}

declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: unknown }
}

/** llhttp_type_t: HTTP_RESPONSE. */
const RESPONSE = 2
/** llhttp_errno_t. */
const OK = 0
const PAUSED = 21
/** What on_headers_complete answers when no body follows, whatever the fields say. */
const SKIP_BODY = 1
/** llhttp_flags_t. */
const F_CHUNKED = 1 << 3
const F_CONTENT_LENGTH = 1 << 5
const F_TRANSFER_ENCODING = 1 << 9
/** Offsets in `struct llhttp__internal_s` as wasm32 lays it out; a test reads known messages through them. */
const CONTENT_LENGTH_OFFSET = 32
const FLAGS_OFFSET = 50

/**
 * Names of llhttp_errno_t, for `HTTPParserError.code`: `HPE_<name>`. All that a response and callbacks that answer
 * nothing but OK and PAUSED can bring about; the others are about requests, other callbacks and leniency.
 */
const ERROR_NAMES: Readonly<Record<number, string>> = {
  1: 'INTERNAL',
  2: 'STRICT',
  3: 'LF_EXPECTED',
  4: 'UNEXPECTED_CONTENT_LENGTH',
  5: 'CLOSED_CONNECTION',
  8: 'INVALID_CONSTANT',
  9: 'INVALID_VERSION',
  10: 'INVALID_HEADER_TOKEN',
  11: 'INVALID_CONTENT_LENGTH',
  12: 'INVALID_CHUNK_SIZE',
  13: 'INVALID_STATUS',
  14: 'INVALID_EOF_STATE',
  15: 'INVALID_TRANSFER_ENCODING',
  25: 'CR_EXPECTED',
  30: 'UNEXPECTED_SPACE',
}

let running: Parser

const goOn = (): number => OK

const instance = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(base64, 'base64')), {
  env: {
    wasm_on_url: goOn,
    wasm_on_message_begin: goOn,
    wasm_on_status: (_: number, at: number, length: number) => running.noteStatus(at, length),
    wasm_on_header_field: (_: number, at: number, length: number) => running.noteName(at, length),
    wasm_on_header_value: (_: number, at: number, length: number) => running.noteValue(at, length),
    wasm_on_headers_complete: (_: number, status: number, upgrade: number, keepAlive: number) =>
      running.noteHead(status, upgrade === 1, keepAlive === 1),
    wasm_on_body: (_: number, at: number, length: number) => running.noteBody(at, length),
    wasm_on_message_complete: () => running.noteEnd(),
  },
})
const llhttp = instance.exports as Exports

const windowOffset = llhttp.malloc(WINDOW_SIZE)
let windowView = Buffer.from(llhttp.memory.buffer, windowOffset, WINDOW_SIZE)
let memoryView = new DataView(llhttp.memory.buffer)

/** When the wasm memory grows it moves, and views on it are views on nothing. */
function renewViews(): void {
  windowView = Buffer.from(llhttp.memory.buffer, windowOffset, WINDOW_SIZE)
  memoryView = new DataView(llhttp.memory.buffer)
}

/**
 * The memory that bytes are received into before they are parsed: one window for the whole thread, free again when
 * {@link Parser.execute} has returned. Ask for it before each use: it moves when the wasm memory grows.
 */
export function receiveWindow(): Buffer {
  if (windowView.length === 0) renewViews()
  return windowView
}

let windowStart = windowView as Buffer

/** The first `length` bytes of the window, at least one, in memory of their own. */
export function copyOfWindow(length: number): Buffer {
  // Most responses are as long as the one before. A view that has become void has no length.
  if (windowStart.length !== length) windowStart = receiveWindow().subarray(0, length)
  const copy = Buffer.allocUnsafe(length)
  copy.set(windowStart)
  return copy
}

function memory(): DataView {
  if (windowView.length === 0) renewViews()
  return memoryView
}

/** Those that were given back, each with the next; an array would be given new memory each time it is not empty any more. */
let spareParser: Parser | null = null
/** Room for as many is kept by a parser that is given back, whatever the peer has sent: two for each name and value. */
const MOST_KEPT_PLACES = 256

/** One message's parser. Borrow it with the message's first byte, return it with the last. */
export class Parser {
  /** The first byte of the window that the last run did not consume. */
  position = 0
  status = 0
  upgrade = false
  shouldKeepAlive = false
  error: ProtocolError | null = null
  /** Of the status text, from the beginning of the section. */
  statusOffset = 0
  statusLength = 0
  /** Bytes of field names and values in this section so far: what `maxHeaderSize` limits. */
  fieldBytes = 0
  /** Body bytes of the last run as [window offset, length] pairs. */
  readonly body: number[] = []
  readonly #pointer = llhttp.llhttp_alloc(RESPONSE)
  #outcome: Outcome = Outcome.More
  /** Names and values of this section as [offset, length] pairs, and what longer ones before it have left behind. */
  readonly #places: number[] = []
  #placeCount = 0
  /** Add to a wasm address to get an offset in the section. */
  #sectionBase = 0
  #previousWasName = false
  #nextSpare: Parser | null = null

  static borrow(): Parser {
    const parser = spareParser ?? new Parser()
    spareParser = parser.#nextSpare
    parser.#nextSpare = null
    return parser
  }

  giveBack(): void {
    this.reset()
    this.#nextSpare = spareParser
    spareParser = this
  }

  /** Makes the parser expect the beginning of a response on a connection of which it knows nothing. */
  reset(): void {
    llhttp.llhttp_reset(this.#pointer)
    this.error = null
    if (this.#places.length > MOST_KEPT_PLACES) this.#places.length = 0
    this.beginHead()
  }

  /** Another head follows, that of a 1xx being complete: nothing may, when that has said that the connection closes. */
  beginHead(): void {
    this.statusLength = 0
    this.beginSection()
  }

  /** The fields that follow are another section: the trailers, or those of the next head. */
  beginSection(): void {
    this.#placeCount = 0
    this.fieldBytes = 0
    this.#previousWasName = false
  }

  /**
   * Parses `window[start, end)`.
   *
   * @param sectionLength how many bytes of the present section (head or trailers) came in earlier runs
   */
  execute(start: number, end: number, sectionLength: number): Outcome {
    running = this
    if (this.body.length > 0) this.body.length = 0
    this.#outcome = Outcome.More
    this.#sectionBase = sectionLength - windowOffset - start
    const result = llhttp.llhttp_execute(this.#pointer, windowOffset + start, end - start)
    if (result === OK) {
      this.position = end
    } else {
      this.position = llhttp.llhttp_get_error_pos(this.#pointer) - windowOffset
      if (result === PAUSED) llhttp.llhttp_resume(this.#pointer)
      else this.#fail(result, end)
    }
    return this.#outcome
  }

  /** llhttp's own reading of the last head's framing fields, so that there is no second opinion on them. */
  get isChunked(): boolean {
    return (this.#flags & F_CHUNKED) !== 0
  }

  /** A Transfer-Encoding was there, whatever its codings. */
  get hasTransferEncoding(): boolean {
    return (this.#flags & F_TRANSFER_ENCODING) !== 0
  }

  /** The value of Content-Length in bytes, or -1. */
  get contentLength(): number {
    if ((this.#flags & F_CONTENT_LENGTH) === 0) return -1
    const view = memory()
    const offset = this.#pointer + CONTENT_LENGTH_OFFSET
    return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32
  }

  get #flags(): number {
    return memory().getUint16(this.#pointer + FLAGS_OFFSET, true)
  }

  /** At least one name has begun in this section. */
  get hasFields(): boolean {
    return this.#placeCount > 0
  }

  /** Names and values of this section as [offset, length] pairs; offsets count from the beginning of the section. */
  fieldPlaces(): number[] {
    return this.#places.slice(0, this.#placeCount)
  }

  noteStatus(at: number, length: number): number {
    if (this.statusLength === 0) this.statusOffset = at + this.#sectionBase
    this.statusLength += length
    return OK
  }

  noteName(at: number, length: number): number {
    this.#note(at, length, this.#previousWasName)
    this.#previousWasName = true
    return OK
  }

  noteValue(at: number, length: number): number {
    this.#note(at, length, !this.#previousWasName)
    this.#previousWasName = false
    return OK
  }

  /** @param goesOn more of what was noted last */
  #note(at: number, length: number, goesOn: boolean): void {
    const places = this.#places
    if (goesOn) {
      places[this.#placeCount - 1]! += length
    } else {
      places[this.#placeCount++] = at + this.#sectionBase
      places[this.#placeCount++] = length
    }
    this.fieldBytes += length
  }

  noteHead(status: number, upgrade: boolean, shouldKeepAlive: boolean): number {
    this.status = status
    this.upgrade = upgrade
    this.shouldKeepAlive = shouldKeepAlive
    this.#outcome = Outcome.Head
    // What follows 101 is not HTTP; llhttp knows that, and does not take it for the end of a message.
    return status < 200 && status !== 101 ? SKIP_BODY : PAUSED
  }

  noteBody(at: number, length: number): number {
    this.body.push(at - windowOffset, length)
    return OK
  }

  noteEnd(): number {
    // A 1xx is complete with its head.
    if (this.#outcome !== Outcome.Head) this.#outcome = Outcome.End
    return PAUSED
  }

  #fail(code: number, end: number): void {
    this.#outcome = Outcome.Failed
    const window = receiveWindow()
    const memory = Buffer.from(window.buffer)
    const reason = llhttp.llhttp_get_error_reason(this.#pointer)
    const text = memory.toString('latin1', reason, memory.indexOf(0, reason))
    const offending = Buffer.from(window.subarray(this.position, end))
    this.error = ProtocolError.parse(text, ERROR_NAMES[code]!, offending)
  }
}
