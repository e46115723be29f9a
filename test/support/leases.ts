/** One use of a descriptor of the pool, as promises; and servers of Node to use it on. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Descriptor } from '../../src/socket-pool/descriptor.js'
import type { SocketPool } from '../../src/socket-pool/socket-pool.js'
import { isPeerClosed, isWritable } from '../../src/sys/epoll-event.js'
import { native } from '../../src/sys/native.js'
import { EINPROGRESS } from '../../src/sys/system-error.js'

/** A listening server and the sockets that it has accepted. */
export interface TestServer {
  server: Server
  address: string
  port: number
  sockets: Set<Socket>
  close(): Promise<void>
}

/** A server on loopback; what it does with a connection is up to `onConnection`. */
export async function startServer(
  onConnection: (socket: Socket) => void,
  listen: { host?: string; path?: string; allowHalfOpen?: boolean } = {},
): Promise<TestServer> {
  const { host = '127.0.0.1', path, allowHalfOpen = false } = listen
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // A dissolved socket resets a peer that has not closed yet.
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(path === undefined ? { host, port: 0 } : { path })
  await once(server, 'listening')
  const bound = server.address()
  return {
    server,
    address: path ?? host,
    port: typeof bound === 'string' ? 0 : (bound as AddressInfo).port,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Resolves with the flags of the first readiness that `isIt` accepts. */
export function readiness(descriptor: Descriptor, isIt: (flags: number) => boolean): Promise<number> {
  return new Promise((resolve) => {
    descriptor.listener = {
      onReadiness(flags) {
        if (isIt(flags)) resolve(flags)
      },
    }
  })
}

/** Connects a leased descriptor and waits until it is connected. */
export async function connected(pool: SocketPool, descriptor: Descriptor): Promise<void> {
  const isConnected = readiness(descriptor, isWritable)
  const errno = pool.connect(descriptor)
  if (errno === EINPROGRESS) await isConnected
  else if (errno !== 0) throw new Error(`connect failed with ${errno}`)
}

/** Connects a leased descriptor and reads until the peer's FIN. @returns the local port */
export async function connectedUntilFin(pool: SocketPool, descriptor: Descriptor): Promise<number> {
  const fin = readiness(descriptor, isPeerClosed)
  const errno = pool.connect(descriptor)
  if (errno !== 0 && errno !== EINPROGRESS) throw new Error(`connect failed with ${errno}`)
  const { port } = pool.localEndpoint(descriptor)!
  await fin
  const rest = Buffer.alloc(64)
  while (native().recv(descriptor.fd, rest, rest.length, 0) > 0);
  return port
}
