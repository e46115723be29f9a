/**
 * Starts workers that are busy with connections of one kind, two at a time, and ends them in one way after the other, at
 * moments left to chance. The main thread serves them and never loads the package. The argument is an
 * {@link Experiment} as JSON; prints what the workers exited with, and how many descriptors the process has gained, as a
 * {@link Result}.
 */
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Dispatcher } from 'undici'
import { randomOf } from '../../support/random.js'

export type Kind = 'plain' | 'tls' | 'lent' | 'upgraded' | 'net'
export type Ending = 'natural' | 'exit' | 'throw' | 'waiting' | 'load' | 'unref'

export interface Experiment {
  kind: Kind
  endings: Ending[]
  /** For each ending. */
  workers: number
  seed: number
  secure: { key: string; cert: string; ca: string }
}

/** For each ending. */
export type Result = Record<string, { exits: Record<string, number>; gained: number }>

interface Order extends Experiment {
  ending: Ending
  origin: string
}

/** The longest time between a worker's being busy and its end, in milliseconds. */
const LONGEST_WAIT_MS = 20

async function work({ kind, ending, origin, secure }: Order): Promise<void> {
  const { RecyclingAgent } = await import('../../../src/index.js')
  const agent = new RecyclingAgent({
    keepAliveTimeout: 60_000,
    // While it ends, some are being made.
    spareConnections: 2,
    connect: { ca: secure.ca },
    ...(kind === 'net' && { transport: 'net' }),
    ...(kind === 'lent' && { tlsTransport: 'node' }),
  })
  const get = async (path: string): Promise<void> => {
    const { body } = await agent.request({ origin, path, method: 'GET' })
    await body.text()
  }
  const upgrade = (): Promise<Dispatcher.UpgradeData> =>
    agent.upgrade({ origin, path: '/', protocol: 'chat' } as Dispatcher.UpgradeOptions)
  const kept: Duplex[] = []
  /** With `upgraded`: a socket that is kept, or used and ended. */
  const use = async (path: string): Promise<void> => {
    if (kind !== 'upgraded') return get(path)
    const { socket } = await upgrade()
    if (path === '/keep-alive') {
      kept.push(socket.resume())
      return
    }
    socket.end('bye')
    for await (const _ of socket);
  }
  await Promise.all(['/closing', '/closing', '/keep-alive'].map(use))
  if (ending === 'natural') {
    for (const socket of kept) socket.destroy()
    await agent.close()
  }
  if (ending === 'waiting') for (let i = 0; i < 4; i++) void get('/silent')
  if (ending === 'exit' || ending === 'throw' || ending === 'load') {
    const busy = async (): Promise<never> => {
      for (;;) await use('/closing')
    }
    for (let i = 0; i < 4; i++) void busy()
    void get('/silent')
  }
  // Nothing of the agent's keeps the thread alive.
  if (ending === 'unref') setInterval(() => {}, 1000)
  parentPort!.postMessage('busy')
  if (ending !== 'exit' && ending !== 'throw') return
  setTimeout(() => {
    if (ending === 'exit') process.exit(5)
    throw new Error('the end')
  }, LONGEST_WAIT_MS / 2)
}

const listener: RequestListener = (request, response) => {
  if (request.url === '/silent') return
  response.writeHead(200, { connection: request.url === '/closing' ? 'close' : 'keep-alive' }).end('ok')
}

async function main(experiment: Experiment): Promise<void> {
  const { kind, endings, workers, seed, secure } = experiment
  const random = randomOf(seed)
  const sockets = new Set<Socket>()
  const isSecure = kind === 'tls' || kind === 'lent'
  const server = isSecure ? createSecureServer(secure, listener) : createServer(listener)
  server.on('upgrade', (_request, socket: Duplex) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n')
    socket.on('error', () => {}).pipe(socket)
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}))
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const origin = `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`

  /** @returns what the worker exited with */
  async function endOne(ending: Ending): Promise<string> {
    const order: Order = { ...experiment, ending, origin }
    const worker = new Worker(new URL(import.meta.url), { workerData: order })
    const errors: Error[] = []
    worker.on('error', (error) => errors.push(error as Error))
    const exit = new Promise((resolve) => worker.once('exit', resolve))
    const busy = new Promise((resolve) => worker.once('message', resolve))
    await Promise.race([busy, exit])
    if (ending === 'waiting' || ending === 'load' || ending === 'unref') {
      const end = performance.now() + random(LONGEST_WAIT_MS * 1000) / 1000
      while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve))
      await worker.terminate()
    }
    return [await exit, ...errors.map(({ message }) => message)].join(' ')
  }
  /** Descriptors that are left when this side of every connection is closed. */
  async function countDescriptors(): Promise<number> {
    // What came last may still be in the queue of connections.
    for (let i = 0; i < 10 || sockets.size > 0; i++) {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => setImmediate(resolve))
    }
    return readdirSync('/proc/self/fd').length - 1
  }
  // The first worker leaves behind what a process opens only once.
  await endOne(endings[0]!)
  const result: Result = {}
  for (const ending of endings) {
    const before = await countDescriptors()
    const exits: Record<string, number> = {}
    for (let left = workers; left > 0; left -= 2) {
      const pair = Array.from({ length: Math.min(2, left) }, () => endOne(ending))
      for (const exit of await Promise.all(pair)) exits[exit] = (exits[exit] ?? 0) + 1
    }
    result[ending] = { exits, gained: (await countDescriptors()) - before }
  }
  console.log(JSON.stringify(result))
  server.close()
}

if (isMainThread) await main(JSON.parse(process.argv[2]!))
else await work(workerData as Order)
