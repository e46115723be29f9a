/** The allocator of the C library, whose memory OpenSSL and Node take and give. */
import { foreign } from './native.js'

let trimOnce: ((keep: number) => number) | undefined

/** Gives the kernel back what is free (malloc_trim(3)): at once, and all threads wait. Without effect where there is no such call (musl). */
export function releaseFreeMemory(): void {
  trimOnce ??= bindTrim()
  trimOnce(0)
}

function bindTrim(): (keep: number) => number {
  try {
    return foreign().process.func('int malloc_trim(size_t keep)')
  } catch {
    return () => 0
  }
}
