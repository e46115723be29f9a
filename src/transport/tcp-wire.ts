/** A TCP connection on a leased descriptor: system calls, a queue for what the kernel does not take, and the end. */
import { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { SocketInfo } from '../errors.js'
import type { Descriptor, ReadinessListener } from '../socket-pool/descriptor.js'
import { MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_PEEK } from '../sys/constants.js'
import { isPeerClosed, isReadable, isUrgent, isWritable } from '../sys/epoll-event.js'
import { native } from '../sys/native.js'
import { EAGAIN, EINTR, ENOBUFS, systemError } from '../sys/system-error.js'
import { Lingering } from './lingering.js'
import { handedOver, Loan } from './loan.js'
import type { Tcp } from './tcp.js'
import { type Initiator, MAX_CHUNK_SIZE, Received, type Wire, type WireListener } from './wire.js'
import { WireSocket } from './wire-socket.js'

/** Room for a request's head; what is longer goes through memory of its own. */
const SCRATCH_SIZE = 16_384
const scratch = Buffer.allocUnsafeSlow(SCRATCH_SIZE)

/** Received into, but not handed out: a short read is copied from it. */
let spareChunk: Buffer | null = null

let windowView: Buffer | null = null
let windowAddress = 0

/** The receive window moves only when the wasm memory grows, and then it is another view. */
function addressOfWindow(window: Buffer): number {
  if (window !== windowView) {
    windowView = window
    windowAddress = native().addressOf(window)
  }
  return windowAddress
}

export class TcpWire implements Wire, ReadinessListener {
  listener: WireListener | null = null
  isPeerClosed = false
  /** Until there is urgent data, before which recv(2) stops. */
  isEmptyAfterShortRead = true
  error: Error | null = null
  readonly #tcp: Tcp
  readonly #descriptor: Descriptor
  #queue: Uint8Array[] | null = null
  #socket: WireSocket | null = null
  #bytesRead = 0
  #bytesWritten = 0

  /** Takes over a connected descriptor. */
  constructor(tcp: Tcp, descriptor: Descriptor) {
    this.#tcp = tcp
    this.#descriptor = descriptor
    descriptor.listener = this
  }

  get probesKernel(): true {
    return true
  }

  get isBlocked(): boolean {
    return this.#queue !== null
  }

  get bytesWritten(): number {
    return this.#bytesWritten
  }

  get info(): SocketInfo {
    const { peer } = this.#descriptor
    const isOpen = this.#descriptor.listener === this
    const local = isOpen ? this.#tcp.sockets.localEndpoint(this.#descriptor) : null
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
    this.#socket ??= new WireSocket(this)
    return this.#socket
  }

  onReadiness(flags: number): void {
    if (isPeerClosed(flags)) this.isPeerClosed = true
    if (isUrgent(flags)) this.isEmptyAfterShortRead = false
    // Reading comes first: what the peer said before it reset the connection is still there to be read.
    if (isReadable(flags)) this.listener?.onReadable()
    if (this.#canFlush && isWritable(flags)) this.#flush()
  }

  receive(window: Buffer): number {
    const length = native().recvAt(this.#descriptor.fd, addressOfWindow(window), window.length, 0)
    return length > 0 ? this.#count(length) : this.#notReceived(length)
  }

  receiveChunk(limit: number): Buffer | number {
    const chunk = spareChunk ?? Buffer.allocUnsafeSlow(MAX_CHUNK_SIZE)
    const length = native().recv(this.#descriptor.fd, chunk, Math.min(limit, MAX_CHUNK_SIZE), 0)
    // What is handed out is never received into again: only a chunk that was copied from is kept.
    spareChunk = length < MAX_CHUNK_SIZE / 2 ? chunk : null
    if (length <= 0) return this.#notReceived(length)
    this.#count(length)
    return spareChunk === null ? chunk.subarray(0, length) : Buffer.copyBytesFrom(chunk, 0, length)
  }

  probe(): number {
    const flags = MSG_PEEK | MSG_DONTWAIT
    const length = native().recv(this.#descriptor.fd, scratch, 1, flags)
    return length > 0 ? length : this.#notReceived(length)
  }

  send(bytes: Uint8Array, more: boolean): void {
    if (this.#queue !== null) this.#queue.push(bytes)
    else this.#sendNow(bytes, bytes.length, more)
  }

  sendLatin1(text: string, more: boolean): void {
    if (this.#queue !== null || text.length > SCRATCH_SIZE) {
      this.send(Buffer.from(text, 'latin1'), more)
    } else {
      this.#sendNow(scratch, scratch.write(text, 'latin1'), more)
    }
  }

  setTypeOfService(value: number): void {
    if (value !== this.#descriptor.typeOfService) this.#tcp.sockets.setTypeOfService(this.#descriptor, value)
  }

  /** Lends the connection to Node; nothing may have been sent or received yet. @throws as {@link Loan} does */
  lend(): Loan {
    return new Loan(this.#tcp, this.#descriptor)
  }

  detach(bytes: Buffer): Duplex {
    this.listener = null
    const { sockets, keepAlive } = this.#tcp
    const socket = handedOver(sockets.handOver(this.#descriptor), this.#descriptor.peer, keepAlive)
    if (bytes.length > 0) socket.unshift(bytes)
    for (const unsent of this.#queue ?? []) socket.write(unsent)
    this.#queue = null
    return socket
  }

  finish(initiator: Initiator): void {
    this.listener = null
    this.#queue = null
    if (this.error !== null) this.#tcp.sockets.abort(this.#descriptor)
    else if (this.isPeerClosed) this.#tcp.sockets.release(this.#descriptor)
    else new Lingering(this.#tcp, this.#descriptor, initiator)
  }

  abort(): void {
    this.listener = null
    this.#queue = null
    this.#tcp.sockets.abort(this.#descriptor)
  }

  #count(length: number): number {
    this.#bytesRead += length
    return length
  }

  #notReceived(length: number): number {
    // After a failed send the kernel may report an end of stream that the peer never sent.
    if (this.error !== null) return Received.Failed
    if (length === 0) {
      this.isPeerClosed = true
      return Received.End
    }
    const errno = native().errno()
    if (errno === EINTR) this.#readLater()
    if (errno === EINTR || errno === EAGAIN) return Received.Nothing
    this.error = systemError(errno, 'read')
    return Received.Failed
  }

  #sendNow(bytes: Uint8Array, length: number, more: boolean): void {
    const flags = more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL
    const sent = native().send(this.#descriptor.fd, bytes, length, flags)
    if (sent === length) {
      this.#bytesWritten += sent
    } else if (sent >= 0) {
      this.#bytesWritten += sent
      this.#enqueue(bytes, sent, length)
      this.#sendQueue()
    } else {
      const errno = native().errno()
      this.#enqueue(bytes, 0, length)
      this.#notSent(errno)
    }
  }

  #enqueue(bytes: Uint8Array, from: number, to: number): void {
    const rest = bytes === scratch ? Buffer.copyBytesFrom(scratch, from, to - from) : bytes.subarray(from, to)
    this.#queue ??= []
    this.#queue.unshift(rest)
  }

  #flush(): void {
    if (this.#sendQueue()) this.listener?.onDrain()
  }

  /** Sends until the kernel has no more room, for only then it tells when there is (epoll(7)). @returns whether it had */
  #sendQueue(): boolean {
    const queue = this.#queue!
    while (queue.length > 0) {
      const bytes = queue[0]!
      const flags = queue.length > 1 ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL
      const sent = native().send(this.#descriptor.fd, bytes, bytes.length, flags)
      if (sent < 0) {
        this.#notSent(native().errno())
        return false
      }
      this.#bytesWritten += sent
      if (sent < bytes.length) queue[0] = bytes.subarray(sent)
      else queue.shift()
    }
    this.#queue = null
    return true
  }

  #notSent(errno: number): void {
    if (errno === EAGAIN) return
    if (errno !== EINTR && errno !== ENOBUFS) return this.#fail(errno)
    const run = (): void => {
      if (this.#canFlush) this.#flush()
    }
    this.#tcp.reactor.later({ run })
  }

  get #canFlush(): boolean {
    return this.#queue !== null && this.error === null
  }

  /**
   * The peer takes no more bytes. What it said before may still be there to be read, and tells more than this error:
   * the owner finds either out by reading.
   */
  #fail(errno: number): void {
    this.error ??= systemError(errno, 'write')
    this.#queue = []
    this.#readLater()
  }

  /** Without waiting for readiness: nothing says that there will be any. */
  #readLater(): void {
    this.#tcp.reactor.later({ run: () => this.listener?.onReadable() })
  }
}
