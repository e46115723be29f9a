/**
 * What connections on leased descriptors have in common, whatever their bytes look like on the way: a queue for what the
 * kernel does not take, the accounting, and the end.
 */
import { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { SocketInfo } from '../errors.js'
import type { Descriptor, ReadinessListener } from '../socket-pool/descriptor.js'
import { isPeerClosed, isReadable, isWritable } from '../sys/epoll-event.js'
import { native } from '../sys/native.js'
import { Lingering } from './lingering.js'
import type { Tcp } from './tcp.js'
import { type Initiator, MAX_CHUNK_SIZE, type Wire, type WireListener } from './wire.js'

/** Room for a request's head; what is longer goes through memory of its own. */
const SCRATCH_SIZE = 16_384
export const scratch = Buffer.allocUnsafeSlow(SCRATCH_SIZE)

/** Answers of {@link DescriptorWire.transmit} that are not a number of bytes. */
export const Unsent = {
  /** There is no room; readiness will tell when there is. */
  Blocked: -1,
  /** To be tried again, though nothing will tell when. */
  Later: -2,
  /** For good: {@link Wire.error} is set. */
  Failed: -3,
} as const

/** Received into, but not handed out: a short read is copied from it. */
let spareChunk: Buffer | null = null

let windowView: Buffer | null = null
let windowAddress = 0

/** The receive window moves only when the wasm memory grows, and then it is another view. */
export function addressOfWindow(window: Buffer): number {
  if (window !== windowView) {
    windowView = window
    windowAddress = native().addressOf(window)
  }
  return windowAddress
}

export abstract class DescriptorWire implements Wire, ReadinessListener {
  listener: WireListener | null = null
  isPeerClosed = false
  abstract isEmptyAfterShortRead: boolean
  abstract readonly canDetach: boolean
  error: Error | null = null
  protected readonly tcp: Tcp
  protected readonly descriptor: Descriptor
  protected queue: Uint8Array[] | null = null
  #socket: object | null = null
  #bytesRead = 0
  #bytesWritten = 0

  /** Takes over a connected descriptor. */
  constructor(tcp: Tcp, descriptor: Descriptor) {
    this.tcp = tcp
    this.descriptor = descriptor
    descriptor.listener = this
  }

  abstract probe(): number
  abstract detach(bytes: Buffer): Duplex
  /** Receives into the window. @returns the number of bytes, or one of {@link Received} */
  protected abstract fillWindow(address: number, length: number): number
  /** Receives into a chunk. @returns as {@link fillWindow} */
  protected abstract fillChunk(chunk: Buffer, length: number): number
  /** Takes bytes, or some of them. @returns how many, or one of {@link Unsent} */
  protected abstract transmit(bytes: Uint8Array, length: number, more: boolean): number
  protected abstract makeSocket(): object
  /** The connection is about to end. @param initiator of an end in good order; `null` for an abort */
  protected abstract leave(initiator: Initiator | null): void

  get probesKernel(): true {
    return true
  }

  get isBlocked(): boolean {
    return this.queue !== null
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  get info(): SocketInfo {
    const { peer } = this.descriptor
    const isOpen = this.descriptor.listener === this
    const local = isOpen ? this.tcp.sockets.localEndpoint(this.descriptor) : null
    const info: SocketInfo = { bytesWritten: this.#bytesWritten, bytesRead: this.#bytesRead }
    if (local !== null) {
      info.localAddress = local.address
      info.localPort = local.port
    }
    if (peer.port !== undefined) {
      info.remoteAddress = peer.address
      info.remotePort = peer.port
      info.remoteFamily = peer.address.includes(':') ? 'IPv6' : 'IPv4'
    }
    return info
  }

  get socket(): object {
    this.#socket ??= this.makeSocket()
    return this.#socket
  }

  onReadiness(flags: number): void {
    if (isPeerClosed(flags)) this.isPeerClosed = true
    // Reading comes first: what the peer said before it reset the connection is still there to be read.
    if (isReadable(flags)) this.listener?.onReadable()
    if (this.canFlush && isWritable(flags)) this.flush()
  }

  receive(window: Buffer): number {
    const length = this.fillWindow(addressOfWindow(window), window.length)
    if (length > 0) this.#bytesRead += length
    return length
  }

  receiveChunk(limit: number): Buffer | number {
    const chunk = spareChunk ?? Buffer.allocUnsafeSlow(MAX_CHUNK_SIZE)
    const length = this.fillChunk(chunk, Math.min(limit, MAX_CHUNK_SIZE))
    // What is handed out is never received into again: only a chunk that was copied from is kept.
    spareChunk = length < MAX_CHUNK_SIZE / 2 ? chunk : null
    if (length <= 0) return length
    this.#bytesRead += length
    return spareChunk === null ? chunk.subarray(0, length) : Buffer.copyBytesFrom(chunk, 0, length)
  }

  send(bytes: Uint8Array, more: boolean): void {
    if (this.queue !== null) this.queue.push(bytes)
    else this.#sendNow(bytes, bytes.length, more)
  }

  sendLatin1(text: string, more: boolean): void {
    if (this.queue !== null || text.length > SCRATCH_SIZE) {
      this.send(Buffer.from(text, 'latin1'), more)
    } else {
      this.#sendNow(scratch, scratch.write(text, 'latin1'), more)
    }
  }

  setTypeOfService(value: number): void {
    if (value !== this.descriptor.typeOfService) this.tcp.sockets.setTypeOfService(this.descriptor, value)
  }

  finish(initiator: Initiator): void {
    if (this.error !== null) return this.abort()
    this.leave(initiator)
    this.listener = null
    this.queue = null
    if (this.isPeerClosed) this.tcp.sockets.release(this.descriptor)
    else new Lingering(this.tcp, this.descriptor, initiator)
  }

  abort(): void {
    this.leave(null)
    this.listener = null
    this.queue = null
    this.tcp.sockets.abort(this.descriptor)
  }

  protected get canFlush(): boolean {
    return this.queue !== null && this.error === null
  }

  protected flush(): void {
    if (this.#sendQueue()) this.listener?.onDrain()
  }

  /** Without waiting for readiness: nothing says that there will be any. */
  protected readLater(): void {
    this.tcp.reactor.later({ run: () => this.listener?.onReadable() })
  }

  #sendNow(bytes: Uint8Array, length: number, more: boolean): void {
    const sent = this.transmit(bytes, length, more)
    if (sent === length) {
      this.#bytesWritten += sent
    } else if (sent >= 0) {
      this.#bytesWritten += sent
      this.#enqueue(bytes, sent, length)
      this.#sendQueue()
    } else {
      this.#enqueue(bytes, 0, length)
      this.#notSent(sent)
    }
  }

  #enqueue(bytes: Uint8Array, from: number, to: number): void {
    const rest = bytes === scratch ? Buffer.copyBytesFrom(scratch, from, to - from) : bytes.subarray(from, to)
    this.queue ??= []
    this.queue.unshift(rest)
  }

  /** Sends until the kernel has no more room, for only then it tells when there is (epoll(7)). @returns whether it had */
  #sendQueue(): boolean {
    const queue = this.queue!
    while (queue.length > 0) {
      const bytes = queue[0]!
      const sent = this.transmit(bytes, bytes.length, queue.length > 1)
      if (sent < 0) {
        this.#notSent(sent)
        return false
      }
      this.#bytesWritten += sent
      if (sent < bytes.length) queue[0] = bytes.subarray(sent)
      else queue.shift()
    }
    this.queue = null
    return true
  }

  #notSent(reason: number): void {
    if (reason === Unsent.Blocked) return
    if (reason === Unsent.Failed) return this.#giveUpSending()
    const run = (): void => {
      if (this.canFlush) this.flush()
    }
    this.tcp.reactor.later({ run })
  }

  /**
   * The peer takes no more bytes. What it said before may still be there to be read, and tells more than this error:
   * the owner finds either out by reading.
   */
  #giveUpSending(): void {
    this.queue = []
    this.readLater()
  }
}
