/**
 * How many connections an origin that ends its connections behind a response is to have open ahead of the requests: how
 * many were missed of late, up to a limit, as long as requests come. What a spare is, and whether there is room for one, is
 * the pool's business.
 *
 * It sleeps until a connection was ended behind its response, and again when no request has come for a while. It backs off
 * where spares do no good: where they cannot be made, or the peer does not let them wait.
 */
import { Deadline, type DeadlineOwner, type Deadlines } from '../reactor/deadlines.js'
import type { Scheduler, Task } from '../reactor/scheduler.js'

/** Counters of all origins of a dispatcher. */
export interface SpareStats {
  /** Begun to be made, without a request that would wait for them. */
  made: number
  /** Were given a request; those among them that were made for a request which then had another one. */
  used: number
  /** Ended by the peer before a request came. */
  closedUnused: number
  /** Could not be made. */
  failed: number
  /** Origins for which none is made for now. */
  backingOff: number
}

export interface SpareOptions {
  /** 0: none is made. */
  spareConnections: number
  /** After so long without a request none is kept, in milliseconds. */
  keepAliveTimeout: number
}

export interface SpareOwner {
  /** @returns whether one has begun to be made: there may be no room */
  makeSpare(): boolean
  /** None is wanted any more. */
  endSpares(): void
}

/** How a spare ended without a request. */
export type SpareEnd = 'closed' | 'failed' | 'unneeded'

/** So many in a row that are closed unused are no accident. */
const TOO_MANY_CLOSED = 3
/** In milliseconds; doubled each time. */
export const FIRST_PAUSE_MS = 1000
export const LONGEST_PAUSE_MS = 60_000

export class Spares implements Task, DeadlineOwner {
  readonly #owner: SpareOwner
  readonly #options: SpareOptions
  readonly #scheduler: Scheduler
  readonly #waits: Deadlines
  readonly #stats: SpareStats
  readonly #silence = new Deadline(this)
  readonly #pause = new Deadline(this)
  /** 0: asleep. */
  #wanted = 0
  #existing = 0
  /** In a row. */
  #closed = 0
  #pauseMs = FIRST_PAUSE_MS
  #isScheduled = false

  /** @param waits by the real clock */
  constructor(owner: SpareOwner, options: SpareOptions, scheduler: Scheduler, waits: Deadlines, stats: SpareStats) {
    this.#owner = owner
    this.#options = options
    this.#scheduler = scheduler
    this.#waits = waits
    this.#stats = stats
  }

  /** A connection that no request waits for counts as one. */
  get isAwake(): boolean {
    return this.#wanted > 0
  }

  /** A request has come. */
  onRequest(): void {
    if (this.#wanted > 0) this.#waits.start(this.#silence, this.#options.keepAliveTimeout)
  }

  /** There was no connection for it: another spare would have done it good. */
  onMissed(): void {
    if (this.#wanted === 0 || this.#wanted >= this.#options.spareConnections || this.#pause.isRunning) return
    this.#wanted++
    this.#schedule()
  }

  /** The origin has ended a connection behind a response. */
  onEndOfOrigin(): void {
    if (this.#wanted === 0) {
      this.#wanted = 1
      this.#waits.start(this.#silence, this.#options.keepAliveTimeout)
    }
    this.#schedule()
  }

  /** There is one more: it was not made for this, but no request waits for it any more. */
  onLeft(): void {
    this.#existing++
  }

  /** One was given a request. */
  onTaken(): void {
    this.#existing--
    this.#stats.used++
    this.#closed = 0
    this.#pauseMs = FIRST_PAUSE_MS
    this.#schedule()
  }

  onEnded(end: SpareEnd): void {
    this.#existing--
    // Not one was taken in all the time that it has waited: fewer will do.
    if (end === 'unneeded') this.#wanted = Math.min(this.#wanted, Math.max(1, this.#wanted - 1))
    else if (end === 'failed') this.#stats.failed++
    else this.#stats.closedUnused++
    if (end === 'failed' || (end === 'closed' && ++this.#closed >= TOO_MANY_CLOSED)) this.#backOff()
    else if (end === 'closed') this.#schedule()
  }

  /** None is made any more. */
  stop(): void {
    this.#wanted = 0
    this.#waits.stop(this.#silence)
    this.#resume()
  }

  onDeadline(deadline: Deadline): void {
    if (deadline === this.#silence) {
      this.stop()
      this.#owner.endSpares()
    } else {
      this.#stats.backingOff--
      this.run()
    }
  }

  run(): void {
    this.#isScheduled = false
    while (this.#existing < this.#wanted && !this.#pause.isRunning && this.#owner.makeSpare()) {
      this.#existing++
      this.#stats.made++
    }
  }

  /** Not within whatever has led here: to make one calls code of the user's. */
  #schedule(): void {
    if (this.#isScheduled || this.#existing >= this.#wanted || this.#pause.isRunning) return
    this.#isScheduled = true
    this.#scheduler.later(this)
  }

  #backOff(): void {
    if (this.#wanted === 0 || this.#pause.isRunning) return
    this.#wanted = 1
    this.#stats.backingOff++
    this.#waits.start(this.#pause, this.#pauseMs)
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
  }

  #resume(): void {
    if (!this.#pause.isRunning) return
    this.#waits.stop(this.#pause)
    this.#stats.backingOff--
  }
}
