/**
 * The functions by which time and the event loop are waited for, as they were when this package was loaded: a fake clock
 * that is installed later cannot stop I/O. One that was installed before (vitest, jest, sinon: `@sinonjs/fake-timers`)
 * keeps the functions that it stands for, and marks its own with itself.
 */
type Name = 'setImmediate' | 'setInterval' | 'setTimeout' | 'clearTimeout' | 'queueMicrotask' | 'performance'
type Original<N extends Name> = (typeof globalThis)[N]
type Performance = typeof globalThis.performance

function real<N extends Name>(name: N): Original<N> {
  const current: Original<N> & { clock?: { [original in `_${N}`]?: Original<N> } } = globalThis[name]
  return current.clock?.[`_${name}`] ?? current
}

export const setImmediate = real('setImmediate')
export const setInterval = real('setInterval')
export const setTimeout = real('setTimeout')
export const clearTimeout = real('clearTimeout')
export const queueMicrotask = real('queueMicrotask')

const performance = real('performance')
const { now: nowOfClass } = Object.getPrototypeOf(performance) as Partial<Performance>

/** `performance.now()`: some fakes assign their own function to the real object, but none to its class. */
export const now: () => number = (nowOfClass ?? performance.now).bind(performance)
