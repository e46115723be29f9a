/** An HTTP/1.1 server over TLS for set-ups: answers each request, and says what it saw of the clients. */
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls'

/** What a server sees of a client after the handshake. */
export interface ClientView {
  servername: string | false
  alpn: string | false | null
  protocol: string | null
  cipher: string
  isAuthorized: boolean
  /** Common name of its certificate. */
  client: string | undefined
}

export interface SecureServer {
  readonly port: number
  readonly server: Server
  /** Of each connection with a handshake done. */
  readonly views: ClientView[]
  /** Of each request that was answered, whether its connection had resumed a session. */
  readonly resumed: boolean[]
  /** What was received, of each connection. */
  readonly requests: readonly string[]
  /** All of that. */
  readonly plaintext: string
  close(): Promise<void>
}

/** Requests of this path get the head of a response, and nothing more. */
export const HELD = '/held'
const HELD_HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n'

const HEAD_END = '\r\n\r\n'

/** @param answer to each request */
export async function secureServer(options: TlsOptions, answer: string): Promise<SecureServer> {
  const views: ClientView[] = []
  const resumed: boolean[] = []
  const sockets = new Set<Socket>()
  const requests: string[] = []
  const server = createServer(options, (socket) => {
    views.push(viewOf(socket))
    socket.on('error', () => {})
    const index = requests.push('') - 1
    let received = ''
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1')
      requests[index] += text
      received += text
      for (let end = received.indexOf(HEAD_END); end >= 0; end = received.indexOf(HEAD_END)) {
        const head = received.slice(0, end)
        received = received.slice(end + HEAD_END.length)
        if (head.startsWith(`GET ${HELD} `)) {
          socket.write(HELD_HEAD)
          continue
        }
        resumed.push(socket.isSessionReused())
        socket.write(answer)
        if (/^connection: close/im.test(answer)) socket.end()
      }
    })
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    server,
    views,
    resumed,
    requests,
    get plaintext() {
      return requests.join('')
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function viewOf(socket: TLSSocket): ClientView {
  const { CN } = socket.getPeerCertificate().subject ?? {}
  return {
    servername: (socket as TLSSocket & { servername: string | false }).servername,
    alpn: socket.alpnProtocol,
    protocol: socket.getProtocol(),
    cipher: socket.getCipher().standardName,
    isAuthorized: socket.authorized,
    client: Array.isArray(CN) ? CN.join() : CN,
  }
}
