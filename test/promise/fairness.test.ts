/** A response that comes fast does not starve others, and one that is not read costs little. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Dispatcher } from 'undici'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { Program } from '../support/child.js'
import { get } from '../support/exchange.js'
import { isNative } from '../support/transport.js'

const MEBIBYTE = 1 << 20

let program: Program
/** In a thread of its own, so that it can be faster than the agent. */
let upstream: Worker
let origin: string
let agent: RecyclingAgent

beforeAll(async () => {
  program = await Program.from(new URL('./programs/bulk-upstream.ts', import.meta.url))
  upstream = new Worker(program.file)
  const [port] = await once(upstream, 'message')
  origin = `http://127.0.0.1:${port}`
})

afterAll(async () => {
  await upstream.terminate()
  program.delete()
})

beforeEach(() => {
  agent = new RecyclingAgent()
})

afterEach(() => agent.destroy())

describe('a fast download of 50 MiB', () => {
  const SIZE = 50 * MEBIBYTE
  const SMALL = 100

  it('does not starve requests that begin in the middle of it', async () => {
    // What connections there are to be: the download is not to be compared with a hundred handshakes.
    await Promise.all(Array.from({ length: SMALL }, () => get(agent, origin)))
    let received = 0
    /** How much of the download had come when each small response was complete. */
    const progress: number[] = []
    let small: Promise<unknown> | undefined
    let startedAt = 0
    await new Promise<void>((resolve, reject) => {
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData(_controller, chunk) {
          received += chunk.length
          if (small !== undefined || received < SIZE / 4) return
          startedAt = received
          small = Promise.all(
            Array.from({ length: SMALL }, async () => {
              await get(agent, origin)
              progress.push(received - startedAt)
            }),
          )
        },
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      }
      agent.dispatch({ origin, path: '/bulk/50', method: 'GET' }, handler)
    })
    expect(received).toBe(SIZE)
    const during = [...progress]
    await small
    progress.sort((a, b) => a - b)
    console.info(
      `${during.length} of ${SMALL} small responses came during the download; the median after ${(progress[SMALL / 2]! / MEBIBYTE).toFixed(1)} MiB of it`,
    )
    // In bytes, not in time: the download is the clock.
    expect(progress[SMALL / 2]).toBeLessThan(SIZE / 2)
  })
})

describe('responses that nobody reads', () => {
  const PAUSED = 20

  it('keep little in memory, and come whole when they are read', async () => {
    const memory = (): number => process.memoryUsage().arrayBuffers
    await get(agent, origin)
    const before = memory()
    const controllers: Dispatcher.DispatchController[] = []
    const received = new Array<number>(PAUSED).fill(0)
    const started: Promise<void>[] = []
    const ended = received.map(
      (_, i) =>
        new Promise<void>((resolve, reject) => {
          started.push(
            new Promise((resolveStarted) => {
              const handler: Dispatcher.DispatchHandler = {
                onRequestStart: (controller) => void controllers.push(controller),
                onResponseStart() {},
                onResponseData(controller, chunk) {
                  if (received[i] === 0) controller.pause()
                  received[i]! += chunk.length
                  resolveStarted()
                },
                onResponseEnd: () => resolve(),
                onResponseError: (_controller, error) => reject(error),
              }
              agent.dispatch({ origin, path: '/bulk/10', method: 'GET' }, handler)
            }),
          )
        }),
    )
    await Promise.all(started)
    // Life goes on next to them.
    for (let i = 0; i < 200; i++) expect(await get(agent, origin)).toBe('small')
    const gained = memory() - before
    expect(Math.max(...received)).toBeLessThanOrEqual(65_536)
    // A net socket reads on until its own buffer is full, too.
    expect(gained).toBeLessThan(PAUSED * (isNative ? 3 : 4) * 65_536)
    for (const controller of controllers) controller.resume()
    await Promise.all(ended)
    expect(received).toEqual(received.map(() => 10 * MEBIBYTE))
  })
})
