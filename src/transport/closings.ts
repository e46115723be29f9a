/** Connections that are over for their owners but not closed yet: counted, so that the last one's end can be awaited. */
export class Closings {
  #count = 0
  #onNone: (() => void)[] = []

  begin(): void {
    this.#count++
  }

  end(): void {
    if (--this.#count > 0) return
    const callbacks = this.#onNone
    this.#onNone = []
    for (const callback of callbacks) callback()
  }

  /** Calls back, at once or later, when there are none. */
  whenNone(callback: () => void): void {
    if (this.#count === 0) callback()
    else this.#onNone.push(callback)
  }
}
