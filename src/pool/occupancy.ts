/** The requests of a pool that are not over: how many there are, and which of them keep the process alive. */
import type { Scheduler } from '../reactor/scheduler.js'
import type { Request, RequestTracker } from '../request/request.js'

export class Occupancy implements RequestTracker {
  readonly #scheduler: Scheduler
  readonly #onEmpty: () => void
  #size = 0

  /** @param onEmpty the last request is over */
  constructor(scheduler: Scheduler, onEmpty: () => void) {
    this.#scheduler = scheduler
    this.#onEmpty = onEmpty
  }

  get size(): number {
    return this.#size
  }

  enter(): void {
    this.#size++
  }

  /** A request that has entered does not exist any more. */
  leave(): void {
    if (--this.#size === 0) this.#onEmpty()
  }

  hold(request: Request): void {
    if (request.isHolding) return
    request.isHolding = true
    this.#scheduler.hold()
  }

  /** A response that nobody reads does not keep the process alive, as with undici, whose socket is not being read from. */
  letGo(request: Request): void {
    if (!request.isHolding) return
    request.isHolding = false
    this.#scheduler.letGo()
  }

  requestOver(request: Request): void {
    this.letGo(request)
    this.leave()
  }
}
