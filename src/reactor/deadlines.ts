/**
 * Timeouts for many connections at the price of one timer per duration.
 *
 * All deadlines of one duration stand in one list in the order in which they run out, and only the first has a real
 * `setTimeout`: starting and stopping one costs a few pointer writes. The global `setTimeout` is looked up when it is
 * used, so that a fake clock in a user's tests governs these timeouts as it governs undici's.
 *
 * Promised: never early (but for the resolution of timers, two milliseconds at most), and never for something that has
 * already arrived. When a timer fires late, because the event loop was blocked, the readiness that waits in the kernel
 * is handled first, and only what still stands then expires.
 */
import { Link, LinkedList } from '../structures/linked-list.js'
import { inRootContext, type Scheduler, type Task, throwLater } from './scheduler.js'

/** The longest delay that `setTimeout` knows; a longer one would fire at once. */
const MAX_DELAY_MS = 0x7fff_ffff

/** What is due within one tick of `setTimeout` expires together, as timers do. */
const RESOLUTION_MS = 1

/** A timer this late is taken for one that will not fire any more. */
const FORGOTTEN_AFTER_MS = 1000

/** Whose time it is. */
export interface DeadlineOwner {
  /** The time of `deadline` is up: called once for each start. */
  onDeadline(deadline: Deadline): void
}

/** One timeout that can be started and stopped over and over. */
export class Deadline extends Link<Deadline> {
  readonly owner: DeadlineOwner
  /** For {@link Deadlines} only. */
  due = 0

  constructor(owner: DeadlineOwner) {
    super()
    this.owner = owner
  }

  get isRunning(): boolean {
    return this.list !== null
  }
}

/** The deadlines of one scheduler. */
export class Deadlines {
  /** By how much the deadline that is expiring was missed, in milliseconds: not at all, unless the event loop was blocked. */
  lateness = 0
  readonly #scheduler: Scheduler
  readonly #lists = new Map<number, DeadlineList>()

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  /** Starts (or restarts) `deadline`; a duration of 0 stops it, as undici's options have it. */
  start(deadline: Deadline, durationMs: number): void {
    deadline.list?.remove(deadline)
    if (durationMs <= 0) return
    const list = this.#lists.get(durationMs) ?? this.#addList(durationMs)
    list.append(deadline)
  }

  stop(deadline: Deadline): void {
    deadline.list?.remove(deadline)
  }

  #addList(durationMs: number): DeadlineList {
    const list = new DeadlineList(durationMs, this, this.#scheduler, () => this.#lists.delete(durationMs))
    this.#lists.set(durationMs, list)
    return list
  }
}

class DeadlineList extends LinkedList<Deadline> implements Task {
  readonly #durationMs: number
  readonly #deadlines: Deadlines
  readonly #scheduler: Scheduler
  readonly #onEmpty: () => void
  /** Stands for the timer that is armed; a timer that was given up on has another token. */
  #timer: symbol | null = null
  /** The timer has fired, and what is due is to expire or expiring. */
  #isExpiring = false
  /** The time that the armed timer stands for. */
  #armedFor = 0
  /** A timer fired, so this time has come, whatever the clock says: under a fake clock it may say otherwise. */
  #horizon = 0

  constructor(durationMs: number, deadlines: Deadlines, scheduler: Scheduler, onEmpty: () => void) {
    super()
    this.#durationMs = durationMs
    this.#deadlines = deadlines
    this.#scheduler = scheduler
    this.#onEmpty = onEmpty
  }

  override append(deadline: Deadline): void {
    const now = this.#now()
    deadline.due = now + this.#durationMs
    super.append(deadline)
    // While some expire, run() will see to the rest: a timer for this one might be too late for those before it.
    if (!this.#isExpiring && (this.#timer === null || this.#isForgotten(now))) this.#arm(this.first!)
  }

  /** After the readiness that was waiting has been handled: what is still due has run out. */
  run(): void {
    const horizon = this.#horizon + RESOLUTION_MS
    for (let deadline = this.first; deadline !== null && deadline.due < horizon; deadline = this.first) {
      this.remove(deadline)
      this.#deadlines.lateness = Math.max(0, this.#horizon - deadline.due)
      try {
        deadline.owner.onDeadline(deadline)
      } catch (error) {
        throwLater(error)
      }
    }
    this.#isExpiring = false
    if (this.first === null) this.#onEmpty()
    else this.#arm(this.first)
  }

  /** In whole milliseconds, which V8 keeps without an object for each. */
  #now(): number {
    return Math.max(Math.floor(performance.now()), this.#horizon)
  }

  /** A timer of a fake clock that has been taken away since never fires. */
  #isForgotten(now: number): boolean {
    return now > this.#armedFor + FORGOTTEN_AFTER_MS
  }

  #arm(first: Deadline): void {
    const now = this.#now()
    const delayMs = Math.min(Math.max(1, Math.ceil(first.due - now)), MAX_DELAY_MS)
    this.#armedFor = Math.min(first.due, now + delayMs)
    const timer = Symbol()
    this.#timer = timer
    inRootContext(() => {
      setTimeout(() => {
        if (this.#timer === timer) this.#timeIsUp()
      }, delayMs).unref()
    })
  }

  #timeIsUp(): void {
    this.#timer = null
    this.#isExpiring = true
    this.#horizon = Math.max(this.#now(), this.#armedFor)
    this.#scheduler.later(this)
  }
}
