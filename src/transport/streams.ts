/** Streams that are not of the pool's descriptors: how many there are, and who is told of their ends. */
import type { Duplex } from 'node:stream'
import type { SocketPoolStats } from '../socket-pool/socket-pool.js'
import type { Closings } from './closings.js'
import type { StreamOwner } from './stream-wire.js'

export class Streams {
  readonly #closings: Closings
  #opened = 0
  #closed = 0
  #aborted = 0

  constructor(closings: Closings) {
    this.#closings = closings
  }

  /** As a pool counts that recycles nothing. */
  get stats(): SocketPoolStats {
    const none = { recycled: 0, dissolved: 0, graceful: 0, refused: 0, idle: 0 }
    return {
      ...none,
      fresh: this.#opened,
      closed: this.#closed,
      aborted: this.#aborted,
      leased: this.#opened - this.#closed,
    }
  }

  own(stream: Duplex): StreamOwner {
    this.#opened++
    return {
      ended: (initiator) => {
        if (initiator === null) this.#aborted++
        this.#closings.begin()
        const onClose = (): void => {
          this.#closed++
          this.#closings.end()
        }
        if (stream.closed) onClose()
        else stream.once('close', onClose)
      },
      handedOver: () => {
        this.#closed++
      },
      setTypeOfService: (value) => {
        try {
          ;(stream as { setTypeOfService?: (value: number) => unknown }).setTypeOfService?.(value)
        } catch {
          // Marking is as good as the system allows.
        }
      },
    }
  }
}
