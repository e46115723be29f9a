/** The one timeout that a connection is under: for the next head, for more of the body, or for the next request. */
import { Deadline, type Deadlines } from '../reactor/deadlines.js'
import type { Request } from '../request/request.js'

/** What is being waited for. */
export type Awaited = 'headers' | 'body' | 'reuse'

/** In milliseconds; 0: for ever. A request may have its own. */
export interface PatienceOptions {
  headersTimeout: number
  bodyTimeout: number
}

export class Patience {
  readonly #deadlines: Deadlines
  readonly #options: PatienceOptions
  readonly #deadline: Deadline
  #awaited: Awaited = 'reuse'

  /** @param onOver called when the time for what is awaited is up */
  constructor(deadlines: Deadlines, options: PatienceOptions, onOver: (awaited: Awaited) => void) {
    this.#deadlines = deadlines
    this.#options = options
    this.#deadline = new Deadline(() => onOver(this.#awaited))
  }

  forHeaders({ headersTimeout }: Request): void {
    this.#start('headers', headersTimeout ?? this.#options.headersTimeout)
  }

  /** From now on, for each piece. */
  forBody({ bodyTimeout }: Request): void {
    this.#start('body', bodyTimeout ?? this.#options.bodyTimeout)
  }

  forReuse(timeoutMs: number): void {
    this.#start('reuse', timeoutMs)
  }

  stop(): void {
    this.#deadlines.stop(this.#deadline)
  }

  #start(awaited: Awaited, timeoutMs: number): void {
    this.#awaited = awaited
    this.#deadlines.start(this.#deadline, timeoutMs)
  }
}
