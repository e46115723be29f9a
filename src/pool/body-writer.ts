/**
 * Sends a body whose chunks come one by one: frames them, counts them against Content-Length, and holds the head back
 * until the first chunk or the end is there, so that an empty body can still be announced as one (undici AsyncWriter);
 * unless the body is held back until the server has seen the head.
 */
import { RequestContentLengthMismatchError } from '../errors.js'
import {
  CHUNK_SUFFIX,
  chunkPrefix,
  expectsPayload,
  framingLine,
  LAST_CHUNK,
  type RequestFraming,
} from '../http1/request-head.js'
import type { Request } from '../request/request.js'
import type { Wire } from '../transport/wire.js'

/** Up to this size a chunk is copied behind its prefix, which is cheaper than a second system call. */
const COPY_LIMIT = 16_384

/** Whose bodies are written. */
export interface BodyOwner {
  /** The first byte of the body is about to be sent: there is one. */
  onBodyBegins(request: Request): void
}

export class BodyWriter {
  readonly #owner: BodyOwner
  readonly #wire: Wire
  readonly #request: Request
  readonly #head: string
  readonly #framing: RequestFraming
  readonly #strict: boolean
  #isHeadSent = false
  #written = 0

  constructor(owner: BodyOwner, wire: Wire, request: Request, head: string, framing: RequestFraming, strict: boolean) {
    this.#owner = owner
    this.#wire = wire
    this.#request = request
    this.#head = head
    this.#framing = framing
    this.#strict = strict
  }

  /** As much was written as was announced. */
  get isFull(): boolean {
    return this.#framing.kind === 'sized' && this.#written > 0 && this.#written === this.#framing.length
  }

  /** Sends the head by itself: there is a body, of the length that it says or in chunks. */
  sendHead(): void {
    this.#isHeadSent = true
    this.#wire.sendLatin1(`${this.#head}${framingLine(this.#framing)}`, false)
  }

  /**
   * @returns false when the caller should wait for the wire to drain
   * @throws RequestContentLengthMismatchError for more than was announced, TypeError for what is no chunk
   */
  write(chunk: unknown): boolean {
    const bytes = chunk instanceof Uint8Array ? chunk : Buffer.from(chunk as string)
    if (bytes.byteLength === 0) return true
    const framing = this.#framing
    if (framing.kind === 'sized' && this.#written + bytes.byteLength > framing.length) this.#mismatch()
    if (this.#written === 0) this.#owner.onBodyBegins(this.#request)
    let prefix = this.#written === 0 && !this.#isHeadSent ? `${this.#head}${framingLine(framing)}` : ''
    if (framing.kind === 'chunked') {
      prefix += `${this.#written === 0 ? '' : CHUNK_SUFFIX}${chunkPrefix(bytes.byteLength)}`
    }
    this.#written += bytes.byteLength
    this.#send(prefix, bytes)
    this.#request.onBodySent(chunk)
    return !this.#wire.isBlocked
  }

  /** @throws RequestContentLengthMismatchError for less than was announced */
  end(): void {
    const framing = this.#framing
    if (this.#written === 0) {
      const isAnnounced = framing.kind === 'sized' && framing.length > 0
      const empty: RequestFraming = expectsPayload(this.#request.method)
        ? { kind: 'sized', length: 0 }
        : { kind: 'none' }
      if (isAnnounced) this.#mismatch()
      if (!this.#isHeadSent) this.#wire.sendLatin1(`${this.#head}${framingLine(empty)}`, false)
      else if (framing.kind === 'chunked') this.#wire.sendLatin1(LAST_CHUNK, false)
    } else if (framing.kind === 'chunked') {
      this.#wire.sendLatin1(`${CHUNK_SUFFIX}${LAST_CHUNK}`, false)
    } else if (framing.kind === 'sized' && this.#written !== framing.length) {
      this.#mismatch()
    }
    this.#request.onRequestSent()
  }

  #send(prefix: string, bytes: Uint8Array): void {
    if (prefix === '') {
      this.#wire.send(bytes, false)
    } else if (bytes.byteLength > COPY_LIMIT) {
      this.#wire.sendLatin1(prefix, true)
      this.#wire.send(bytes, false)
    } else {
      const message = Buffer.allocUnsafe(prefix.length + bytes.byteLength)
      message.write(prefix, 'latin1')
      message.set(bytes, prefix.length)
      this.#wire.send(message, false)
    }
  }

  #mismatch(): void {
    const error = new RequestContentLengthMismatchError()
    if (this.#strict) throw error
    process.emitWarning(error)
  }
}
