/**
 * The one timeout that a connection is under: until it is made, until the next head, the next piece of a body or the next
 * request.
 */
import { Deadline, type DeadlineOwner, type Deadlines } from '../reactor/deadlines.js'
import type { Request } from '../request/request.js'

/** What is being waited for. */
export type Awaited = 'connection' | 'headers' | 'body' | 'reuse'

/** In milliseconds; 0: for ever. A request may have its own. */
export interface PatienceOptions {
  headersTimeout: number
  bodyTimeout: number
}

export class Patience {
  readonly #deadline: Deadline
  readonly #deadlines: Deadlines
  readonly #options: PatienceOptions
  #awaited: Awaited = 'reuse'

  /** @param owner told when the time for what is awaited is up */
  constructor(owner: DeadlineOwner, deadlines: Deadlines, options: PatienceOptions) {
    this.#deadline = new Deadline(owner)
    this.#deadlines = deadlines
    this.#options = options
  }

  get awaited(): Awaited {
    return this.#awaited
  }

  /** The time is up, though the owner may not have been told yet. */
  get isOver(): boolean {
    return this.#deadlines.isOver(this.#deadline)
  }

  forConnection(timeoutMs: number): void {
    this.#start('connection', timeoutMs)
  }

  forHeaders({ headersTimeout }: Request): void {
    this.#start('headers', headersTimeout ?? this.#options.headersTimeout)
  }

  /** From now on, for each piece: before its handler, whose time counts, and who may move a fake clock (as undici does). */
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
