/** A forward proxy on node:http or node:https: CONNECT, and requests in absolute form (RFC 9110 3.7, 9112 3.2.2). */
import { once } from 'node:events'
import { createServer, request as forward, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { SelfSigned } from './self-signed.js'

export interface Proxy {
  url: string
  /** What was asked for: the method, the target, and the client's port. */
  seen: { method: string; target: string; headers: IncomingMessage['headers']; clientPort: number }[]
  /** How many tunnels are open. */
  readonly tunnels: number
}

export interface ProxyOptions {
  /** The value of Proxy-Authorization to insist on. */
  authorization?: string
  certificate?: SelfSigned
  /** Ends the client's connection after each response. */
  isClosing?: boolean
}

/** Runs until the test is finished. */
export async function startProxy({ authorization, certificate, isClosing }: ProxyOptions = {}): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const seen: Proxy['seen'] = []
  let tunnels = 0
  const note = ({ method, url, headers, socket }: IncomingMessage): void => {
    seen.push({ method: method!, target: url!, headers, clientPort: socket.remotePort! })
  }
  const isRefused = ({ headers }: IncomingMessage): boolean =>
    authorization !== undefined && headers['proxy-authorization'] !== authorization

  const onRequest: RequestListener = (request, response) => {
    note(request)
    if (isClosing) response.shouldKeepAlive = false
    if (isRefused(request)) return void response.writeHead(407, { 'proxy-authenticate': 'Basic' }).end()
    const { method, headers, url } = request
    const forwarded = forward(url!, { method: method!, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode!, { 'x-via': 'proxy' })
      answer.pipe(response)
    })
    forwarded.on('error', () => response.writeHead(502).end())
    request.pipe(forwarded)
  }
  const onConnect = (request: IncomingMessage, client: Socket, head: Buffer): void => {
    note(request)
    client.on('error', () => {})
    if (isRefused(request)) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n')
      return
    }
    const [host, port] = request.url!.split(':')
    const target = connect(Number(port), host)
    sockets.add(target)
    target.once('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'))
    target.once('connect', () => {
      tunnels++
      target.once('close', () => {
        tunnels--
        client.destroy()
      })
      client.once('close', () => target.destroy())
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      target.write(head)
      client.pipe(target).pipe(client)
    })
  }

  const server: Server =
    certificate === undefined ? createServer(onRequest) : createSecureServer(certificate, onRequest)
  server.on('connect', onConnect)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    seen,
    get tunnels() {
      return tunnels
    },
  }
}
