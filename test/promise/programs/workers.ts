/**
 * Starts workers with an agent each and ends them in one of six ways. The main thread serves them and never loads the
 * package. Arguments: the ending, the number of workers. Prints how many ended, and how many descriptors were gained.
 */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

interface Order {
  ending: string
  origin: string
}

const countDescriptors = (): number => readdirSync('/proc/self/fd').length - 1

async function work({ ending, origin }: Order): Promise<void> {
  const { RecyclingAgent } = await import('../../../src/index.js')
  const agent = new RecyclingAgent({ keepAliveTimeout: 60_000 })
  const get = async (path: string): Promise<string> =>
    (await agent.request({ origin, path, method: 'GET' })).body.text()
  await Promise.all(['/closing', '/closing', '/keep-alive'].map(get))
  if (ending === 'natural') await agent.close()
  if (['exit', 'throw', 'load'].includes(ending)) {
    // Requests without an end, and one that is never answered.
    const load = async (path: string): Promise<never> => {
      for (;;) await get(path)
    }
    for (const path of ['/closing', '/keep-alive', '/closing', '/keep-alive', '/silent']) void load(path)
    await Promise.all([get('/closing'), get('/keep-alive')])
  }
  // An open port keeps the thread that is to be terminated.
  if (ending === 'idle') parentPort!.on('message', () => {})
  parentPort!.postMessage('ready')
  if (ending === 'exit') process.exit(0)
  if (ending === 'throw') throw new Error('the end')
  // With 'idle-connections', and after 'natural', nothing is left that keeps the thread alive.
}

async function endOne(order: Order): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: order })
  worker.on('error', (error) => {
    if (error.message !== 'the end') throw error
  })
  const exit = new Promise((resolve) => worker.once('exit', resolve))
  if (order.ending === 'idle' || order.ending === 'load') {
    await once(worker, 'message')
    await worker.terminate()
  }
  await exit
}

async function main(ending: string, count: number): Promise<void> {
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    if (request.url === '/silent') return
    response.writeHead(200, { connection: request.url === '/closing' ? 'close' : 'keep-alive' }).end('ok')
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const order = { ending, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  const settled = async (): Promise<number> => {
    while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve))
    return countDescriptors()
  }
  const isLoadedHere = readFileSync('/proc/self/maps', 'latin1').includes('koffi')
  // The first worker leaves behind what a process opens only once.
  await endOne(order)
  const before = await settled()
  let ended = 0
  while (ended < count) {
    const pair = Math.min(2, count - ended)
    await Promise.all(Array.from({ length: pair }, () => endOne(order)))
    ended += pair
  }
  console.log(JSON.stringify({ isLoadedHere, ended, gained: (await settled()) - before }))
  server.close()
}

if (isMainThread) await main(process.argv[2]!, Number(process.argv[3]))
else await work(workerData as Order)
