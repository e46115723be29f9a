/** How much this thread's heap holds on to. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Collects all garbage there is. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

/** Bytes in use after a full collection. */
export function usedHeap(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}
