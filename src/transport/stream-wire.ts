/**
 * A connection over a stream of Node's: TLS, ordinary sockets, or whatever a user's `connect` function has made. Reading
 * is pulled out of the stream's buffer, so that the stream stops reading from its socket when nobody pulls.
 */
import type { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type SocketInfo, socketError } from '../errors.js'
import { type Initiator, MAX_CHUNK_SIZE, Received, type Wire, type WireListener } from './wire.js'

/** Who lent the stream, or counts it. */
export interface StreamOwner {
  /** The stream is over, and destroyed. @param initiator of an end in good order; `null` for an abort */
  ended(initiator: Initiator | null): void
  /** The stream has been given to the user, for good. */
  handedOver(): void
  /** See {@link Wire.setTypeOfService}. */
  setTypeOfService(value: number): void
}

/** Not every Duplex has what sockets have. */
type Stream = Duplex &
  Partial<Pick<Socket, 'ref' | 'unref' | 'bytesRead' | 'bytesWritten' | 'timeout'>> & {
    localAddress?: string
    localPort?: number
    remoteAddress?: string
    remotePort?: number
    remoteFamily?: string
  }

export class StreamWire implements Wire {
  isPeerClosed: boolean
  /** From Node.js 26 on, `read()` returns one of the buffers that have come, not all of them. */
  readonly isEmptyAfterShortRead = false
  error: Error | null = null
  listener: WireListener | null = null
  readonly canDetach = true
  readonly probesKernel = false
  readonly #stream: Stream
  readonly #owner: StreamOwner
  /** Taken out of the stream, but not wanted yet. */
  #rest: Buffer | null = null
  #isCorked = false
  readonly #onReadable = (): void => this.listener?.onReadable()
  readonly #onEnd = (): void => {
    this.isPeerClosed = true
    this.#onReadable()
  }
  readonly #onError = (error: Error): void => {
    this.error ??= error
    this.#onReadable()
  }
  readonly #onClose = (): void => {
    if (!this.isPeerClosed) this.#onError(socketError('closed', this.info))
  }
  readonly #onDrain = (): void => this.listener?.onDrain()

  /** Takes over a connected stream. Where it can, it lets the process end: requests keep the process alive. */
  constructor(stream: Duplex, owner: StreamOwner) {
    this.#stream = stream
    this.#owner = owner
    // What has happened already is not emitted again.
    this.isPeerClosed = stream.readableEnded
    stream.on('readable', this.#onReadable)
    stream.on('end', this.#onEnd)
    stream.on('error', this.#onError)
    stream.on('close', this.#onClose)
    stream.on('drain', this.#onDrain)
    this.#stream.unref?.()
  }

  get isBlocked(): boolean {
    return this.#stream.writableNeedDrain
  }

  get bytesWritten(): number {
    return this.#stream.bytesWritten ?? Number.NaN
  }

  get info(): SocketInfo {
    const { localAddress, localPort, remoteAddress, remotePort, remoteFamily, timeout, bytesWritten, bytesRead } =
      this.#stream
    const info = { localAddress, localPort, remoteAddress, remotePort, remoteFamily, timeout, bytesWritten, bytesRead }
    return info as SocketInfo
  }

  get socket(): object {
    return this.#stream
  }

  receive(window: Buffer): number {
    const chunk = this.#read(window.length)
    if (typeof chunk === 'number') return chunk
    chunk.copy(window)
    return chunk.length
  }

  receiveChunk(limit: number): Buffer | number {
    return this.#read(Math.min(limit, MAX_CHUNK_SIZE))
  }

  probe(): number {
    const chunk = this.#read(Number.POSITIVE_INFINITY)
    if (typeof chunk === 'number') return chunk
    this.#rest = chunk
    return chunk.length
  }

  send(bytes: Uint8Array, more: boolean): void {
    this.#cork(more)
    this.#stream.write(bytes)
    this.#uncork(more)
  }

  sendLatin1(text: string, more: boolean): void {
    this.#cork(more)
    this.#stream.write(text, 'latin1')
    this.#uncork(more)
  }

  setTypeOfService(value: number): void {
    this.#owner.setTypeOfService(value)
  }

  finish(initiator: Initiator, reason?: Error): void {
    this.#end(initiator, reason)
  }

  abort(reason?: Error): void {
    this.#end(null, reason)
  }

  detach(bytes: Buffer): Duplex {
    const stream = this.#stream
    // What came first is put back last.
    if (this.#rest !== null && this.#rest.length > 0) stream.unshift(this.#rest)
    if (bytes.length > 0) stream.unshift(bytes)
    this.#leave()
    stream.ref?.()
    this.#owner.handedOver()
    return stream
  }

  #read(limit: number): Buffer | number {
    const chunk = this.#rest ?? (this.#stream.read() as Buffer | null)
    this.#rest = null
    if (chunk === null) {
      if (this.error !== null) return Received.Failed
      return this.isPeerClosed ? Received.End : Received.Nothing
    }
    if (chunk.length <= limit) return chunk
    this.#rest = chunk.subarray(limit)
    return chunk.subarray(0, limit)
  }

  #cork(more: boolean): void {
    if (!more || this.#isCorked) return
    this.#isCorked = true
    this.#stream.cork()
  }

  #uncork(more: boolean): void {
    if (more || !this.#isCorked) return
    this.#isCorked = false
    this.#stream.uncork()
  }

  #end(initiator: Initiator | null, reason: Error | undefined): void {
    this.#leave()
    this.#stream.on('error', () => {})
    this.#stream.destroy(reason)
    this.#owner.ended(this.error === null ? initiator : null)
  }

  #leave(): void {
    this.listener = null
    const stream = this.#stream
    stream.removeListener('readable', this.#onReadable)
    stream.removeListener('end', this.#onEnd)
    stream.removeListener('error', this.#onError)
    stream.removeListener('close', this.#onClose)
    stream.removeListener('drain', this.#onDrain)
  }
}
