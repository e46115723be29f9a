/** Moments that are more exact than timers: to some microseconds, while the event loop goes round. */

/** Below that many milliseconds a timer would come too late. */
const SPIN_MS = 2

/** Calls `act` after that time: at once after none. @returns what calls it off */
export function after(ms: number, act: () => void): () => void {
  const due = performance.now() + ms
  let isOff = false
  const look = (): void => {
    if (isOff) return
    const left = due - performance.now()
    if (left <= 0) act()
    else if (left > SPIN_MS) setTimeout(look, left - 1)
    else setImmediate(look)
  }
  look()
  return () => {
    isOff = true
  }
}

/** The event loop stands still for that time. */
export function block(ms: number): void {
  const due = performance.now() + ms
  while (performance.now() < due);
}
