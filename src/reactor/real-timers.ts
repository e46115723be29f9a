/**
 * The functions by which the event loop is waited for, as they were when this package was loaded: a fake clock that is
 * installed later cannot stop I/O. One that was installed before (vitest, jest, sinon: `@sinonjs/fake-timers`) keeps
 * the functions that it stands for, and marks its own with itself.
 */
type Name = 'setImmediate' | 'setInterval' | 'queueMicrotask'

function real<N extends Name>(name: N): (typeof globalThis)[N] {
  const current: (typeof globalThis)[N] & { clock?: { [original in `_${N}`]?: (typeof globalThis)[N] } } =
    globalThis[name]
  return current.clock?.[`_${name}`] ?? current
}

export const setImmediate = real('setImmediate')
export const setInterval = real('setInterval')
export const queueMicrotask = real('queueMicrotask')
