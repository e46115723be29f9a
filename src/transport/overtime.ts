/**
 * What becomes of an attempt to connect whose time is up. What has happened meanwhile counts first:
 *
 * - A deadline that fires in time gives the event loop two more turns, in which it tells what was there already: the
 *   resolver's answer, which libuv's threads hand over later in a turn than timers fire, or the last flight of a TLS
 *   handshake. Then the attempt has failed, however far it is.
 * - A deadline that fires late was missed by an event loop that was blocked, and for how long before is not known: the
 *   answers to what it did not send are not the peer's to blame for. The attempt gets once more as long as the deadline was
 *   late, at least a second, and never more than `connectTimeout`. If the loop is blocked again when that is over, it gets
 *   it again only if something has moved, and a handshake has few moves.
 */
import { Deadline, type DeadlineOwner, type Deadlines } from '../reactor/deadlines.js'
import type { Scheduler, Task } from '../reactor/scheduler.js'

/** In the first one everything is polled that had arrived; what it leads to in Node comes to an end in the second. */
const TURNS = 2
/** Timers are later than this, in milliseconds, only where something kept the loop, or the process, from running. */
const LATE_MS = 20
/** Within a second a SYN that was lost is sent again (RFC 6298 2.1). */
const LEAST_RENEWAL_MS = 1000
/** The resolver's answer, TCP's handshake, two flights of TLS's, one to be sure of. */
const MOST_RENEWALS = 5

/** An attempt to connect. */
export interface Attempt {
  /** It has succeeded, failed or been cancelled. */
  readonly isOver: boolean
  /** Changes when something has moved: an answer of the resolver, of an address, a flight of the handshake. */
  readonly progress: number
  /** Fails with a ConnectTimeoutError. */
  timeOut(): void
}

export class Overtime implements Task, DeadlineOwner {
  readonly #scheduler: Scheduler
  readonly #deadlines: Deadlines
  readonly #attempt: Attempt
  readonly #connectTimeoutMs: number
  readonly #deadline = new Deadline(this)
  #turnsLeft = 0
  #renewals = 0
  /** At the last renewal. */
  #progress = 0

  private constructor(scheduler: Scheduler, deadlines: Deadlines, attempt: Attempt, connectTimeoutMs: number) {
    this.#scheduler = scheduler
    this.#deadlines = deadlines
    this.#attempt = attempt
    this.#connectTimeoutMs = connectTimeoutMs
  }

  /** To be called while the deadline of `connectTimeout` expires. */
  static begin(scheduler: Scheduler, deadlines: Deadlines, attempt: Attempt, connectTimeoutMs: number): Overtime {
    const overtime = new Overtime(scheduler, deadlines, attempt, connectTimeoutMs)
    overtime.onDeadline()
    return overtime
  }

  /** The attempt is over. */
  stop(): void {
    this.#deadlines.stop(this.#deadline)
  }

  onDeadline(): void {
    const { progress } = this.#attempt
    const lateness = this.#deadlines.lateness
    const isRenewed =
      lateness > LATE_MS && this.#renewals < MOST_RENEWALS && (this.#renewals === 0 || progress !== this.#progress)
    if (isRenewed) {
      this.#renewals++
      this.#progress = progress
      this.#deadlines.start(this.#deadline, Math.min(this.#connectTimeoutMs, Math.max(lateness, LEAST_RENEWAL_MS)))
    } else {
      this.#turnsLeft = TURNS
      this.#scheduler.later(this)
    }
  }

  run(): void {
    if (this.#attempt.isOver) return
    if (--this.#turnsLeft > 0) this.#scheduler.later(this)
    else this.#attempt.timeOut()
  }
}
