/** The fuzzer: what a peer may send, by chance, through the reader and through agents. */
import { receiveWindow } from '../../src/http1/llhttp.js'
import { randomOf } from '../support/random.js'
import { fuzzAgainstUndici, SocketFuzz } from './agent-fuzz.js'
import { fuzzReader } from './reader-fuzz.js'

export interface FuzzOptions {
  seed: number
  cases: number
  /** No case is begun after that. */
  timeMs: number
  /** The number of the first case, to see one again. @default 0 */
  first?: number
  /** Hears of progress now and then. */
  onProgress?: (done: number) => void
}

export interface FuzzReport {
  seed: number
  /** Cases that were tried; fewer than asked for when the time was up. */
  done: number
  /** The first few, in words. */
  failures: string[]
}

/** One case in so many is tried with undici, too, or over sockets. */
const UNDICI_EVERY = 4
const SOCKETS_EVERY = 40
const MOST_FAILURES = 10
const PROGRESS_EVERY = 10_000
/** Parsers are lent and given back: what they live in need not grow. */
const WASM_GROWTH = 1 << 20

/** Each case follows from the seed and its number alone. */
const randomOfCase = (seed: number, index: number): ReturnType<typeof randomOf> =>
  randomOf((seed ^ Math.imul(index + 1, 0x9e3779b1)) >>> 0)

export async function fuzz({ seed, cases, timeMs, first = 0, onProgress }: FuzzOptions): Promise<FuzzReport> {
  const deadline = performance.now() + timeMs
  const failures: string[] = []
  const sockets = await SocketFuzz.start()
  const wasmBefore = receiveWindow().buffer.byteLength
  const attempt = async (part: string, index: number, run: () => unknown): Promise<void> => {
    try {
      await run()
    } catch (error) {
      failures.push(`seed ${seed}, case ${index}, ${part}: ${error instanceof Error ? error.stack : error}`)
    }
  }
  let done = 0
  for (; done < cases && performance.now() < deadline && failures.length < MOST_FAILURES; done++) {
    const index = first + done
    await attempt('reader', index, () => fuzzReader(randomOfCase(seed, index)))
    if (index % UNDICI_EVERY === 0) await attempt('undici', index, () => fuzzAgainstUndici(randomOfCase(seed, index)))
    if (index % SOCKETS_EVERY === 0) await attempt('sockets', index, () => sockets.run(randomOfCase(seed, index)))
    if ((done + 1) % PROGRESS_EVERY === 0) onProgress?.(done + 1)
  }
  await sockets.stop()
  const grown = receiveWindow().buffer.byteLength - wasmBefore
  if (grown > WASM_GROWTH) failures.push(`seed ${seed}: the parsers' memory has grown by ${grown} bytes`)
  return { seed, done, failures }
}
