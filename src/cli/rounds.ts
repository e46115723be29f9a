/**
 * The measurement: rounds of requests with one client and the other in turn, in this process, so that whatever disturbs
 * them disturbs both. The first rounds warm up, and count for sockets only.
 */
import { setImmediate } from 'node:timers/promises'
import { LEAST_ROUNDS, type Load } from './arguments.js'
import type { Client, Clients } from './clients.js'
import { describeFailure, exchange, isLoss } from './exchange.js'
import { Failure } from './failure.js'
import type { TimeWait, TimeWaitTable } from './time-wait.js'

/** The more rounds the better one can tell a difference from chance; but a round must keep all lanes busy for a while. */
const MOST_ROUNDS = 20
const REQUESTS_PER_LANE = 4
const WARM_UP_SHARE = 0.2
/** No more rounds begin after so long. */
const LIMIT_MS = 120_000

/** For a server that takes long over each. */
const FEW = 20

/** The server has enough: Too Many Requests (RFC 6585 4), and Service Unavailable. */
const ENOUGH: readonly number[] = [429, 503]

/** What a client has shown. */
export interface Figures {
  /** Sent, in all rounds. */
  requests: number
  /** Those that failed with their connection. */
  lost: number
  /** Of each round that counts: user and system time of the process for one request. */
  cpuMicroseconds: number[]
  /** Of each response in those rounds. */
  latencyMs: number[]
  /** Left behind by all rounds; `null` where it is not known. */
  timeWait: TimeWait | null
}

export type Both = Readonly<Record<keyof Clients, Figures>>

export interface RoundsOptions {
  /** Told before each round. @param done requests of both clients, of `all` */
  onRound?: (client: Client, done: number, all: number) => void
  limitMs?: number
}

const none = (): Figures => ({
  requests: 0,
  lost: 0,
  cpuMicroseconds: [],
  latencyMs: [],
  timeWait: { client: 0, upstream: 0 },
})

/** @throws Failure when the upstream stops to answer, or says that it has enough */
export async function runRounds(
  clients: Clients,
  load: Load,
  table: TimeWaitTable,
  { onRound, limitMs = LIMIT_MS }: RoundsOptions = {},
): Promise<Both> {
  const both: Both = { undici: none(), recycling: none() }
  const { requests } = load
  const rounds = roundsOf(load)
  const warmUp = Math.round(WARM_UP_SHARE * rounds)
  // What others have left.
  await table.left()
  const end = performance.now() + limitMs
  for (let round = 0; round < rounds; round++) {
    if (performance.now() > end) break
    const count = Math.floor(((round + 1) * requests) / rounds) - Math.floor((round * requests) / rounds)
    const order = round % 2 === 0 ? (['undici', 'recycling'] as const) : (['recycling', 'undici'] as const)
    for (const name of order) {
      onRound?.(clients[name], both.undici.requests + both.recycling.requests, 2 * requests)
      await runRound(clients[name], load, count, both[name], table, round >= warmUp)
    }
  }
  if (both.recycling.cpuMicroseconds.length === 0) {
    throw new Failure(`${load.url.host} is too slow: give it less to do, --requests=${FEW} --concurrency=1`)
  }
  return both
}

const roundsOf = ({ requests, concurrency }: Load): number =>
  Math.max(LEAST_ROUNDS, Math.min(MOST_ROUNDS, Math.floor(requests / (REQUESTS_PER_LANE * concurrency))))

async function runRound(
  { dispatcher }: Client,
  load: Load,
  count: number,
  figures: Figures,
  table: TimeWaitTable,
  isCounted: boolean,
): Promise<void> {
  const latencies: number[] = []
  let left = count
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left--
      figures.requests++
      const start = performance.now()
      try {
        const { status } = await exchange(dispatcher, load)
        if (ENOUGH.includes(status)) throw new Failure(`${load.url.host} answers ${status}: it has enough of requests`)
        latencies.push(performance.now() - start)
      } catch (error) {
        if (!isLoss(error)) {
          // The other lanes end, too.
          left = 0
          throw describeFailure(error, load)
        }
        figures.lost++
      }
    }
  }
  const cpuBefore = process.cpuUsage()
  await Promise.all(Array.from({ length: load.concurrency }, lane))
  // What a response leaves to be done is done behind it.
  await setImmediate()
  await setImmediate()
  const { user, system } = process.cpuUsage(cpuBefore)
  addTimeWait(figures, await table.left())
  if (!isCounted) return
  figures.cpuMicroseconds.push((user + system) / count)
  for (const latency of latencies) figures.latencyMs.push(latency)
}

function addTimeWait(figures: Figures, left: TimeWait | null): void {
  if (figures.timeWait === null || left === null) figures.timeWait = null
  else {
    figures.timeWait.client += left.client
    figures.timeWait.upstream += left.upstream
  }
}
