/** The async context of nobody: what outlives a request must not hold, nor pass on, its AsyncLocalStorage store. */
import { AsyncResource } from 'node:async_hooks'

const root = new AsyncResource('RecyclingAgent')

/** Runs `fn` in the async context in which this package was loaded. */
export function inRootContext<T>(fn: () => T): T {
  return root.runInAsyncScope(fn)
}
