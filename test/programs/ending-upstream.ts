/**
 * The program of ../support/ending-upstream.ts: takes its questions, and ends with its parent.
 *
 * A request is for `/number`; the body of the response is that number, a blank and the body of the request.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createSecureServer } from 'node:tls'
import { native } from '../../src/sys/native.js'
import type { End, Listening, Plan, Question, Range, Reply, Seen } from '../support/ending-upstream.js'
import { after } from '../support/moments.js'
import { type Random, randomOf } from '../support/random.js'
import { selfSigned } from '../support/self-signed.js'

const IPPROTO_TCP = 6
const TCP_CORK = 3
const ON = new Uint8Array(Int32Array.of(1).buffer)
const MOST_PIECES = 4
/** Between two pieces. */
const PIECE_MS: Range = [0, 1]
const BACKLOG = 1024

const certificate = await selfSigned()
const directory = mkdtempSync(join(tmpdir(), 'ending-upstream-'))
const listeners: Listener[] = []

/** Any number of the range, with fractions. */
const within = (next: Random, [least, most]: Range): number => least + ((most - least) * next(1e6)) / 1e6
/** A whole one. */
const someOf = (next: Random, [least, most]: Range): number => least + next(most - least + 1)

class Listener {
  readonly plan: Plan
  readonly next: Random
  readonly received: number[] = []
  readonly first: number[] = []
  readonly connections = new Set<Connection>()
  #count = 0
  readonly #server: Server
  readonly #path: string
  #cancelRestart: (() => void) | null = null

  constructor(plan: Plan, index: number) {
    this.plan = plan
    this.next = randomOf(plan.seed)
    this.#path = join(directory, String(index))
    // Of connections whose handshake is not done yet, by the port of the client.
    const carriers = new Map<number, Socket>()
    if (plan.carrier === 'https') {
      this.#server = createSecureServer(certificate, (socket) => {
        const tcp = carriers.get(socket.remotePort!)
        carriers.delete(socket.remotePort!)
        if (tcp !== undefined) this.#accept(socket, tcp)
      })
      this.#server.on('connection', (tcp: Socket) => {
        tcp.on('error', () => {})
        tcp.setNoDelay(true)
        carriers.set(tcp.remotePort!, tcp)
      })
      this.#server.on('tlsClientError', () => {})
    } else {
      this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket, socket))
    }
  }

  async listen(): Promise<Listening> {
    const { carrier } = this.plan
    const where = carrier === 'unix' ? { path: this.#path } : { host: '127.0.0.1', port: 0 }
    await new Promise<void>((resolve) => this.#server.listen({ ...where, backlog: BACKLOG }, resolve))
    if (carrier === 'unix') return { origin: 'http://localhost', socketPath: this.#path }
    return { origin: `${carrier}://127.0.0.1:${(this.#server.address() as AddressInfo).port}` }
  }

  seen(): Seen {
    return { connections: this.#count, open: this.connections.size, received: this.received, first: this.first }
  }

  close(): void {
    this.#server.close()
    for (const connection of this.connections) connection.end('close')
  }

  #accept(socket: Socket, tcp: Socket): void {
    const connection = new Connection(this, socket, tcp)
    this.#count++
    this.connections.add(connection)
    socket.on('close', () => {
      this.connections.delete(connection)
      if (this.connections.size > 0) return
      this.#cancelRestart?.()
      this.#cancelRestart = null
    })
    if (this.#cancelRestart === null) this.#restart()
  }

  #restart(): void {
    const { ending } = this.plan
    if (ending.when !== 'restarted') return
    this.#cancelRestart = after(within(this.next, ending.ms), () => {
      for (const connection of this.connections) connection.restart()
      this.#restart()
    })
  }
}

/** Serves requests that come one after the other. */
class Connection {
  readonly #listener: Listener
  readonly #socket: Socket
  readonly #tcp: Socket
  /** Responses until it ends. */
  readonly #limit: number
  #bytes = ''
  #served = 0
  #isAnswering = false
  /** Whatever comes is not answered any more. */
  #isDeaf = false
  #cancelIdle: (() => void) | null = null

  constructor(listener: Listener, socket: Socket, tcp: Socket) {
    this.#listener = listener
    this.#socket = socket
    this.#tcp = tcp
    const { ending } = listener.plan
    this.#limit = 'served' in ending ? someOf(listener.next, ending.served) : Number.POSITIVE_INFINITY
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', () => {})
  }

  end(how: End): void {
    this.#isDeaf = true
    this.#cancelIdle?.()
    if (how === 'FIN') this.#socket.end()
    else if (how === 'RST' && this.#listener.plan.carrier !== 'unix') this.#tcp.resetAndDestroy()
    else this.#tcp.destroy()
  }

  restart(): void {
    if (this.#served === 0 && !this.#isAnswering) return
    this.#isDeaf = true
    if (!this.#isAnswering) this.end('close')
  }

  #receive(chunk: Buffer): void {
    const { ending } = this.#listener.plan
    this.#cancelIdle?.()
    this.#bytes += chunk.toString('latin1')
    const request = this.#take()
    if (ending.when === 'with the next request' && this.#served > 0) return this.end(ending.how)
    if (request !== null && !this.#isDeaf) this.#answer(request)
  }

  /** The next whole request, as the body of its response. */
  #take(): string | null {
    const bytes = this.#bytes
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return null
    const head = bytes.slice(0, end)
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    if (bytes.length < end + 4 + length) return null
    this.#bytes = bytes.slice(end + 4 + length)
    const number = head.slice(head.indexOf('/') + 1, head.indexOf(' HTTP/1.1'))
    this.#listener.received.push(Number(number))
    if (this.#served === 0) this.#listener.first.push(Number(number))
    return `${number} ${bytes.slice(end + 4, end + 4 + length)}`
  }

  #answer(body: string): void {
    const { framing = 'either', isSplit = false } = this.#listener.plan
    const isChunked = framing === 'chunked' || (framing === 'either' && this.#listener.next(2) === 0)
    const half = body.length >> 1
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`
    const response = isChunked
      ? `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\r\n\r\n`
      : `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    this.#isAnswering = true
    const isWhole = !isSplit || this.#listener.next(2) === 0
    this.#write(response, isWhole ? 1 : 2 + this.#listener.next(MOST_PIECES - 1))
  }

  #write(response: string, pieces: number): void {
    if (pieces === 1) return this.#conclude(response)
    const { next } = this.#listener
    const at = 1 + next(response.length - 1)
    this.#socket.write(response.slice(0, at), 'latin1')
    const rest = response.slice(at)
    after(within(next, PIECE_MS), () => this.#write(rest, rest.length === 1 ? 1 : pieces - 1))
  }

  /** Writes the last piece, after which it is idle or at its end. */
  #conclude(piece: string): void {
    const { plan, next } = this.#listener
    const { ending } = plan
    this.#isAnswering = false
    this.#served++
    const isLast = this.#isDeaf || this.#served >= this.#limit
    this.#isDeaf = isLast
    if (!isLast) {
      this.#socket.write(piece, 'latin1')
      if (ending.when === 'idle') this.#cancelIdle = after(within(next, ending.ms), () => this.end(ending.how))
    } else if (ending.when === 'after a response' && (ending.how !== 'FIN' || ending.ms[1] > 0)) {
      const ms = within(next, ending.ms)
      // TLS may hold it back for a turn.
      this.#socket.write(piece, 'latin1', () => after(ms, () => this.end(ending.how)))
    } else {
      if (ending.when === 'with a response') this.#cork()
      this.#socket.end(piece, 'latin1')
    }
  }

  /** tcp(7): partial segments wait, until the FIN sends them. */
  #cork(): void {
    if (this.#listener.plan.carrier === 'unix') return
    const { fd } = (this.#tcp as unknown as { _handle: { fd: number } })._handle
    if (native().setsockopt(fd, IPPROTO_TCP, TCP_CORK, ON, ON.length) !== 0) throw new Error('no TCP_CORK')
  }
}

async function reply(question: Question): Promise<Omit<Reply, 'call'>> {
  if ('listen' in question) {
    const index = listeners.length
    const listener = new Listener(question.listen, index)
    listeners.push(listener)
    return { listener: index, listening: await listener.listen() }
  }
  if ('see' in question) return { listener: question.see, seen: listeners[question.see]!.seen() }
  listeners[question.close]!.close()
  return { listener: question.close }
}

process.on('message', (question: Question) => {
  void reply(question).then((said) => process.send!({ call: question.call, ...said } satisfies Reply))
})
process.on('disconnect', () => {
  rmSync(directory, { recursive: true, force: true })
  process.exit()
})
