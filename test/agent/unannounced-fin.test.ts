/**
 * An upstream that answers and ends the connection without `Connection: close`: the FIN comes with the response or shortly
 * after it, when the next request may be under way already. Whoever sends one request after the other loses none.
 */
import type { Dispatcher } from 'undici'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { Program } from '../support/child.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { type Carrier, type Ending, EndingUpstream } from '../support/ending-upstream.js'
import { quiet } from '../support/exchange.js'
import { arms } from '../support/laboratory.js'
import { type Kind, sendNumbered } from '../support/numbered-requests.js'
import { undici7 } from '../support/undicis.js'

let program: Program
beforeAll(async () => {
  // esbuild's process stays.
  program = await Program.from(new URL('../programs/ending-upstream.ts', import.meta.url))
})
afterAll(() => program.delete())

expectNoDescriptorLeft()

let upstream: EndingUpstream
beforeAll(() => {
  upstream = new EndingUpstream(program.file)
})
afterAll(() => upstream.stop())

type Client = [name: string, make: (connect: object) => Dispatcher]

/** What ours is compared with, and what shows that the laboratory is sound. */
const undici: Client = ["undici's Agent", (connect) => new undici7.Agent({ connect })]
const ours = arms.map(
  ([name, options]): Client => [
    `RecyclingAgent, ${name}`,
    (connect) => new RecyclingAgent({ ...options, connect } as never),
  ],
)

const behind = (ms: number): Ending => ({ when: 'after a response', served: [1, 1], ms: [ms, ms], how: 'FIN' })
const withIt: [when: string, ending: Ending][] = [
  ['in the segment of the response', { when: 'with a response', served: [1, 1] }],
  ['right behind the response', behind(0)],
]
/** What is sent until then arrives, and is not answered. */
const later: [when: string, ending: Ending][] = [
  ['1 ms later', behind(1)],
  ['3 ms later', behind(3)],
]

const kinds: Kind[] = ['GET', 'POST']
const carriers: Carrier[] = ['http', 'https', 'unix']
const framings = ['whole', 'chunked'] as const

type Cell = [carrier: Carrier, count: number, kind: Kind, framing: 'whole' | 'chunked', when: string, ending: Ending]

/** @param share of the requests */
const cells = (endings: typeof withIt, share = 1): Cell[] =>
  carriers.flatMap((carrier) =>
    kinds.flatMap((kind) =>
      framings.flatMap((framing) =>
        endings.map(([when, ending]): Cell => {
          // A handshake takes its time.
          const most = (kind === 'GET' ? 300 : 1000) / (carrier === 'https' ? 5 : 1)
          return [carrier, most * share, kind, framing, when, ending]
        }),
      ),
    ),
  )

async function expectNoneLost([, make]: Client, [carrier, count, kind, framing, , ending]: Cell): Promise<void> {
  const listener = await upstream.listen({ carrier, framing, ending, seed: 1 })
  const dispatcher = make(listener.connect)
  onTestFinished(() => dispatcher.destroy())
  const { sent, ok, lost, wrong } = await sendNumbered({ dispatcher, origin: listener.origin, kind, requests: count })
  const { received } = await listener.seen()
  if (kind === 'POST') expect(received).toEqual(Array.from({ length: count }, (_, number) => number))
  if (dispatcher instanceof RecyclingAgent) {
    expect({ sent, ok, lost, wrong }).toEqual({ sent: count, ok: count, lost: {}, wrong: 0 })
    await quiet(dispatcher)
    expect(dispatcher.stats.sockets.aborted).toBe(0)
  } else {
    // It takes two connections by turns: a FIN has an exchange's time to come, unless the upstream's process stands still.
    expect(ok).toBeGreaterThan(count * 0.98)
    expect(wrong).toBe(0)
  }
  await listener.close()
}

describe.each([undici, ...ours])('%s loses none when the FIN comes with the response', (...client) => {
  it.each(cells(withIt))('%s: %i %s, %s, %s', (...cell) => expectNoneLost(client, cell))
})

/** Where undici's Agent loses some: its other connection's FIN may be later than an exchange. */
describe.each(ours)('%s loses none when the FIN comes later', (...client) => {
  it.each(cells(later, 0.3))('%s: %i %s, %s, %s', (...cell) => expectNoneLost(client, cell))
})
