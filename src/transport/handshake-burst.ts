/**
 * Handshakes that go on beside each other, and the memory that they leave behind. OpenSSL holds about 22 KB for each until
 * it is done; what it frees then lies between what connections keep, where the allocator does not give it back by itself: 2,000
 * idle connections that were made at once would hold twice as much as they need. So it is asked to, when a burst is over.
 *
 * To ask takes some milliseconds, far less than the handshakes took; but it is done rarely, and only after many.
 */
import { Deadline, type DeadlineOwner, type Deadlines } from '../reactor/deadlines.js'
import { now } from '../sys/real-timers.js'

/** So many at once are a burst: they hold 11 MB. */
export const BURST = 512
/** How long after the last one, in milliseconds. */
const DELAY_MS = 100
/** At most once in that time, in milliseconds. */
const INTERVAL_MS = 10_000

export class HandshakeBurst implements DeadlineOwner {
  readonly #waits: Deadlines
  readonly #release: () => void
  readonly #deadline = new Deadline(this)
  #running = 0
  /** How many there were at once since memory was given back. */
  #most = 0
  #releasedAt = Number.NEGATIVE_INFINITY

  /**
   * @param waits by the real clock
   * @param release gives back what is free
   */
  constructor(waits: Deadlines, release: () => void) {
    this.#waits = waits
    this.#release = release
  }

  begins(): void {
    this.#running++
    if (this.#running > this.#most) this.#most = this.#running
  }

  ends(): void {
    this.#running--
    if (this.#running > 0 || this.#most < BURST) return
    this.#waits.start(this.#deadline, Math.max(DELAY_MS, Math.ceil(this.#releasedAt + INTERVAL_MS - now())))
  }

  onDeadline(): void {
    // The last one of these comes back here.
    if (this.#running > 0) return
    this.#most = 0
    this.#releasedAt = now()
    this.#release()
  }
}
