/** How long a request takes over a link with a delay, where the origin ends each connection: as over a kept one. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { type DelayedUpstreams, portName, VERSIONS, type Version } from '../programs/delayed-upstream.js'
import { Authority } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { arms } from '../support/laboratory.js'

const DELAY_MS = 10
const REQUESTS = 21

let program: Program
let upstream: ChildProcess
let ports: Record<string, number>
let ca: string

beforeAll(async () => {
  program = await Program.from(new URL('../programs/delayed-upstream.ts', import.meta.url))
  const authority = await Authority.create()
  ca = authority.ca
  const plan: DelayedUpstreams = { delayMs: DELAY_MS, ...(await authority.issue(['127.0.0.1'])) }
  upstream = program.start({ args: [JSON.stringify(plan)] })
  ports = (await once(upstream, 'message'))[0]
})
afterAll(() => {
  upstream.kill()
  program.delete()
})

const median = (times: number[]): number => times.sort((one, other) => one - other)[times.length >> 1]!

const originOf = (version: Version, closes: boolean): string =>
  `${version === null ? 'http' : 'https'}://127.0.0.1:${ports[portName(version, closes)]}`

/**
 * One request after the other.
 *
 * @param pauses each when there is a connection for it, or else at once
 * @returns the median of the second and all that follow, in milliseconds
 */
async function timeOf(origin: string, options: RecyclingAgentOptions, pauses: boolean): Promise<number> {
  const agent = recyclingAgent({ ...options, connect: { ca } })
  const isFree = (): boolean => ((agent.stats[origin as 'http://'] as { free?: number } | undefined)?.free ?? 0) > 0
  const times: number[] = []
  for (let i = 0; i < REQUESTS; i++) {
    while (pauses && i > 0 && !isFree()) await new Promise((resolve) => setTimeout(resolve, 5))
    // What the handshake was for TCP is over for the client, but on its way for the link.
    if (pauses) await new Promise((resolve) => setTimeout(resolve, 3 * DELAY_MS))
    const start = performance.now()
    await get(agent, origin)
    if (i > 0) times.push(performance.now() - start)
  }
  await agent.close()
  return median(times)
}

/** Between one round trip and two. */
const LEAST_WITHOUT = 1.5

/** Of a busy machine the best of some runs is taken: what it adds is none of ours. */
async function leastRatio(runs: number, most: number, measure: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < runs && least > most; i++) least = Math.min(least, await measure())
  return least
}

describe.each(arms)('%s', (_name, options) => {
  describe.each(VERSIONS.map((version): [string, Version] => [version ?? 'without TLS', version]))(
    '%s: with spareConnections a request takes one round trip',
    (_what, version) => {
      const most = version === null ? 1.1 : 1.15
      it.each([
        ['when it comes now and then', 1, true],
        ['when it comes right behind another one', 4, false],
      ])('%s', { timeout: 60_000 }, async (_when, spareConnections, pauses) => {
        const ratio = await leastRatio(5, most, async () => {
          const kept = await timeOf(originOf(version, false), options, pauses)
          return (await timeOf(originOf(version, true), { ...options, spareConnections }, pauses)) / kept
        })
        // On a quiet machine it is `most`; on any, it is not two round trips.
        expect(ratio).toBeLessThan(LEAST_WITHOUT)
      })

      it('and without them two, or more with TLS', async () => {
        const kept = await timeOf(originOf(version, false), options, false)
        const closing = await timeOf(originOf(version, true), options, false)
        expect(closing / kept).toBeGreaterThan(LEAST_WITHOUT)
      })
    },
  )
})
