/**
 * Whether the peer's FIN may still be on its way behind a response that did not announce it: how long the next request, or
 * the connection itself, waits for it, by what is known of the origin (habits.ts). Of connections that have been answered
 * and are kept.
 */
import { Deadline, type DeadlineOwner, type Deadlines } from '../reactor/deadlines.js'
import { now } from '../sys/real-timers.js'
import { CLOSING_DELAY_MS, type Habits } from './habits.js'

/** Whose connection it is. */
export interface FinWatchOwner {
  /** No FIN has come in time. */
  onStayedOpen(): void
}

export class FinWatch implements DeadlineOwner {
  readonly #owner: FinWatchOwner
  readonly #habits: Habits
  readonly #waits: Deadlines
  readonly #deadline = new Deadline(this)
  #answered = 0
  #answeredAt = 0

  /** @param waits by the real clock */
  constructor(owner: FinWatchOwner, habits: Habits, waits: Deadlines) {
    this.#owner = owner
    this.#habits = habits
    this.#waits = waits
  }

  /** No request is to be written now. */
  get isWaiting(): boolean {
    return this.#deadline.isRunning
  }

  /** No request is to be given to the connection now: it is rather taken for one that is ending. */
  get expectsEnd(): boolean {
    return this.isWaiting && this.#habits.closes
  }

  /** {@link waitBefore} is to be called. */
  get isUnsure(): boolean {
    return !this.#habits.persists
  }

  /** A response is complete, and the connection is kept. @param isIdle no other one is due */
  onAnswered(isIdle: boolean): void {
    this.#answeredAt = now()
    this.#habits.onAnswered(++this.#answered)
    if (isIdle && this.#habits.closes) this.#wait(CLOSING_DELAY_MS)
  }

  /** A request is about to be written on the idle connection. @param canBeRepeated without harm, should it be lost */
  waitBefore(canBeRepeated: boolean): void {
    this.#wait(this.#habits.delayMs(canBeRepeated) - (now() - this.#answeredAt))
  }

  /** Whether {@link waitBefore} would not wait. If it would, it does: {@link FinWatchOwner.onStayedOpen} tells when that is over. */
  isReady(canBeRepeated: boolean): boolean {
    if (this.isUnsure) this.waitBefore(canBeRepeated)
    return !this.isWaiting
  }

  /** The peer has closed, between two messages as it takes it. */
  onClosed(): void {
    this.#habits.onClosed(now() - this.#answeredAt)
  }

  onDeadline(): void {
    this.#habits.onStayedOpen()
    this.#owner.onStayedOpen()
  }

  stop(): void {
    this.#waits.stop(this.#deadline)
  }

  #wait(delayMs: number): void {
    if (delayMs > 0 && !this.isWaiting) this.#waits.start(this.#deadline, Math.ceil(delayMs))
  }
}
