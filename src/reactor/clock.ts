/**
 * Whose time it is that timeouts go by: the real one, or that of whoever has put a function of his own in the place of the
 * global `setTimeout`, as fake clocks of tests do.
 *
 * A fake clock is told from a real one so that what somebody moves on is not taken for a timer that fires late.
 */
import { now, setTimeout } from '../sys/real-timers.js'

export interface Clock {
  /** Calls back when the time has come; does not keep the process alive. */
  setTimeout(callback: () => void, delayMs: number): void
  /** In milliseconds from some moment on; it goes back only when a fake clock is reset. */
  now(): number
  /** Nobody but its user makes it go on. */
  readonly isFake: boolean
  /**
   * Whether a timer has fired because somebody moved the clock, and not since its time has passed.
   *
   * @param elapsedMs of the real time, since the timer was armed
   */
  wasMoved(elapsedMs: number, delayMs: number): boolean
}

/** Timers may be early by that much, in milliseconds. */
const EARLY_MS = 2

/** Of the functions as they were when this package was loaded. */
export const realClock: Clock = {
  setTimeout: (callback, delayMs) => void setTimeout(callback, delayMs).unref(),
  now,
  isFake: false,
  wasMoved: () => false,
}

type SetTimeout = typeof globalThis.setTimeout

/** What fake functions of `@sinonjs/fake-timers` are marked with: those of vitest, jest and sinon. */
interface FakeClock {
  readonly now: number
  /** Not moved by `setSystemTime`, as `now` is. */
  readonly performance?: { now(): number }
}

class ReplacedClock implements Clock {
  readonly isFake = true
  readonly #setTimeout: SetTimeout
  readonly #fake: FakeClock | undefined

  constructor(setTimeout: SetTimeout) {
    this.#setTimeout = setTimeout
    this.#fake = (setTimeout as SetTimeout & { clock?: FakeClock }).clock
  }

  setTimeout(callback: () => void, delayMs: number): void {
    // As a browser's does, it may return a number.
    const timer = this.#setTimeout.call(globalThis, callback, delayMs) as Partial<NodeJS.Timeout>
    timer.unref?.()
  }

  now(): number {
    if (this.#fake === undefined) return now()
    return this.#fake.performance?.now() ?? this.#fake.now
  }

  /** What is not marked may be a fake clock, or a function that calls the real one. */
  wasMoved(elapsedMs: number, delayMs: number): boolean {
    return this.#fake !== undefined || elapsedMs < delayMs - EARLY_MS
  }
}

let clock = realClock
let clockOf: SetTimeout = setTimeout

/** The clock of the global `setTimeout` as it is now. */
export function clockInUse(): Clock {
  const current = globalThis.setTimeout
  if (current === clockOf) return clock
  clockOf = current
  clock = current === setTimeout ? realClock : new ReplacedClock(current)
  return clock
}
