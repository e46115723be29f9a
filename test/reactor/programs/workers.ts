/**
 * Starts workers that have a leased, a connecting and an idle descriptor, and ends each in one of six ways. The main
 * thread never loads koffi. Prints how many ended, and how many descriptors the process has gained.
 */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { threadReactor } from '../../../src/reactor/reactor.js'
import type { Descriptor } from '../../../src/socket-pool/descriptor.js'
import { SocketPool } from '../../../src/socket-pool/socket-pool.js'
import { isPeerClosed } from '../../../src/sys/epoll-event.js'

interface Order {
  ending: string
  port: number
}

const countDescriptors = (): number => readdirSync('/proc/self/fd').length - 1

function closed(pool: SocketPool, descriptor: Descriptor): Promise<void> {
  return new Promise((resolve) => {
    descriptor.listener = { onReadiness: (flags) => void (isPeerClosed(flags) && resolve()) }
    pool.connect(descriptor)
  })
}

async function work({ ending, port }: Order): Promise<void> {
  const reactor = threadReactor()
  const pool = new SocketPool({}, reactor)
  const peer = { address: '127.0.0.1', port }
  reactor.hold()
  const [idle, leased] = [pool.lease(peer), pool.lease(peer)]
  await Promise.all([closed(pool, idle), closed(pool, leased)])
  pool.release(idle)
  pool.connect(pool.lease({ address: '127.0.0.2', port }))
  if (ending === 'load') {
    // One connection after the other, without an end.
    const next = (descriptor: Descriptor): void =>
      void closed(pool, descriptor).then(() => {
        pool.release(descriptor)
        next(pool.lease(peer))
      })
    for (let i = 0; i < 8; i++) next(pool.lease(peer))
  }
  // With a handle that no longer keeps the thread alive, something else must.
  if (ending === 'unref') setInterval(() => {}, 1000)
  if (ending === 'unref' || ending === 'natural') reactor.letGo()
  parentPort!.postMessage('ready')
  if (ending === 'exit') process.exit(0)
  if (ending === 'throw') throw new Error('the end')
}

async function endOne(order: Order): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: order })
  worker.on('error', (error) => {
    if (error.message !== 'the end') throw error
  })
  const exit = new Promise((resolve) => worker.once('exit', resolve))
  if (['idle', 'load', 'unref'].includes(order.ending)) {
    await once(worker, 'message')
    await worker.terminate()
  }
  await exit
}

async function main(ending: string, count: number): Promise<void> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {}).end()
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  // The first worker leaves behind what a process opens only once.
  await endOne({ ending, port })
  const settled = async (): Promise<number> => {
    while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve))
    return countDescriptors()
  }
  const before = await settled()
  let ended = 0
  while (ended < count) {
    const pair = Math.min(2, count - ended)
    await Promise.all(Array.from({ length: pair }, () => endOne({ ending, port })))
    ended += pair
  }
  console.log(JSON.stringify({ ended, gained: (await settled()) - before }))
  server.close()
}

if (isMainThread) await main(process.argv[2]!, Number(process.argv[3]))
else await work(workerData as Order)
