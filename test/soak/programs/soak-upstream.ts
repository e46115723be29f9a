/**
 * The upstream of the soak: answers as the path of a request says, rightly or wrongly, over TCP and over TLS.
 *
 * A path is `/kind/id/size`; see ../soak-protocol.ts. Sends its ports; answers every message with what is open; ends with
 * its parent.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer } from 'node:tls'
import { selfSigned } from '../../support/self-signed.js'
import { bodyOf, LATE_MS, SLOW_MS } from '../soak-protocol.js'

const BACKLOG = 4096
const CRLF2 = Buffer.from('\r\n\r\n')
const HEAD = 'HTTP/1.1 200 OK\r\n'

interface Asked {
  kind: string
  id: number
  size: number
  /** Of an upload. */
  body: Buffer
}

/** A connection: its requests come one after the other. */
class Exchange {
  readonly #socket: Socket
  readonly #tcp: Socket
  #bytes: Buffer | null = null
  /** Whatever comes is not read any more: the rest of an upload, say. */
  #isOver = false

  constructor(socket: Socket, tcp: Socket) {
    this.#socket = socket
    this.#tcp = tcp
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', () => {})
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return
    const bytes = this.#bytes === null ? chunk : Buffer.concat([this.#bytes, chunk])
    this.#bytes = null
    const end = bytes.indexOf(CRLF2)
    if (end < 0) {
      this.#bytes = bytes
      return
    }
    const head = bytes.toString('latin1', 0, end)
    const [, kind = '', id, size] = head.slice(0, head.indexOf(' HTTP')).split('/')
    const asked = { kind, id: Number(id), size: Number(size), body: Buffer.alloc(0) }
    if (head.startsWith('GET')) return this.#answer(asked)
    // What is wrong with an upload shows before its end.
    this.#isOver = kind === 'upload-rst' || kind === 'early'
    if (this.#isOver) return this.#answer(asked)
    const body = head.includes('chunked') ? dechunked(bytes, end + 4) : sized(bytes, end + 4, head)
    if (body === null) this.#bytes = bytes
    else this.#answer({ ...asked, body })
  }

  #answer({ kind, id, size, body }: Asked): void {
    const socket = this.#socket
    const content = (): Buffer => bodyOf(id, size)
    const response = (fields: string, bytes: Buffer): void => {
      socket.write(Buffer.concat([Buffer.from(HEAD + fields, 'latin1'), bytes]))
    }
    const length = `content-length: ${size}\r\n`
    switch (kind) {
      case 'close':
        response(`connection: close\r\n${length}\r\n`, content())
        return void socket.end()
      case 'keep':
        return response(`${length}\r\n`, content())
      case 'chunked-close':
        response('connection: close\r\ntransfer-encoding: chunked\r\n\r\n', chunked(content()))
        return void socket.end()
      case 'chunked':
        return response('transfer-encoding: chunked\r\n\r\n', chunked(content()))
      case 'until-close':
        response('\r\n', content())
        return void socket.end()
      case 'slow':
        response(`${length}\r\n`, content().subarray(0, size >> 1))
        return void setTimeout(() => socket.write(content().subarray(size >> 1)), SLOW_MS)
      case 'echo':
        return response(`content-length: ${body.length}\r\n\r\n`, body)
      case 'echo-close':
        response(`connection: close\r\ncontent-length: ${body.length}\r\n\r\n`, body)
        return void socket.end()
      case 'upload-rst':
        return void this.#tcp.resetAndDestroy()
      case 'early':
        response(`connection: close\r\n${length}\r\n`, content())
        return void socket.end()
      case 'more':
        return response(`${length}\r\n`, Buffer.concat([content(), Buffer.from('HTTP/1.1 200 OK\r\n\r\n')]))
      case 'head-fin':
        return void socket.end(`${HEAD}content-le`)
      case 'head-rst':
        socket.write(`${HEAD}content-le`, () => this.#tcp.resetAndDestroy())
        return
      case 'body-fin':
        response(`${length}\r\n`, content().subarray(0, size >> 1))
        return void socket.end()
      case 'body-fin-close':
        response(`connection: close\r\n${length}\r\n`, content().subarray(0, size >> 1))
        return void socket.end()
      case 'body-rst':
        response(`${length}\r\n`, content().subarray(0, size >> 1))
        return void setTimeout(() => this.#tcp.resetAndDestroy(), SLOW_MS)
      case 'chunked-fin':
        response('transfer-encoding: chunked\r\n\r\n', chunked(content()).subarray(0, -5))
        return void socket.end()
      case 'chunked-garbage':
        response('transfer-encoding: chunked\r\n\r\n', Buffer.concat([chunked(content()).subarray(0, -5), GARBAGE]))
        return
      case 'garbage':
        return void socket.write(GARBAGE)
      case 'late-head':
        return void setTimeout(() => socket.destroy(), LATE_MS)
      case 'late-body':
        response(`${length}\r\n`, content().subarray(0, size >> 1))
        return void setTimeout(() => socket.destroy(), LATE_MS)
      default:
        throw new Error(`unknown kind ${kind}`)
    }
  }
}

const GARBAGE = Buffer.from('\x00\xffnot what anybody expects\r\n\r\n', 'latin1')

function sized(bytes: Buffer, from: number, head: string): Buffer | null {
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return bytes.length < from + length ? null : bytes.subarray(from, from + length)
}

function dechunked(bytes: Buffer, from: number): Buffer | null {
  const parts: Buffer[] = []
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    at = lineEnd + 2
    if (bytes.length < at + size + 2) return null
    if (size === 0) return Buffer.concat(parts)
    parts.push(bytes.subarray(at, at + size))
    at += size + 2
  }
}

/** In three chunks. */
function chunked(content: Buffer): Buffer {
  const third = Math.max(1, Math.floor(content.length / 3))
  const parts: Buffer[] = []
  for (let at = 0, i = 0; at < content.length; i++) {
    const part = content.subarray(at, i === 2 ? content.length : at + third)
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'))
    at += part.length
  }
  parts.push(Buffer.from('0\r\n\r\n'))
  return Buffer.concat(parts)
}

let open = 0

function counted<S extends Server>(server: S): S {
  server.on('connection', (socket: Socket) => {
    open++
    socket.on('close', () => open--)
  })
  return server
}

async function portOf(server: Server): Promise<number> {
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const plain = (): Server => counted(createServer({ noDelay: true }, (socket) => void new Exchange(socket, socket)))

/** TLS sockets do not tell which socket is below them, but their ports do. */
async function secure(): Promise<Server> {
  const below = new Map<number | undefined, Socket>()
  const server = createSecureServer({ ...(await selfSigned()), noDelay: true }, (socket) => {
    new Exchange(socket, below.get(socket.remotePort) ?? socket)
  })
  server.on('tlsClientError', () => {})
  server.on('connection', (socket: Socket) => {
    const port = socket.remotePort
    below.set(port, socket)
    socket.on('close', () => below.get(port) === socket && below.delete(port))
  })
  return counted(server)
}

const ports = {
  closing: await portOf(plain()),
  mixed: await portOf(plain()),
  secure: await portOf(await secure()),
}
process.on('message', () => process.send?.({ open }))
process.on('disconnect', () => process.exit())
process.send?.(ports)
