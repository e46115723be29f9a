/**
 * What idle connections cost a client: opens as many as it is told, lets them idle, and prints by how much that has
 * raised the memory of its process.
 *
 * Arguments: client, origin, number of connections. Needs --expose-gc, and descriptors enough.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { Agent, type Dispatcher, Pool } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'
import { countDescriptors } from '../../support/descriptors.js'

/** Those that are there before the first look: until then code is compiled and pools are filled. */
const WARM_UP = 200
const WARM_UP_ROUNDS = 5

const [client, origin = '', count] = process.argv.slice(2)
const limits = { keepAliveTimeout: 600_000, keepAliveMaxTimeout: 600_000 }

const clients: Record<string, () => Dispatcher> = {
  ours: () => new RecyclingAgent(limits),
  'ours-net': () => new RecyclingAgent({ ...limits, transport: 'net' }),
  'undici-agent': () => new Agent(limits),
  'undici-pool': () => new Pool(origin, limits),
}

function get(dispatcher: Dispatcher, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(
      { origin, path, method: 'GET' },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error),
      },
    )
  })
}

const openTogether = (dispatcher: Dispatcher, connections: number): Promise<void[]> =>
  Promise.all(Array.from({ length: connections }, () => get(dispatcher, `/together/${connections}`)))

class Nothing {}

/** Collects as V8 does after some seconds of idleness, when it gives memory back (the memory reducer). */
async function memory(): Promise<NodeJS.MemoryUsage & { descriptors: number }> {
  for (let i = 0; i < 4; i++) {
    queryObjects(Nothing)
    await sleep(50)
  }
  return { ...process.memoryUsage(), descriptors: countDescriptors() }
}

const dispatcher = clients[client ?? '']!()
for (let round = 0; round < WARM_UP_ROUNDS; round++) {
  await openTogether(dispatcher, WARM_UP)
  // undici's connections take the next request a turn later.
  await sleep(10)
}
const before = await memory()
await openTogether(dispatcher, Number(count))
const after = await memory()
const opened = after.descriptors - before.descriptors
const perConnection = (key: keyof NodeJS.MemoryUsage): number => (after[key] - before[key]) / opened
console.log(
  JSON.stringify({
    opened,
    rss: perConnection('rss'),
    heap: perConnection('heapUsed'),
    external: perConnection('external'),
    arrayBuffers: perConnection('arrayBuffers'),
  }),
)
process.exit(opened === Number(count) - WARM_UP ? 0 : 1)
