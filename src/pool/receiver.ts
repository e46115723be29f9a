/** The receiving half of a connection: bytes from the wire into the reader, until there are none or nobody wants them. */
import { fromProtocolError } from '../errors.js'
import { ProtocolError } from '../http1/protocol-error.js'
import { type ResponseLimits, ResponseReader, type ResponseSink } from '../http1/response-reader.js'
import { isReset, type Wire } from '../transport/wire.js'
import { ReadEnd, readWhatIsThere } from './read-loop.js'

/** Who hears of responses, and of what is wrong with them. */
export interface ReceiverOwner extends ResponseSink {
  /** The peer's FIN came while no response was due. */
  onPeerClosed(): void
  /** The peer's fault, or the kernel's. Nothing more can be received. */
  onReceiveFailed(error: Error): void
  /** Others have their turn first: {@link Receiver.isDue}. */
  onReceiveDue(): void
}

export class Receiver {
  readonly #owner: ReceiverOwner
  readonly #reader: ResponseReader
  #isReceiving = false
  #isDue = false

  constructor(owner: ReceiverOwner, limits: ResponseLimits) {
    this.#owner = owner
    this.#reader = new ResponseReader(owner, limits)
  }

  /** {@link receive} is to be called again. */
  get isDue(): boolean {
    return this.#isDue
  }

  get isPaused(): boolean {
    return this.#reader.isPaused
  }

  /** Receives and delivers what is there. Without effect from within an event: what is there follows it. */
  receive(wire: Wire): void {
    if (this.#isReceiving) return
    this.#isReceiving = true
    this.#isDue = false
    const end = readWhatIsThere(wire, this.#reader)
    this.#isReceiving = false
    if (end instanceof ProtocolError) return this.#fail(end, wire)
    switch (end) {
      case ReadEnd.Budget:
        this.#isDue = true
        return this.#owner.onReceiveDue()
      case ReadEnd.Fin:
        return this.#peerClosed(wire)
      case ReadEnd.Failed:
        return this.#wireFailed(wire, wire.error!)
    }
  }

  /** No events until {@link resume}, and nothing is read from the wire. */
  pause(): void {
    this.#reader.pause()
  }

  resume(wire: Wire): void {
    // From within an event: the reader goes on when the handler returns.
    if (this.#isReceiving) {
      this.#reader.resume()
      return
    }
    this.#isReceiving = true
    const error = this.#reader.resume()
    this.#isReceiving = false
    if (error !== null) this.#fail(error, wire)
    else if (this.#reader.state !== 'closed') this.receive(wire)
  }

  /** No more events, ever. */
  stop(): void {
    this.#reader.stop()
  }

  #peerClosed(wire: Wire): void {
    if (this.#owner.expectation() === null) return this.#owner.onPeerClosed()
    const error = this.#reader.receiveEnd()
    if (error !== null) this.#fail(error, wire)
  }

  #wireFailed(wire: Wire, error: Error): void {
    if (this.#owner.expectation() !== null && isReset(error)) {
      const { ended, error: instead } = this.#reader.receiveReset()
      if (ended) return
      if (instead !== null) return this.#fail(instead, wire)
    }
    this.#owner.onReceiveFailed(error)
  }

  /** The reader finds no fault behind an event in which it was stopped: the connection is open. */
  #fail(error: ProtocolError, wire: Wire): void {
    this.#owner.onReceiveFailed(fromProtocolError(error, () => wire.info))
  }
}
