/**
 * Workers that are terminated with idle TLS connections, one after the other, and by how many bytes each of those connections
 * has raised the memory of the process. Each connection is for another name, and its session is kept.
 *
 * Arguments: origin of the gathering upstream, connections of each worker, workers before the first look, and after it.
 */
import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Dispatcher } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'
import { getTogether } from '../../soak/together.js'

interface Order {
  origin: string
  connections: number
}

async function work({ origin, connections }: Order): Promise<void> {
  const agent = new RecyclingAgent({
    maxCachedSessions: connections,
    connect: { rejectUnauthorized: false, timeout: 30_000 },
  })
  let names = 0
  const asked: Pick<Dispatcher, 'dispatch'> = {
    dispatch: (options, handler) =>
      agent.dispatch({ ...options, servername: `${names++}.test` } as typeof options, handler),
  }
  await getTogether(asked, origin, connections)
  const { native, node } = agent.stats.tls
  if (native !== connections || node !== 0) throw new Error(`${native} native handshakes, ${node} by Node`)
  parentPort!.on('message', () => {})
  parentPort!.postMessage('ready')
}

async function main(order: Order, before: number, after: number): Promise<void> {
  const endSome = async (count: number): Promise<number> => {
    for (let i = 0; i < count; i++) {
      const worker = new Worker(new URL(import.meta.url), { workerData: order })
      await once(worker, 'message')
      await worker.terminate()
    }
    return process.memoryUsage.rss()
  }
  const first = await endSome(before)
  const last = await endSome(after)
  console.log(Math.round((last - first) / (after * order.connections)))
}

if (isMainThread) {
  const [, , origin = '', connections, before, after] = process.argv
  await main({ origin, connections: Number(connections) }, Number(before), Number(after))
} else {
  await work(workerData as Order)
}
