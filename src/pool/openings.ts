/**
 * The connections of a pool that are being made, each for a request that waits for it: which of these requests has waited
 * longest. A queue that is cleared of what has come to its end when that is met, since most come and go while nobody asks.
 */

/** A connection as it is seen here. */
export interface WaitedFor<R> {
  /** The request that waits for it to be made. */
  readonly awaiting: R | null
}

/** So many may be in the queue, besides twice those that exist, before it is cleared. */
const SLACK = 32

export class Openings<C extends WaitedFor<R>, R> {
  #queue: C[] = []
  /** Of the first one that has not been found to be over. */
  #head = 0

  /** To be called in the order in which they begin to be made. @param existing connections of any kind */
  add(connection: C, existing: number): void {
    if (this.#queue.length > SLACK + 2 * existing) this.#sweep()
    this.#queue.push(connection)
  }

  /** No request waits for one. */
  get isEmpty(): boolean {
    const queue = this.#queue
    while (this.#head < queue.length && queue[this.#head]!.awaiting === null) this.#head++
    if (this.#head < queue.length) return false
    if (this.#head > 0) this.#queue = []
    this.#head = 0
    return true
  }

  /** The one whose request has waited longest, of those whose request is `suited`. */
  first(suited: (request: R) => boolean): C | undefined {
    const queue = this.#queue
    for (let i = this.#head; i < queue.length; i++) {
      const { awaiting } = queue[i]!
      if (awaiting !== null && suited(awaiting)) return queue[i]
    }
    return undefined
  }

  #sweep(): void {
    this.#queue = this.#queue.filter(({ awaiting }) => awaiting !== null)
    this.#head = 0
  }
}
