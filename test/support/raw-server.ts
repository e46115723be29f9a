/** A server that sees the bytes of requests as they come, and answers with bytes as they are written down. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createServer as createSecureServer, type TlsOptions } from 'node:tls'
import { onTestFinished } from 'vitest'

/** A request as it was on the wire. */
export interface RawRequest {
  /** Request line and field lines. */
  head: string
  /** By lower-case name; of several lines of one name the last. */
  fields: Record<string, string>
  /** The content, chunks put together. */
  body: string
}

/** One accepted connection. */
export class RawPeer {
  readonly socket: Socket
  /** The TCP socket, which with TLS is another one. */
  readonly tcp: Socket
  /** From 0, in the order in which connections were accepted. */
  readonly index: number
  readonly requests: RawRequest[] = []
  #bytes = ''
  #isOver = false
  #wake: (() => void)[] = []

  constructor(socket: Socket, index: number, tcp: Socket = socket) {
    this.socket = socket
    this.tcp = tcp
    this.index = index
    socket.on('data', (chunk) => {
      this.#bytes += chunk.toString('latin1')
      this.#tell()
    })
    socket.on('error', () => {})
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#isOver = true
        this.#tell()
      })
    }
  }

  /** Everything received that {@link request} has not taken. */
  get pending(): string {
    return this.#bytes
  }

  write(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** The next whole request; `null` when the connection ends before that. */
  async request(): Promise<RawRequest | null> {
    for (;;) {
      const request = this.#take()
      if (request !== null) {
        this.requests.push(request)
        return request
      }
      if (this.#isOver) return null
      await this.#change()
    }
  }

  /** Resolves when the bytes received match. */
  async received(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#bytes)) {
      if (this.#isOver) throw new Error(`connection ended after ${JSON.stringify(this.#bytes)}`)
      await this.#change()
    }
  }

  /** Resolves when the other side has ended the connection, in whichever way. */
  async ended(): Promise<void> {
    while (!this.#isOver) await this.#change()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve))
  }

  #tell(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }

  #take(): RawRequest | null {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return null
    const head = this.#bytes.slice(0, end)
    const fields: Record<string, string> = {}
    for (const line of head.split('\r\n').slice(1)) {
      const colon = line.indexOf(':')
      fields[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    const rest = this.#bytes.slice(end + 4)
    if (fields['transfer-encoding'] === 'chunked') {
      let body = ''
      let at = 0
      for (;;) {
        const lineEnd = rest.indexOf('\r\n', at)
        if (lineEnd < 0) return null
        const size = Number.parseInt(rest.slice(at, lineEnd), 16)
        at = lineEnd + 2
        if (rest.length < at + size + 2) return null
        body += rest.slice(at, at + size)
        at += size + 2
        if (size === 0) break
      }
      this.#bytes = rest.slice(at)
      return { head, fields, body }
    }
    const length = Number(fields['content-length'] ?? 0)
    if (rest.length < length) return null
    this.#bytes = rest.slice(length)
    return { head, fields, body: rest.slice(0, length) }
  }
}

export interface RawServer {
  /** With `127.0.0.1`, unless another host or a path was asked for. */
  origin: string
  port: number
  peers: RawPeer[]
  /** All requests that were taken, over all connections. */
  readonly requests: RawRequest[]
  /** Resolves with the connection of that index. */
  peer(index: number): Promise<RawPeer>
}

export interface RawServerOptions {
  host?: string
  path?: string
  port?: number
  /** Takes connections only as long as they are read. */
  pauseOnConnect?: boolean
  /** Speaks TLS: a connection counts when its handshake is done. */
  secure?: TlsOptions
}

/** Serves each connection with `serve`, until the test is finished. */
export async function rawServer(
  serve: (peer: RawPeer) => unknown,
  { host = '127.0.0.1', path, port = 0, pauseOnConnect = false, secure }: RawServerOptions = {},
): Promise<RawServer> {
  const peers: RawPeer[] = []
  const sockets = new Set<Socket>()
  const accept = (socket: Socket): void => {
    const tcp = [...sockets].find(({ remotePort }) => remotePort === socket.remotePort)
    const peer = new RawPeer(socket, peers.length, secure === undefined ? socket : tcp)
    socket.on('end', () => socket.end())
    peers.push(peer)
    server.emit('peer')
    void serve(peer)
  }
  const options = { allowHalfOpen: true, pauseOnConnect }
  const server =
    secure === undefined ? createServer(options, accept) : createSecureServer({ ...options, ...secure }, accept)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(path === undefined ? { host, port } : { path })
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const { socket } of peers) socket.destroy()
    // Handshakes that were never done.
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const bound = server.address()
  const boundPort = typeof bound === 'string' ? 80 : (bound as AddressInfo).port
  return {
    origin: `${secure === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
    port: boundPort,
    peers,
    get requests() {
      return peers.flatMap(({ requests }) => requests)
    },
    async peer(index) {
      while (peers.length <= index) await once(server, 'peer')
      return peers[index]!
    },
  }
}

/** Answers every request of a connection with the same bytes. */
export const answering =
  (response: string) =>
  async (peer: RawPeer): Promise<void> => {
    while ((await peer.request()) !== null) peer.write(response)
  }

/** A response of known length. */
export const ok = (body = 'ok', fields = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${fields}\r\n${body}`
