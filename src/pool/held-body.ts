/**
 * A request's body that is held back until the server asks for it: RFC 9110 10.1.1. The head has gone out, and says so
 * (`Expect: 100-continue`).
 *
 * Invariant: the body begins once at most, and not behind {@link HeldBody.stop}.
 */
import { Deadline, type DeadlineOwner, type Deadlines } from '../reactor/deadlines.js'
import type { Request } from '../request/request.js'

/** The body, of which nothing has been read yet. */
export interface Startable {
  start(): void
}

export class HeldBody implements DeadlineOwner {
  readonly request: Request
  readonly #body: Startable
  readonly #waits: Deadlines
  readonly #deadline = new Deadline(this)
  #isHeld = true

  /** @param waits by the real clock: a fake one would hold the body for ever */
  constructor(request: Request, body: Startable, waits: Deadlines) {
    this.request = request
    this.#body = body
    this.#waits = waits
  }

  /** The body has not begun: its source is as the caller gave it. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /**
   * Begins to wait. A server need not have heard of 100 (Continue), so that is not for ever.
   *
   * @param timeoutMs 0: the body follows at once
   */
  wait(timeoutMs: number): void {
    if (timeoutMs === 0) this.release()
    else this.#waits.start(this.#deadline, timeoutMs)
  }

  /** The server has asked for it, or there is no waiting for that any more. No-op for one that has begun. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.stop()
    this.#body.start()
  }

  /** It is not waited for any more. */
  stop(): void {
    this.#waits.stop(this.#deadline)
  }

  onDeadline(): void {
    this.release()
  }
}
