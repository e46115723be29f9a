/**
 * What idle connections cost a client: opens as many as it is told, lets them idle, and prints by how many bytes each
 * has raised the memory of its process.
 *
 * Arguments: client, origin, number of connections, manner of collection, rounds of warm-up. Ends with 1 when there are
 * not as many connections.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { Agent, type Dispatcher, Pool } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'
import { countDescriptors } from '../../support/descriptors.js'
import { getTogether } from '../together.js'

/** Connections that are there before the first look, if there is any warm-up. */
const WARM_UP = 1000
const COLLECTIONS = 4
const PAUSE_MS = 50

const [client = '', origin = '', count, collection, rounds] = process.argv.slice(2)
const total = Number(count)
const limits = { keepAliveTimeout: 600_000, keepAliveMaxTimeout: 600_000 }

const clients: Record<string, () => Dispatcher> = {
  ours: () => new RecyclingAgent(limits),
  'ours-net': () => new RecyclingAgent({ ...limits, transport: 'net' }),
  'undici-agent': () => new Agent(limits),
  'undici-pool': () => new Pool(origin, limits),
}

class Nothing {}

/** Reducing: collections that also give memory back, as V8 does them after some seconds without work. */
const collect = collection === 'reducing' ? () => queryObjects(Nothing) : () => globalThis.gc!()

async function memory(): Promise<{ rss: number; heap: number; descriptors: number }> {
  for (let i = 0; i < COLLECTIONS; i++) {
    collect()
    await sleep(PAUSE_MS)
  }
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heap: heapUsed, descriptors: countDescriptors() }
}

const dispatcher = clients[client]!()
for (let round = 0; round < Number(rounds); round++) {
  await getTogether(dispatcher, origin, WARM_UP)
  // undici's connections take the next request a turn later.
  await sleep(PAUSE_MS)
}
const before = await memory()
await getTogether(dispatcher, origin, total)
const after = await memory()
const opened = after.descriptors - before.descriptors
const each = (key: 'rss' | 'heap'): number => Math.round((after[key] - before[key]) / opened)
console.log(JSON.stringify({ opened, rss: each('rss'), heap: each('heap') }))
process.exit(opened === total - (Number(rounds) > 0 ? WARM_UP : 0) ? 0 : 1)
