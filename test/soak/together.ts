/** Requests to the gathering upstream, which answers them when all of them wait, on as many connections. */
import type { Dispatcher } from 'undici'

/**
 * All the requests of one gathering. They are one handler, and need nothing of their own: what they took would count as
 * taken by the connections.
 */
class Gathering implements Dispatcher.DispatchHandler {
  readonly #answers: number[] = []
  readonly #count: number
  readonly #resolve: (answers: number[]) => void
  readonly #reject: (error: Error) => void

  constructor(count: number, resolve: (answers: number[]) => void, reject: (error: Error) => void) {
    this.#count = count
    this.#resolve = resolve
    this.#reject = reject
  }

  onRequestStart(): void {}

  onResponseStart(): void {}

  /** Bodies are short: each is one chunk. */
  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#answers.push(Number(chunk.toString('latin1')))
  }

  onResponseEnd(): void {
    if (this.#answers.length === this.#count) this.#resolve(this.#answers)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#reject(error)
  }
}

/** @returns of each request how many connections the upstream had when it answered */
export function getTogether(
  dispatcher: Pick<Dispatcher, 'dispatch'>,
  origin: string,
  count: number,
): Promise<number[]> {
  const request: Dispatcher.DispatchOptions = { origin, path: `/together/${count}`, method: 'GET' }
  return new Promise((resolve, reject) => {
    const gathering = new Gathering(count, resolve, reject)
    for (let i = 0; i < count; i++) dispatcher.dispatch(request, gathering)
  })
}
