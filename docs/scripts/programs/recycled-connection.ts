/**
 * Two requests, one after the other, to an upstream that closes each connection. Every call on the descriptor that
 * carries them is told of, with the time at which it began.
 *
 * The upstream is in this very thread, so that all things happen in the same order every time.
 */
import { Buffer } from 'node:buffer'
import { constants } from 'node:os'
import { request } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'
import { AF_INET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from '../../../src/sys/constants.js'
import { foreign, type Native, native } from '../../../src/sys/native.js'
import { decodeInternet, encodeInternet } from '../../../src/sys/sockaddr.js'
import type { Call, CallName, Message } from '../sequence.js'

const { process: library } = foreign()
const listen = library.func('int listen(int fd, int backlog)')
const accept = library.func('int accept4(int fd, void *address, void *length, int flags)')
const clock = library.func('int clock_gettime(int clock, void *time)')
const { socket, bind, recv, send, close, getsockname } = native()

/** CLOCK_REALTIME, in nanoseconds: the clock of the capture. */
function now(): bigint {
  const time = Buffer.alloc(16)
  clock(0, time)
  return time.readBigInt64LE(0) * 1_000_000_000n + time.readBigInt64LE(8)
}

const tell = (message: Message): void => void process.send!(message)

// The upstream: one connection at a time; the response and the FIN leave together.

const RESPONSE = Buffer.from('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\nhello\n')
const flags = SOCK_NONBLOCK | SOCK_CLOEXEC
const listener = socket(AF_INET, SOCK_STREAM | flags, 0)
const anyPort = encodeInternet('127.0.0.1', 0)
bind(listener, anyPort, anyPort.length)
listen(listener, 8)
const bound = Buffer.alloc(128)
getsockname(listener, bound, Buffer.from(new Uint32Array([bound.length]).buffer))
const { port } = decodeInternet(bound)!
const received = Buffer.alloc(4096)
let connection = -1

function serve(): void {
  if (connection < 0) connection = accept(listener, null, null, flags)
  if (connection >= 0 && recv(connection, received, received.length, 0) > 0) {
    send(connection, RESPONSE, RESPONSE.length, 0)
    close(connection)
    connection = -1
  }
}

// The calls.

const names: Partial<Record<keyof Native, CallName>> = {
  connect: 'connect',
  recv: 'recv',
  recvAt: 'recv',
  send: 'send',
  sendAt: 'send',
  setsockopt: 'setsockopt',
  shutdown: 'shutdown',
  close: 'close',
  socket: 'socket',
  epollControl: 'epoll_ctl',
}
const calls: Call[] = []

type AnyCall = (...args: (number | Uint8Array)[]) => number

function trace(): void {
  const table = native() as unknown as Record<string, AnyCall>
  for (const [key, name] of Object.entries(names)) {
    const original = table[key]!
    table[key] = (...args) => {
      const timeNs = now().toString()
      const result = original(...args)
      const error = result < 0 ? native().errno() : 0
      const fd = (name === 'socket' ? result : name === 'epoll_ctl' ? args[2] : args[0]) as number
      const isDissolving = name === 'connect' && (args[1] as Uint8Array)[0] === 0
      calls.push({ timeNs, fd, name, result, error: errorName(error), isDissolving })
      return result
    }
  }
}

const errorName = (errno: number): string =>
  Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? ''

/** A turn of the event loop, in which the upstream has its own. */
const turn = (): Promise<void> =>
  new Promise((resolve) =>
    setImmediate(() => {
      serve()
      resolve()
    }),
  )

async function run(): Promise<void> {
  // What a thread does once is done by another agent.
  await new RecyclingAgent().close()
  const agent = new RecyclingAgent()
  trace()
  for (let i = 0; i < 2; i++) {
    let isAnswered = false
    const answer = request(`http://127.0.0.1:${port}`, { dispatcher: agent })
    const text = answer
      .then(({ body }) => body.text())
      .finally(() => {
        isAnswered = true
      })
    while (!isAnswered || agent.stats.sockets.leased > 0) await turn()
    if ((await text) !== 'hello\n') throw new Error(`an answer of ${await text}`)
  }
  const traced = [...calls]
  await agent.close()
  tell({ calls: traced })
}

process.once('message', () => {
  run().finally(() => process.disconnect())
})
tell({ port })
