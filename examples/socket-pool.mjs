// The pool of sockets alone, without HTTP: a socket is connected, dissolved (connect(2) with AF_UNSPEC) and connected
// again. One descriptor, a new local port each time, and nothing left in TIME_WAIT. TCP first, then UDP. Linux only.
// Run `npm run build` first, then `node examples/socket-pool.mjs`. To see it on the wire (a handshake, the server's FIN,
// our RST, the next handshake), let `tcpdump -i lo tcp` run beside it.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { SocketPool } from 'recycling-agent'

const CONNECTIONS = 3
const EINPROGRESS = 115

// A TCP server that closes each connection at once, and a UDP socket to send to.
const server = createServer((socket) => socket.on('error', () => {}).end())
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const receiver = createSocket('udp4').bind(0, '127.0.0.1')
await once(receiver, 'listening')

await demonstrate('tcp', server.address().port)
await demonstrate('udp', receiver.address().port)
server.close()
receiver.close()

async function demonstrate(type, port) {
  const pool = new SocketPool({ type })
  console.log(`${type} to 127.0.0.1:${port}`)
  for (let i = 1; i <= CONNECTIONS; i++) {
    const closed = type === 'tcp' ? closedByServer() : null
    // A socket for one use: a dissolved one of the same remote address and port if there is one, else a new one.
    const descriptor = pool.lease({ address: '127.0.0.1', port })
    // 0 for UDP, where it only sets the destination. TCP connects in the background.
    const errno = pool.connect(descriptor)
    if (errno !== 0 && errno !== EINPROGRESS) {
      // POSIX leaves the state of such a socket open: it is closed, not kept.
      pool.discard(descriptor)
      throw new Error(`connect failed with errno ${errno}`)
    }
    const local = pool.localEndpoint(descriptor)
    console.log(`  ${i}: descriptor ${descriptor.fd}, local port ${local.port}`)
    // The rule of the pool: a TCP socket is dissolved after the peer has closed. (`pool.abort` is for those that have
    // to end before; the peer sees a reset then.)
    await closed
    pool.release(descriptor)
  }
  const { fresh, recycled, idle, aborted } = pool.stats
  console.log(`  ${fresh} created, ${recycled} recycled, ${idle} idle, ${aborted} aborted`)
  pool.close()
}

// Resolves when the server has sent its FIN. (A client would read until the end of stream.)
async function closedByServer() {
  const [socket] = await once(server, 'connection')
  if (!socket.writableFinished) await once(socket, 'finish')
}
