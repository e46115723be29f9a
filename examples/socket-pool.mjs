// A socket that is connected, dissolved and connected again: one descriptor, a new local port each time, and nothing
// left in TIME_WAIT. Linux only. Run `npm run build` first, then `node examples/socket-pool.mjs`.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { SocketPool } from 'recycling-agent'

const CONNECTIONS = 3
const EINPROGRESS = 115

// A TCP server that closes each connection at once, and a UDP socket that only listens.
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
    const descriptor = pool.lease({ address: '127.0.0.1', port })
    const errno = pool.connect(descriptor)
    if (errno !== 0 && errno !== EINPROGRESS) throw new Error(`connect failed with errno ${errno}`)
    const local = pool.localEndpoint(descriptor)
    console.log(`  ${i}: descriptor ${descriptor.fd}, local port ${local.port}`)
    // The rule of the pool: a TCP socket is dissolved after the peer has closed.
    await closed
    pool.release(descriptor)
  }
  console.log(' ', pool.stats)
  pool.close()
}

// Resolves when the server has sent its FIN. (A client would read until the end of stream.)
async function closedByServer() {
  const [socket] = await once(server, 'connection')
  if (!socket.writableFinished) await once(socket, 'finish')
}
