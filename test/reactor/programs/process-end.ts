/** Programs whose end, or whose exceptions, are the fact to be seen; the first argument says which. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Deadline, Deadlines } from '../../../src/reactor/deadlines.js'
import { threadReactor } from '../../../src/reactor/reactor.js'
import { SocketPool } from '../../../src/socket-pool/socket-pool.js'
import { isPeerClosed } from '../../../src/sys/epoll-event.js'

const reactor = threadReactor()
const pool = new SocketPool({}, reactor)

async function withServer(use: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket.on('error', () => {}).end()))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  await use((server.address() as AddressInfo).port)
  server.close()
  for (const socket of sockets) socket.destroy()
}

/** Uses a descriptor once; it is still leased after that. */
async function lease(port: number): Promise<ReturnType<typeof pool.lease>> {
  const descriptor = pool.lease({ address: '127.0.0.1', port })
  await new Promise<void>((resolve) => {
    descriptor.listener = { onReadiness: (flags) => void (isPeerClosed(flags) && resolve()) }
    pool.connect(descriptor)
  })
  return descriptor
}

async function throwing(): Promise<void> {
  const heard: number[] = []
  const uncaught: string[] = []
  const tasks: number[] = []
  process.on('uncaughtException', (error, origin) => uncaught.push(`${origin}: ${error.message}`))
  await withServer(async (port) => {
    const leases = await Promise.all([0, 1, 2, 3].map(() => lease(port)))
    reactor.hold()
    const all = leases.map(
      (descriptor, i) =>
        new Promise<void>((resolve) => {
          descriptor.listener = {
            onReadiness() {
              if (heard.includes(i)) return
              heard.push(i)
              resolve()
              if (i % 2 === 0) throw new Error(`listener ${i}`)
            },
          }
        }),
    )
    // The peer has closed: another connect(2) tells each of them something.
    for (const descriptor of leases) {
      const { listener } = descriptor
      pool.abort(descriptor)
      pool.lease(descriptor.peer).listener = listener
    }
    for (const descriptor of leases) pool.connect(descriptor)
    await Promise.all(all)
    for (const i of [0, 1, 2]) {
      reactor.later({
        run() {
          tasks.push(i)
          if (i === 1) throw new Error(`task ${i}`)
        },
      })
    }
    await new Promise<void>((resolve) => reactor.later({ run: resolve }))
    reactor.letGo()
  })
  heard.sort()
  uncaught.sort()
  console.log(JSON.stringify({ heard, uncaught, tasks }))
}

const mode = process.argv[2]
// Says so when the process lives although nothing should keep it.
setTimeout(() => console.log('lingered'), 5000).unref()
if (mode === 'throw') {
  await throwing()
} else {
  reactor.hold()
  await withServer(async (port) => {
    const descriptor = await lease(port)
    if (mode !== 'leased') pool.release(descriptor)
  })
  reactor.letGo()
  if (mode === 'deadline')
    new Deadlines(reactor).start(new Deadline({ onDeadline: () => console.log('expired') }), 3000)
  if (mode === 'held') {
    reactor.hold()
    setTimeout(() => {
      console.log('held')
      reactor.letGo()
    }, 200).unref()
    process.once('exit', () => console.log('let go'))
  }
  console.log('ready')
}
