/**
 * Timeouts for many connections at the price of one timer per duration.
 *
 * All deadlines of one duration stand in one list in the order in which they run out, and only the first has a timer:
 * starting and stopping one costs a few pointer writes. By default the clock is the one that the global `setTimeout` stands
 * for when a deadline is started, so that a fake clock in a user's tests governs these timeouts as it governs undici's.
 *
 * Promised: never early (but for the resolution of timers, two milliseconds at most), and never for something that has
 * already arrived. When a timer fires late, because the event loop was blocked, the readiness that waits in the kernel
 * is handled first, and only what still stands then expires. A fake clock is not late: whoever moves it on says what
 * happens in which order, so what is due by it expires at once, within his call.
 */
import { Link, LinkedList } from '../structures/linked-list.js'
import { now } from '../sys/real-timers.js'
import { type Clock, clockInUse } from './clock.js'
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
  readonly #clockInUse: () => Clock
  /** Of the lists. */
  #clock: Clock
  #lists = new Map<number, DeadlineList>()

  /** @param inUse asked for the clock each time that a deadline is started */
  constructor(scheduler: Scheduler, inUse: () => Clock = clockInUse) {
    this.#scheduler = scheduler
    this.#clockInUse = inUse
    this.#clock = inUse()
  }

  /** Starts (or restarts) `deadline`; a duration of 0 stops it, as undici's options have it. */
  start(deadline: Deadline, durationMs: number): void {
    deadline.list?.remove(deadline)
    if (durationMs <= 0) return
    const clock = this.#clockInUse()
    if (clock !== this.#clock) this.#changeTo(clock)
    this.#listOf(durationMs).append(deadline)
  }

  stop(deadline: Deadline): void {
    deadline.list?.remove(deadline)
  }

  /** Its time is up, though its owner may not have been told yet: the event loop was blocked. */
  isOver(deadline: Deadline): boolean {
    return deadline.isRunning && deadline.due <= Math.floor(this.#clock.now())
  }

  /** A real clock goes on for the deadlines that it has; those of a fake one that was taken away start anew. */
  #changeTo(clock: Clock): void {
    const before = this.#clock
    const lists = this.#lists
    this.#clock = clock
    this.#lists = new Map()
    if (!before.isFake) return
    for (const [durationMs, list] of lists) {
      for (const deadline of list) {
        list.remove(deadline)
        this.#listOf(durationMs).append(deadline)
      }
    }
  }

  #listOf(durationMs: number): DeadlineList {
    return this.#lists.get(durationMs) ?? this.#addList(durationMs)
  }

  #addList(durationMs: number): DeadlineList {
    const lists = this.#lists
    const list = new DeadlineList(durationMs, this, this.#clock, this.#scheduler, () => lists.delete(durationMs))
    lists.set(durationMs, list)
    return list
  }
}

class DeadlineList extends LinkedList<Deadline> implements Task {
  readonly #durationMs: number
  readonly #deadlines: Deadlines
  readonly #clock: Clock
  readonly #scheduler: Scheduler
  readonly #onEmpty: () => void
  /** Stands for the timer that is armed; a timer that was given up on has another token. */
  #timer: symbol | null = null
  /** The timer has fired, and what is due is to expire or expiring. */
  #isExpiring = false
  /** The time at which the timer was armed, and the one that it stands for. */
  #armedAt = 0
  #armedFor = 0
  /** A timer fired, so this time has come, whatever the clock says: that of a fake one may not be known. */
  #horizon = 0

  constructor(durationMs: number, deadlines: Deadlines, clock: Clock, scheduler: Scheduler, onEmpty: () => void) {
    super()
    this.#durationMs = durationMs
    this.#deadlines = deadlines
    this.#clock = clock
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
      this.#deadlines.lateness = this.#clock.isFake ? 0 : Math.max(0, this.#horizon - deadline.due)
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
    const time = Math.floor(this.#clock.now())
    if (time < this.#armedAt) this.#startAnew(time)
    return Math.max(time, this.#horizon)
  }

  /** The clock was reset, its timers are gone. */
  #startAnew(time: number): void {
    this.#timer = null
    this.#armedAt = 0
    this.#horizon = 0
    for (const deadline of this) deadline.due = time + this.#durationMs
  }

  /** A timer that somebody has cleared never fires. */
  #isForgotten(now: number): boolean {
    return now > this.#armedFor + FORGOTTEN_AFTER_MS
  }

  #arm(first: Deadline): void {
    const time = this.#now()
    const delayMs = Math.min(Math.max(1, Math.ceil(first.due - time)), MAX_DELAY_MS)
    this.#armedAt = Math.floor(this.#clock.now())
    this.#armedFor = Math.min(first.due, time + delayMs)
    const timer = Symbol()
    this.#timer = timer
    const since = now()
    inRootContext(() => {
      this.#clock.setTimeout(() => {
        if (this.#timer === timer) this.#timeIsUp(this.#clock.wasMoved(now() - since, delayMs))
      }, delayMs)
    })
  }

  #timeIsUp(wasMoved: boolean): void {
    this.#timer = null
    this.#isExpiring = true
    this.#horizon = Math.max(this.#now(), this.#armedFor)
    // Whoever has moved the clock is in a context of his own.
    if (wasMoved) inRootContext(() => this.run())
    else this.#scheduler.later(this)
  }
}
