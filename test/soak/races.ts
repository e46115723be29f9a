/**
 * Races of reuse: an upstream ends its connections at moments around the next request, for undici's Agent and for ours by
 * turns; what each of them loses, and what arrives twice.
 */
import type { Dispatcher } from 'undici'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { countDescriptors } from '../support/descriptors.js'
import { type Carrier, type EndingListener, EndingUpstream } from '../support/ending-upstream.js'
import { addTally, emptyTally, type Kind, sendNumbered } from '../support/numbered-requests.js'
import { undici7 } from '../support/undicis.js'
import { type Row, type Verdict, verdictsOf } from './race-promises.js'
import { type ClientName, kinds, type Scenario, scenarios } from './race-scenarios.js'

const options: Record<Exclude<ClientName, "undici's Agent">, RecyclingAgentOptions> = {
  native: {},
  net: { transport: 'net' },
}

const newDispatcher = (name: ClientName, connect: object): Dispatcher =>
  name === "undici's Agent"
    ? new undici7.Agent({ connect })
    : new RecyclingAgent({ ...options[name], connect } as RecyclingAgentOptions)

export interface RacesOptions {
  /** Of each kind and client in each scenario, half of them one after the other; over TLS a quarter of that. */
  requests: number
  /** No round begins after that; the first is always done. */
  seconds: number
  seed: number
  clients: readonly ClientName[]
  /** The clients take turns so often. */
  rounds: number
  /** The bundle of ../programs/ending-upstream.ts. */
  program: string
}

export interface RacesReport {
  /** How many rounds there was time for. */
  rounds: number
  rows: Row[]
  verdicts: Verdict[]
}

/** At once, in the second half of a round; each of them is to send several. */
const LANES = 8
const PER_LANE = 3
const SECURE_SHARE = 4
const HANG_MS = 10_000
const SETTLE_MS = 5000

/** Resolves when it holds, or the time is up. */
async function settled(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + SETTLE_MS
  while (!(await holds()) && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** One client in one scenario, with an origin of its own: what it learns of it is its own, too. */
class Contest {
  readonly scenario: Scenario
  readonly carrier: Carrier
  readonly kind: Kind
  readonly client: ClientName
  readonly #listener: EndingListener
  readonly #dispatcher: Dispatcher
  readonly #tally = emptyTally()
  readonly #failed: number[] = []

  constructor(scenario: Scenario, carrier: Carrier, kind: Kind, client: ClientName, listener: EndingListener) {
    this.scenario = scenario
    this.carrier = carrier
    this.kind = kind
    this.client = client
    this.#listener = listener
    this.#dispatcher = newDispatcher(client, listener.connect)
  }

  async round(requests: number, seed: number): Promise<void> {
    const { pauseMs, isBusy = false, share = 1 } = this.scenario
    const half = Math.ceil((requests * share) / (this.carrier === 'https' ? 2 * SECURE_SHARE : 2))
    for (const lanes of [1, Math.min(LANES, Math.ceil(half / PER_LANE))]) {
      const errand = {
        dispatcher: this.#dispatcher,
        origin: this.#listener.origin,
        kind: this.kind,
        requests: half,
        lanes,
        first: this.#tally.sent,
        seed,
        hangMs: HANG_MS,
        onFailure: (number: number) => this.#failed.push(number),
        ...(pauseMs !== undefined && { pauseMs, isBusy }),
      }
      addTally(this.#tally, await sendNumbered(errand))
    }
  }

  async end(): Promise<{ row: Row; open: number }> {
    const dispatcher = this.#dispatcher
    let aborted: number | null = null
    if (dispatcher instanceof RecyclingAgent) {
      if (this.scenario.isInOrder) await settled(() => dispatcher.stats.sockets.leased === 0)
      aborted = dispatcher.stats.sockets.aborted
    }
    await dispatcher.destroy()
    await settled(async () => (await this.#listener.seen()).open === 0)
    const { connections, open, received, first } = await this.#listener.seen()
    await this.#listener.close()
    const arrived = new Set(received)
    const firsts = new Set(first)
    const { carrier, kind, client } = this
    const row = {
      scenario: this.scenario.name,
      carrier,
      kind,
      client,
      tally: this.#tally,
      twice: received.length - arrived.size,
      lostOnArrival: this.#failed.filter((number) => arrived.has(number)).length,
      lostAtFirst: this.#failed.filter((number) => firsts.has(number)).length,
      connections,
      aborted,
    }
    return { row, open }
  }
}

async function contestsOf(
  upstream: EndingUpstream,
  seed: number,
  clients: readonly ClientName[],
): Promise<Contest[][]> {
  const contests: Contest[][] = []
  for (const [carrier, some] of kinds) {
    for (const scenario of scenarios) {
      if (carrier === 'unix' && scenario.isWithoutUnix) continue
      for (const kind of some) {
        // The same moments for all of them.
        const plan = {
          carrier,
          ending: scenario.ending,
          isSplit: true,
          seed: seed + contests.length,
        }
        const rivals: Contest[] = []
        for (const client of clients) {
          rivals.push(new Contest(scenario, carrier, kind, client, await upstream.listen(plan)))
        }
        contests.push(rivals)
      }
    }
  }
  return contests
}

/** What a thread keeps is opened by the first use. */
async function openWhatStays(upstream: EndingUpstream, clients: readonly ClientName[]): Promise<void> {
  for (const client of clients) {
    const listener = await upstream.listen({ carrier: 'https', ending: scenarios[0]!.ending, seed: 0 })
    const dispatcher = newDispatcher(client, listener.connect)
    await sendNumbered({ dispatcher, origin: listener.origin, kind: 'GET', requests: 1 })
    await dispatcher.destroy()
    await listener.close()
  }
}

export async function races({ requests, seconds, seed, clients, rounds, program }: RacesOptions): Promise<RacesReport> {
  const upstream = new EndingUpstream(program)
  try {
    const deadline = performance.now() + seconds * 1000
    await openWhatStays(upstream, clients)
    const before = countDescriptors()
    const contests = await contestsOf(upstream, seed, clients)
    let round = 0
    for (; round < rounds && (round === 0 || performance.now() < deadline); round++) {
      for (const rivals of contests) {
        for (const i of rivals.keys()) {
          // Each of them is now the first, and now the last.
          const rival = rivals[(i + round) % rivals.length]!
          await rival.round(requests / rounds, seed + round)
        }
      }
    }
    const rows: Row[] = []
    let open = 0
    for (const contest of contests.flat()) {
      const ended = await contest.end()
      rows.push(ended.row)
      open += ended.open
    }
    await settled(() => countDescriptors() <= before)
    return { rounds: round, rows, verdicts: verdictsOf(rows, open, [before, countDescriptors()]) }
  } finally {
    await upstream.stop()
  }
}
