/**
 * What idle connections cost a client: opens as many as it is told, lets them idle, and prints by how many bytes each
 * has raised the memory of its process.
 *
 * Arguments: client, origin, number of connections, manner of collection, number of requests before the first look, which
 * go over one connection. Ends with 1 when there are not as many connections.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { Agent, type Dispatcher, Pool } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'
import { countDescriptors } from '../../support/descriptors.js'
import { getTogether } from '../together.js'

const COLLECTIONS = 4
const PAUSE_MS = 50
/** As many connections may be there from the warm-up, or descriptors be opened for something else. */
const OTHERS = 2

const [client = '', origin = '', count, collection, requests] = process.argv.slice(2)
const total = Number(count)
const warmUp = Number(requests)
// So many handshakes at once take their time, and of the https upstream's certificate nobody knows the issuer.
const connect = { timeout: 60_000, rejectUnauthorized: false }
const limits = { keepAliveTimeout: 600_000, keepAliveMaxTimeout: 600_000, connect }

const clients: Record<string, () => Dispatcher> = {
  ours: () => new RecyclingAgent(limits),
  'ours-node-tls': () => new RecyclingAgent({ ...limits, tlsTransport: 'node' }),
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
for (let i = 0; i < warmUp; i++) await getTogether(dispatcher, origin, 1)
const before = await memory()
await getTogether(dispatcher, origin, total)
const after = await memory()
const descriptors = after.descriptors - before.descriptors
// One that Node.js reads and writes has a second descriptor.
const descriptorsEach = Math.max(1, Math.round(descriptors / total))
const opened = Math.round(descriptors / descriptorsEach)
const each = (key: 'rss' | 'heap'): number => Math.round((after[key] - before[key]) / opened)
console.log(JSON.stringify({ opened, descriptorsEach, rss: each('rss'), heap: each('heap') }))
process.exit(Math.abs(opened - total) <= OTHERS ? 0 : 1)
