/**
 * What an origin's servers have shown of how they end connections, so that no request is written to one that is about to
 * end. A server that closes behind a response without having said so sends its FIN some time after the response: its
 * client must be slow to survive that, or learn.
 *
 * The table below is the whole truth. An origin begins as unknown, and most show by their second response that they
 * persist: from then on nothing waits.
 */
import { type StateTable, stepsOf } from '../structures/state-table.js'

export type Habit =
  /** No connection was used twice yet: the second request waits for a FIN. */
  | 'unknown'
  /** Connections are used again: nothing waits. */
  | 'persists'
  /** It closes behind its responses: a connection is not used again before it has stayed open for a while. */
  | 'closes'
  /** It closes behind some: a request that could not be sent again waits. */
  | 'wavers'

export type HabitStep =
  /** A connection has brought another response. */
  | 'answered again'
  /** A FIN came right behind a response that did not announce it. */
  | 'closed'
  /** None came in time. */
  | 'stayed open'
  /** None came behind so many responses that it may have been an accident. */
  | 'settled'

const table: StateTable<Habit, HabitStep> = {
  unknown: { 'answered again': 'persists', closed: 'closes', 'stayed open': 'unknown' },
  persists: { 'answered again': 'persists', closed: 'wavers', 'stayed open': 'persists' },
  closes: { 'answered again': 'wavers', closed: 'closes', 'stayed open': 'unknown' },
  wavers: { 'answered again': 'wavers', closed: 'wavers', 'stayed open': 'wavers', settled: 'persists' },
}

/** Every allowed step. */
export const habitSteps = stepsOf(table)

/**
 * How long a FIN may be behind its response, in milliseconds. From a server on this host it takes 20 to 100 microseconds;
 * one that ends its sockets in a later turn of an event loop, or is held up, takes some milliseconds.
 */
export const FIN_DELAY_MS = 10

/**
 * For so long a connection is not used again where responses have proved to be last ones, and so late a FIN may come for an
 * origin to be taken for one of those; in milliseconds. Nothing waits for it but where there are as many connections as
 * there may be.
 */
export const CLOSING_DELAY_MS = 100

/** The same where a server has proved to persist and closes at times: every request that cannot be repeated pays for it. */
export const WAVERING_DELAY_MS = 2

/** After so many responses without a FIN behind them an origin is taken to persist again. */
const SETTLED_AFTER = 1000

export class Habits {
  #habit: Habit = 'unknown'
  #sinceClosed = 0

  get habit(): Habit {
    return this.#habit
  }

  /** Nothing waits. */
  get persists(): boolean {
    return this.#habit === 'persists'
  }

  /** A connection that has just been answered is not to be used again, yet. */
  get closes(): boolean {
    return this.#habit === 'closes'
  }

  /**
   * For how long a request waits for a FIN, since the last response of its connection, in milliseconds. Not where the origin
   * {@link persists}.
   *
   * @param canBeRepeated without harm, should it be lost
   */
  delayMs(canBeRepeated: boolean): number {
    if (this.#habit === 'wavers') return canBeRepeated ? 0 : WAVERING_DELAY_MS
    return FIN_DELAY_MS
  }

  /** A response is complete. @param count how many its connection has brought by now */
  onAnswered(count: number): void {
    if (this.#habit === 'persists') return
    if (count > 1) this.#step('answered again')
    if (this.#habit === 'wavers' && ++this.#sinceClosed === SETTLED_AFTER) this.#step('settled')
  }

  /** The peer has ended a connection that could have been used again, so long behind its last response. */
  onClosed(sinceAnswerMs: number): void {
    if (sinceAnswerMs > (this.#habit === 'unknown' ? CLOSING_DELAY_MS : FIN_DELAY_MS)) return
    this.#sinceClosed = 0
    this.#step('closed')
  }

  /** The time in which a FIN would have come is over. */
  onStayedOpen(): void {
    this.#step('stayed open')
  }

  #step(step: HabitStep): void {
    this.#habit = table[this.#habit][step]!
  }
}
