/** A TCP connection on a leased descriptor: system calls. */
import type { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { Descriptor } from '../socket-pool/descriptor.js'
import { MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_PEEK } from '../sys/constants.js'
import { isUrgent } from '../sys/epoll-event.js'
import { native } from '../sys/native.js'
import { EAGAIN, EINTR, ENOBUFS, isSocketError, systemError } from '../sys/system-error.js'
import { DescriptorWire, scratch, Unsent } from './descriptor-wire.js'
import { handedOver, Loan } from './loan.js'
import { Received } from './wire.js'
import { WireSocket } from './wire-socket.js'

export class TcpWire extends DescriptorWire {
  /** Until there is urgent data, before which recv(2) stops. */
  isEmptyAfterShortRead = true
  /** A call that seemed to have failed with another call's error was made again: this once. */
  #hasMetStray = false

  get canDetach(): true {
    return true
  }

  override onReadiness(flags: number): void {
    if (isUrgent(flags)) this.isEmptyAfterShortRead = false
    super.onReadiness(flags)
  }

  probe(): number {
    const flags = MSG_PEEK | MSG_DONTWAIT
    const length = native().recv(this.descriptor.fd, scratch, 1, flags)
    return length > 0 ? length : this.#notReceived(length)
  }

  /** Lends the connection to Node; nothing may have been sent or received yet. @throws as {@link Loan} does */
  lend(): Loan {
    return new Loan(this.tcp, this.descriptor)
  }

  /** Leaves the connection, of which nothing may have been sent or received yet, to the caller. */
  takeDescriptor(): Descriptor {
    return this.descriptor
  }

  detach(bytes: Buffer): Duplex {
    this.listener = null
    const { sockets, keepAlive } = this.tcp
    const socket = handedOver(sockets.handOver(this.descriptor), this.descriptor.peer, keepAlive)
    if (bytes.length > 0) socket.unshift(bytes)
    for (const unsent of this.queue ?? []) socket.write(unsent)
    this.queue = null
    return socket
  }

  protected fillWindow(address: number, length: number): number {
    const received = native().recvAt(this.descriptor.fd, address, length, 0)
    return received > 0 ? received : this.#notReceived(received)
  }

  protected fillChunk(chunk: Buffer, length: number): number {
    const received = native().recv(this.descriptor.fd, chunk, length, 0)
    return received > 0 ? received : this.#notReceived(received)
  }

  protected transmit(bytes: Uint8Array, length: number, more: boolean): number {
    const flags = more ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL
    const sent = native().send(this.descriptor.fd, bytes, length, flags)
    return sent >= 0 ? sent : this.#notSent(native().errno())
  }

  protected makeSocket(): object {
    return new WireSocket(this)
  }

  protected leave(): void {}

  #notReceived(length: number): number {
    // After a failed send the kernel may report an end of stream that the peer never sent.
    if (this.error !== null) return Received.Failed
    if (length === 0) {
      this.isPeerClosed = true
      return Received.End
    }
    const errno = native().errno()
    if (errno === EAGAIN) return Received.Nothing
    if (errno === EINTR || this.#isStray(errno)) {
      this.readLater()
      return Received.Nothing
    }
    this.error = systemError(errno, 'read')
    return Received.Failed
  }

  #notSent(errno: number): number {
    if (errno === EAGAIN) return Unsent.Blocked
    if (errno === EINTR || errno === ENOBUFS || this.#isStray(errno)) return Unsent.Later
    this.error ??= systemError(errno, 'write')
    return Unsent.Failed
  }

  #isStray(errno: number): boolean {
    if (this.#hasMetStray || isSocketError(errno)) return false
    this.#hasMetStray = true
    return true
  }
}
