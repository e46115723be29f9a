/**
 * A connection over TLS for each request, natively: resumed ones, others, such as fail, and such as are aborted. What the process
 * has in memory is looked at after each tenth of them.
 *
 * Argument: a {@link HandshakesOrder} as JSON. Sends a {@link HandshakesReport}. Needs --expose-gc.
 */
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { RecyclingAgent } from '../../../src/index.js'
import { openssl } from '../../../src/sys/openssl.js'
import { countDescriptors } from '../../support/descriptors.js'
import { quiet } from '../../support/exchange.js'
import { type Random, randomOf } from '../../support/random.js'

export interface HandshakesOrder {
  /** One of each version of TLS. */
  ports: number[]
  ca: string
  seed: number
  connections: number
  seconds: number
}

export interface HandshakesReport {
  done: number
  /** By what came of the connection. */
  counts: Record<'answered' | 'failed' | 'aborted', number>
  /** Of the handshakes that succeeded. */
  resumed: number
  /** That were made by Node, besides those that had to fail. */
  byNode: number
  failures: string[]
  /** In bytes, after each tenth of the time or the connections. */
  rss: number[]
  descriptors: [before: number, after: number]
}

const LANES = 16
const TENTHS = 10
const COLLECTIONS = 3
/** As many names that no certificate is for; of so many an agent remembers that they fail (tls-connect.ts). */
const WRONG_NAMES = 1000
/** After so many iterations of the event loop at most, a request is aborted: a handshake takes a few. */
const MOST_TURNS = 6

const order: HandshakesOrder = JSON.parse(process.argv[2]!)
const random: Random = randomOf(order.seed)
const deadline = performance.now() + order.seconds * 1000

const connect = { ca: order.ca }
const agents = {
  resuming: new RecyclingAgent({ connect }),
  forgetting: new RecyclingAgent({ connect, maxCachedSessions: 0 }),
}
const counts = { answered: 0, failed: 0, aborted: 0 }
const failures: string[] = []
let begun = 0

async function one(index: number): Promise<void> {
  const origin = `https://127.0.0.1:${order.ports[random(order.ports.length)]}`
  const kind = random(10)
  const agent = kind === 0 ? agents.forgetting : agents.resuming
  const controller = new AbortController()
  const expected = kind === 1 ? 'failed' : kind === 2 ? 'aborted' : 'answered'
  const servername = expected === 'failed' ? `${index % WRONG_NAMES}.wrong.test` : undefined
  const options = { origin, path: '/', method: 'GET', signal: controller.signal, servername } as const
  const answer = agent.request(options).then(
    async ({ body }) => ((await body.text()) === 'ok' ? 'answered' : 'something else'),
    (error: NodeJS.ErrnoException) => outcomeOf(error),
  )
  if (expected === 'aborted') {
    for (let turns = random(MOST_TURNS); turns > 0; turns--) await setImmediate()
    controller.abort()
  }
  const outcome = await answer
  if (outcome === expected || (expected === 'aborted' && outcome === 'answered')) counts[outcome]++
  else failures.push(`${expected} became ${outcome}`)
}

function outcomeOf({ code, name, message }: NodeJS.ErrnoException): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'failed'
  return name === 'AbortError' ? 'aborted' : `${code} ${message}`
}

async function memory(): Promise<number> {
  for (let i = 0; i < COLLECTIONS; i++) {
    await sleep(20)
    globalThis.gc!()
  }
  return process.memoryUsage.rss()
}

const isTimeLeft = (): boolean => performance.now() < deadline

async function lane(until: number): Promise<void> {
  while (begun < until && isTimeLeft()) await one(begun++)
}

await one(begun++)
const before = countDescriptors()
const rss: number[] = []
for (let tenth = 1; tenth <= TENTHS; tenth++) {
  const until = Math.round((order.connections * tenth) / TENTHS)
  await Promise.all(Array.from({ length: LANES }, () => lane(until)))
  for (const agent of Object.values(agents)) await quiet(agent)
  rss.push(await memory())
}
if (openssl().peekError() !== 0) failures.push('an error is left in the queue of the thread')
const all = Object.values(agents).map(({ stats }) => stats.tls)
const sum = (key: 'resumed' | 'node'): number => all.reduce((total, stats) => total + stats[key], 0)
for (const agent of Object.values(agents)) await agent.destroy()
const report: HandshakesReport = {
  done: begun,
  counts,
  resumed: sum('resumed'),
  byNode: sum('node'),
  failures,
  rss,
  descriptors: [before, countDescriptors()],
}
process.send!(report, () => process.exit())
