// Worker threads: an agent for each. A socket's readiness is told to the event loop of one thread, so an agent belongs
// to the thread that made it and cannot be sent to another; nor is there anything that threads would have to lock. When
// a worker ends, in whichever way, its descriptors are closed.
// Run `npm run build` first, then `node examples/worker-threads.mjs`.
import { once } from 'node:events'
import { isMainThread, parentPort, threadId, Worker, workerData } from 'node:worker_threads'
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'
import { startUpstream } from './support/upstream.mjs'

const WORKERS = 3
const REQUESTS = 50

if (isMainThread) await main()
else await work(workerData.origin)

async function main() {
  const upstream = await startUpstream()
  const workers = Array.from(
    { length: WORKERS },
    () => new Worker(new URL(import.meta.url), { workerData: { origin: upstream.origin } }),
  )
  const reports = await Promise.all(workers.map((worker) => once(worker, 'message')))
  for (const [{ thread, fresh, recycled }] of reports) {
    console.log(`thread ${thread}: ${fresh + recycled} connections, ${recycled} on a recycled socket`)
  }
  console.log(`the upstream has accepted ${upstream.connections()} connections`)
  await upstream.close()
}

async function work(origin) {
  const agent = new RecyclingAgent()
  for (let i = 0; i < REQUESTS; i++) {
    const { body } = await request(origin, { dispatcher: agent })
    await body.dump()
  }
  const { fresh, recycled } = agent.stats.sockets
  await agent.close()
  // With the agent closed nothing holds the thread any longer. (An idle agent would not hold it either.)
  parentPort.postMessage({ thread: threadId, fresh, recycled })
}
