/**
 * One arm of the soak: a process that sends requests of all kinds through agents of ours, and measures itself.
 *
 * Argument: a {@link LoadOrder} as JSON. Prints progress, and sends a {@link LoadReport}. Needs --expose-gc.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../../src/index.js'
import { countDescriptors } from '../../support/descriptors.js'
import { socketsOn } from '../../support/socket-table.js'
import type { ArmName } from '../kinds.js'
import { Load, type Tally } from '../load.js'

export interface LoadOrder {
  arm: ArmName
  ports: { closing: number; mixed: number; secure: number }
  seed: number
  requests: number
  seconds: number
  lanes: number
}

export interface LoadReport {
  done: number
  aborts: number
  seconds: number
  failures: string[]
  tallies: [kind: string, tally: Tally][]
  /** Bytes, when half of the requests were done, and at the end. */
  heaps: [half: number, end: number]
  descriptors: [before: number, after: number]
  /** Requests to healthy upstreams that close, and the calls of socket(2) that they took. */
  closing: { requests: number; fresh: number }
  /**
   * In TIME_WAIT when the load is over, on the port that closes all connections. Not on the other: whoever ends an idle
   * connection is the first to close, and has it.
   */
  timeWaits: number
  /** What is not as it was. */
  left: string[]
}

const TIME_WAIT = '06'
const SETTLE_MS = 5000
const QUARTERS = 4

const options: Record<ArmName, RecyclingAgentOptions> = {
  native: {},
  net: { transport: 'net' },
  secure: { connect: { rejectUnauthorized: false } },
}

const { arm, ports, seed, requests, seconds, lanes }: LoadOrder = JSON.parse(process.argv[2]!)

const newAgent = (): RecyclingAgent => new RecyclingAgent({ ...options[arm], keepAliveTimeout: 60_000 })

async function heap(): Promise<number> {
  // What has just ended is let go of in the turns after.
  for (let i = 0; i < 3; i++) {
    await sleep(20)
    globalThis.gc?.()
  }
  return process.memoryUsage().heapUsed
}

/** What the agent still has, by origin; a type of undici's knows no size there. */
const requestsOf = (agent: RecyclingAgent): [origin: string, size: number][] =>
  Object.entries(agent.stats).map(([where, stats]) => [where, 'size' in stats ? (stats.size ?? 0) : 0])

/** The two ends of connections in TIME_WAIT on the port that closes; others may have used its number before. */
const waiting = (): string[] =>
  socketsOn(ports.closing)
    .filter(({ state }) => state === TIME_WAIT)
    .map(({ localPort, remotePort }) => `${localPort} ${remotePort}`)

/** Resolves when it holds, or the time is up. */
async function settled(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + SETTLE_MS
  while (!holds() && performance.now() < deadline) await sleep(10)
}

/** What a thread keeps is opened by the first use. */
async function openWhatStays(origin: string): Promise<void> {
  const agent = newAgent()
  const { body } = await agent.request({ origin, path: '/keep/0/4', method: 'GET' })
  await body.text()
  await agent.close()
}

const left: string[] = []
process.on('warning', ({ name, message }) => left.push(`a warning: ${name}: ${message}`))

const origin = (port: number): string => `${arm === 'secure' ? 'https' : 'http'}://127.0.0.1:${port}`
const origins = {
  closing: origin(arm === 'secure' ? ports.secure : ports.closing),
  mixed: origin(arm === 'secure' ? ports.secure : ports.mixed),
}
await openWhatStays(origins.mixed)
const waitingBefore = new Set(waiting())
const descriptorsBefore = countDescriptors()
const agents = { closing: newAgent(), mixed: newAgent() }
const load = new Load({
  seed,
  lanes,
  route: ({ isHealthyClosing }) => {
    const name = isHealthyClosing ? 'closing' : 'mixed'
    return { dispatcher: agents[name], origin: origins[name] }
  },
})

const began = performance.now()
const progress = setInterval(() => {
  const elapsed = Math.round((performance.now() - began) / 1000)
  console.log(`${arm}: ${load.done} requests, ${elapsed} s`)
}, 10_000).unref()
const heaps: number[] = []
for (let quarter = 1; quarter <= QUARTERS; quarter++) {
  const part = quarter / QUARTERS
  await load.run(Math.round(requests * part), began + seconds * 1000 * part)
  heaps.push(await heap())
}
const elapsed = (performance.now() - began) / 1000
clearInterval(progress)

const all = Object.entries(agents)
await settled(() => all.every(([, agent]) => requestsOf(agent).every(([, size]) => size === 0)))
const timeWaits = waiting().filter((ends) => !waitingBefore.has(ends)).length
const closing = { requests: load.closing, fresh: agents.closing.stats.sockets.fresh }
for (const [name, agent] of all) {
  for (const [where, size] of requestsOf(agent)) {
    if (size > 0) left.push(`the agent for ${name} has ${size} requests for ${where}`)
  }
}
await Promise.all(all.map(([, agent]) => agent.close()))
await settled(() => all.every(([, agent]) => agent.stats.sockets.leased === 0))
for (const [name, agent] of all) {
  const { leased, idle } = agent.stats.sockets
  if (leased + idle > 0) left.push(`the agent for ${name} has ${leased} sockets leased and ${idle} idle`)
}
await settled(() => countDescriptors() <= descriptorsBefore)
const report: LoadReport = {
  done: load.done,
  aborts: load.aborts,
  seconds: elapsed,
  failures: load.failures,
  tallies: [...load.tallies],
  heaps: [heaps[1]!, heaps[3]!],
  descriptors: [descriptorsBefore, countDescriptors()],
  closing,
  timeWaits,
  left,
}
process.send!(report, () => process.exit())
