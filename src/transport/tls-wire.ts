/** A TLS connection on a leased descriptor, whose peer has been verified: records instead of system calls. */
import { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { Descriptor } from '../socket-pool/descriptor.js'
import { isReadable, isWritable } from '../sys/epoll-event.js'
import { native } from '../sys/native.js'
import type { SessionCache } from '../tls/session-cache.js'
import { type TlsChannel, TlsResult } from '../tls/tls-channel.js'
import type { Verdict } from '../tls/verification.js'
import { DescriptorWire, scratch, Unsent } from './descriptor-wire.js'
import { SecureWireSocket } from './secure-wire-socket.js'
import type { Tcp } from './tcp.js'
import { type Initiator, Received } from './wire.js'

const NOTHING = Buffer.alloc(0)

/** So often the session is looked for when there is nothing to read; then once more when the connection ends. */
const MOST_MISSES = 4

export class TlsWire extends DescriptorWire {
  /** Of the last read: what follows a record may be there, in OpenSSL or below. */
  isEmptyAfterShortRead = false
  /** TLS has state that cannot be handed over. */
  readonly canDetach = false
  /** What the handshake has shown. */
  readonly verdict: Verdict
  readonly channel: TlsChannel
  /** Where the session is to be kept, until it is. */
  #sessions: SessionCache | null
  readonly #identity: string
  /** How often it was looked for in vain. */
  #misses = 0
  #hasFailedReading = false
  /** A read waits for room to write, or a write for something to read: post-handshake messages (RFC 8446 4.6). */
  #readWantsWrite = false
  #writeWantsRead = false

  /**
   * @param channel after its handshake; from now on the wire's
   * @param identity that the peer was verified for
   * @param sessions where the session is kept
   */
  constructor(
    tcp: Tcp,
    descriptor: Descriptor,
    channel: TlsChannel,
    verdict: Verdict,
    identity: string,
    sessions: SessionCache,
  ) {
    super(tcp, descriptor)
    this.channel = channel
    this.verdict = verdict
    this.#identity = identity
    this.#sessions = sessions
  }

  override onReadiness(flags: number): void {
    super.onReadiness(flags)
    if (this.#readWantsWrite && isWritable(flags)) this.listener?.onReadable()
    if (this.#writeWantsRead && isReadable(flags) && this.canFlush) this.flush()
  }

  /** Sends what is left of the handshake, if no request has: the peer is the right one. */
  finishHandshake(): void {
    if (this.listener !== null) this.send(NOTHING, false)
  }

  probe(): number {
    const length = this.channel.peek(scratch, 1)
    return length > 0 ? length : this.#notReceived(length)
  }

  detach(): Duplex {
    throw new Error('a TLS connection of our own cannot be handed over')
  }

  protected fillWindow(address: number, length: number): number {
    const received = this.#hasFailedReading ? TlsResult.Failed : this.channel.read(address, length)
    this.isEmptyAfterShortRead = received > 0 && this.channel.isEmptyAfter(received)
    if (received <= 0) return this.#notReceived(received)
    if (this.isEmptyAfterShortRead) this.#lookForSession()
    return received
  }

  /** Record by record: what is handed out is worth more than 16 KB. */
  protected fillChunk(chunk: Buffer, length: number): number {
    const address = native().addressOf(chunk)
    let filled = 0
    while (filled < length) {
      const received = this.fillWindow(address + filled, length - filled)
      if (received <= 0) {
        // The end, or that there is nothing, will be told again; a failure is kept.
        if (filled === 0) return received
        break
      }
      filled += received
      if (this.isEmptyAfterShortRead) break
    }
    return filled
  }

  protected transmit(bytes: Uint8Array, length: number): number {
    const sent = length === 0 ? this.channel.flush() : this.channel.write(bytes, length)
    this.#writeWantsRead = sent === TlsResult.Blocked && !this.channel.wantsWrite
    if (sent > 0) return Math.min(sent, length)
    if (sent === TlsResult.Blocked) return Unsent.Blocked
    if (sent === TlsResult.Interrupted) return Unsent.Later
    this.error ??= this.channel.error
    return Unsent.Failed
  }

  protected makeSocket(): object {
    return new SecureWireSocket(this)
  }

  protected leave(initiator: Initiator | null): void {
    if (this.error === null) this.#keepSession()
    // A peer that has said so itself is not there any more to hear it; and behind half a record it makes no sense.
    if (initiator === 'self' && !this.isPeerClosed && !this.isBlocked) this.channel.sendCloseNotify()
    this.channel.free()
  }

  #notReceived(result: number): number {
    this.#readWantsWrite = result === TlsResult.Blocked && this.channel.wantsWrite
    // After a failed send the kernel may report an end of stream that the peer never sent.
    if (this.error !== null) return Received.Failed
    if (result === TlsResult.End) return Received.End
    if (result === TlsResult.Failed) {
      this.#hasFailedReading = true
      this.error = this.channel.error
      return Received.Failed
    }
    if (result === TlsResult.Interrupted) this.readLater()
    this.#lookForSession()
    return Received.Nothing
  }

  /** The tickets of TLS 1.3 come when the server likes (RFC 8446 4.6.1), which is mostly at once. */
  #lookForSession(): void {
    if (this.#sessions !== null && this.#misses < MOST_MISSES) this.#keepSession()
  }

  #keepSession(): void {
    const { context, pointer } = this.channel
    if (this.#sessions?.keep(context, this.#identity, this.verdict, pointer)) this.#sessions = null
    else this.#misses++
  }
}
