/** An address that takes no more connections and refuses none: what connects to it hears nothing, until it is woken. */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM } from '../../src/sys/constants.js'
import { foreign, native } from '../../src/sys/native.js'
import { encodeInternet } from '../../src/sys/sockaddr.js'
import { socketsOn } from './socket-table.js'

export interface SilentListener {
  /** Takes connections from now on, and has `serve` see to each. A SYN that was not heard is sent again after a second. */
  wake(serve: (socket: Socket) => void): Promise<void>
}

/** Listens, until the test is finished, with a queue that is full; nobody takes anything from it. */
export async function silentListener(address: string, port: number): Promise<SilentListener> {
  const { socket, bind, close } = native()
  const listen = foreign().process.func('int listen(int fd, int backlog)')
  const fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
  const local = encodeInternet(address, port)
  if (bind(fd, local, local.length) !== 0 || listen(fd, 0) !== 0) throw new Error(`cannot listen on ${address}`)
  const sockets: Socket[] = []
  let server: Server | undefined
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    if (server === undefined) close(fd)
    else server.close()
  })
  // A queue of length 0 has room for one.
  const first = connect({ host: address, port })
  sockets.push(first)
  await new Promise((resolve) => first.once('connect', resolve))
  sockets.push(connect({ host: address, port }).on('error', () => {}))
  const SYN_SENT = '02'
  while (!socketsOn(port).some(({ state }) => state === SYN_SENT)) await new Promise((resolve) => setImmediate(resolve))
  return {
    async wake(serve) {
      for (const socket of sockets) socket.on('error', () => {}).destroy()
      server = createServer((socket) => {
        sockets.push(socket.on('error', () => {}))
        serve(socket)
      }).listen({ fd })
      await once(server, 'connection')
    },
  }
}
