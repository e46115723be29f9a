/**
 * A connection between two requests: what has to be waited for before the next one is written, since the peer may have
 * ended the connection meanwhile, and whether a request that is lost can have met such an end.
 */
import type { Scheduler } from '../reactor/scheduler.js'
import type { Transport } from '../transport/transport.js'
import type { Wire } from '../transport/wire.js'
import { FinWatch, type FinWatchOwner } from './fin-watch.js'
import type { Habits } from './habits.js'

/** When a request is written on an idle connection: by the end of this turn, or in a later one. */
export type Moment = 'soon' | 'later'

export class Idleness {
  readonly #owner: FinWatchOwner
  readonly #habits: Habits
  readonly #transport: Transport
  readonly #scheduler: Scheduler
  /** From the first response on that the connection is kept behind. */
  #finWatch: FinWatch | null = null
  /** The connection was given a request when it had none. */
  #hasIdled = false
  /** Up to this turn of the event loop nothing is written: a FIN may not have been seen yet. */
  #restsUntil = -1

  constructor(owner: FinWatchOwner, habits: Habits, transport: Transport) {
    this.#owner = owner
    this.#habits = habits
    this.#transport = transport
    this.#scheduler = transport.scheduler
  }

  /** No request is to be given to the connection now: it is rather taken for one that is ending. */
  get expectsEnd(): boolean {
    return this.#finWatch?.expectsEnd === true
  }

  /** No request is to be written now: {@link FinWatchOwner.onStayedOpen} tells when that is over. */
  get isWaiting(): boolean {
    return this.#finWatch?.isWaiting === true
  }

  /** No request is to be written in this turn. */
  get isResting(): boolean {
    return this.#scheduler.turn <= this.#restsUntil
  }

  /** The peer may have ended the connection when the request was written that is running, or due. */
  get mayHaveMetEnd(): boolean {
    return this.#hasIdled || this.#finWatch !== null
  }

  /** Lets Node poll once before the next request, where only it can see what has arrived (undici client-h1, resumeH1). */
  rest({ probesKernel }: Wire): void {
    this.#restsUntil = this.#scheduler.turn + (probesKernel ? 0 : 1)
  }

  /** A response is complete, and the connection is kept. @param isIdle no other one is due */
  onAnswered(wire: Wire, isIdle: boolean): void {
    this.#finWatch ??= new FinWatch(this.#owner, this.#habits, this.#transport.waits)
    this.#finWatch.onAnswered(isIdle)
    this.rest(wire)
  }

  /** Whether a request could be written now. If not, it is waited for: {@link FinWatchOwner.onStayedOpen} tells when that is over. */
  isReady(canBeRepeated: boolean): boolean {
    return this.#finWatch?.isReady(canBeRepeated) ?? true
  }

  /**
   * The idle connection is given a request. Where the origin persists, and the request could be sent again, it is written
   * within this turn: one iteration of the event loop is a large part of what a request costs (undici writes from a
   * microtask, too). Else in the next turn, in which a FIN is seen first, or when a FIN was waited for.
   *
   * @param canBeRepeated without harm, should it be lost
   */
  onTaken(wire: Wire, canBeRepeated: boolean): Moment {
    this.#hasIdled = true
    if (this.#finWatch === null) return 'later'
    if (this.#finWatch.isUnsure) this.#finWatch.waitBefore(canBeRepeated)
    else if (canBeRepeated && wire.probesKernel) return 'soon'
    return 'later'
  }

  /** The peer has closed, between two messages as it takes it. */
  onClosed(): void {
    this.#finWatch?.onClosed()
  }

  stop(): void {
    this.#finWatch?.stop()
  }
}
