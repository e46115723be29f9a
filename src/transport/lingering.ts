/**
 * The end of a TCP connection that its owner is done with: waits for the peer's FIN, so that the reset which dissolving
 * sends meets a peer that has closed already and can never be mistaken for a failure.
 *
 * A connection that we end ourselves is shut down first. The wait is bounded: a peer that does not close is first shown
 * our own FIN, then the connection is aborted.
 */

import { Deadline, type DeadlineOwner } from '../reactor/deadlines.js'
import type { Descriptor, ReadinessListener } from '../socket-pool/descriptor.js'
import { SHUT_WR } from '../sys/constants.js'
import { isPeerClosed, isReadable } from '../sys/epoll-event.js'
import { native } from '../sys/native.js'
import { EAGAIN, EINTR } from '../sys/system-error.js'
import { Lingerer, type Tcp } from './tcp.js'
import type { Initiator } from './wire.js'

/** How long the peer may take, in milliseconds, before and again after our own FIN. */
export const LINGER_TIMEOUT_MS = 1000

/** What a peer may still send; more is no longer a peer that is closing. */
const DISCARD_LIMIT = 1 << 20
const discarded = Buffer.allocUnsafeSlow(65_536)

export class Lingering extends Lingerer implements ReadinessListener, DeadlineOwner {
  readonly #tcp: Tcp
  readonly #descriptor: Descriptor
  readonly #deadline = new Deadline(this)
  #isShutDown = false
  #discarded = 0

  constructor(tcp: Tcp, descriptor: Descriptor, initiator: Initiator) {
    super()
    this.#tcp = tcp
    this.#descriptor = descriptor
    descriptor.listener = this
    tcp.lingeringBegins(this)
    tcp.waits.start(this.#deadline, LINGER_TIMEOUT_MS)
    if (tcp.isCutShort) this.cutShort()
    else if (initiator === 'self') this.shutDown()
    // Often the FIN has followed the response by now: asking costs less than being told.
    else this.#discard()
  }

  onReadiness(flags: number): void {
    if (isPeerClosed(flags)) this.#end(true)
    else if (isReadable(flags)) this.#discard()
  }

  onDeadline(): void {
    if (this.#isShutDown) this.#end(false)
    else this.shutDown()
  }

  override shutDown(): void {
    if (this.#isShutDown) return
    this.#isShutDown = true
    native().shutdown(this.#descriptor.fd, SHUT_WR)
    this.#tcp.waits.start(this.#deadline, LINGER_TIMEOUT_MS)
  }

  /** What close(2) does then is up to the kernel: FIN, or RST where something was left unread. */
  override cutShort(): void {
    this.#tcp.waits.stop(this.#deadline)
    this.#tcp.sockets.discard(this.#descriptor)
    this.#tcp.lingeringEnds(this)
  }

  #discard(): void {
    for (;;) {
      const length = native().recv(this.#descriptor.fd, discarded, discarded.length, 0)
      if (length === 0) return this.#end(true)
      if (length < 0) {
        const errno = native().errno()
        if (errno === EINTR) continue
        if (errno !== EAGAIN) this.#end(false)
        return
      }
      this.#discarded += length
      if (this.#discarded > DISCARD_LIMIT) return this.#end(false)
      if (length < discarded.length) return
    }
  }

  #end(peerClosed: boolean): void {
    this.#tcp.waits.stop(this.#deadline)
    if (peerClosed) this.#tcp.sockets.release(this.#descriptor)
    else this.#tcp.sockets.abort(this.#descriptor)
    this.#tcp.lingeringEnds(this)
  }
}
