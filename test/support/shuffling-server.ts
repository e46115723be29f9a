/**
 * A raw HTTP/1.1 server that answers each request by the plan in its own path, in writes that are cut at random: what
 * belongs together arrives apart, and what is apart arrives together.
 */
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { startServer, type TestServer } from './leases.js'

export interface Plan {
  id: number
  /** Bytes of the response's body behind the echoed upload. */
  size: number
  framing: 'sized' | 'chunked' | 'until-close'
  /** The connection is kept after the response; impossible with until-close. */
  keep: boolean
  /** Where the response is cut, as fractions of its length. */
  cuts: number[]
}

export const pathOf = (plan: Plan): string => `/${Buffer.from(JSON.stringify(plan)).toString('base64url')}`
const planOf = (path: string): Plan => JSON.parse(Buffer.from(path.slice(1), 'base64url').toString())

/** Bytes that say, every four of them, whose they are and where they belong. */
export function filling(id: number, size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let i = 0; i < words.length; i++) words[i] = (Math.imul(id + 1, 2_654_435_761) ^ Math.imul(i, 40_503)) >>> 0
  return Buffer.from(words.buffer, 0, size)
}

/** The body that answers a request. */
export function bodyOf({ id, size }: Plan, upload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`<${id}>`), upload, filling(id, size), Buffer.from(`</${id}>`)])
}

export function startShufflingServer(): Promise<TestServer> {
  return startServer((socket) => void serve(socket).catch(() => socket.destroy()), { allowHalfOpen: true })
}

/** What comes from the client, piece by piece as it is asked for. */
class Input {
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(socket: Socket) {
    this.#chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  }

  async take(length: number): Promise<Buffer> {
    while (this.#rest.length < length) if (!(await this.#more())) throw new Error('the client has gone')
    const taken = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return taken
  }

  /** @returns the text before `end`, which is taken, too; `null` when the client has nothing more to say */
  async takeUntil(end: string): Promise<string | null> {
    let at = this.#rest.indexOf(end)
    while (at < 0) {
      if (!(await this.#more())) return null
      at = this.#rest.indexOf(end)
    }
    const text = this.#rest.toString('latin1', 0, at)
    this.#rest = this.#rest.subarray(at + end.length)
    return text
  }

  /** Reads on without using it: to close with unread bytes would reset what is still on its way to the client. */
  async drain(): Promise<void> {
    while (await this.#more()) this.#rest = Buffer.alloc(0)
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next()
    if (done) return false
    this.#rest = Buffer.concat([this.#rest, value])
    return true
  }
}

async function serve(socket: Socket): Promise<void> {
  socket.setNoDelay(true)
  const input = new Input(socket)
  for (;;) {
    const head = await input.takeUntil('\r\n\r\n')
    if (head === null) break
    const plan = planOf(head.split(' ', 2)[1]!)
    const body = bodyOf(plan, await readUpload(input, head))
    await writeCut(socket, formatResponse(plan, body), plan.cuts)
    if (plan.keep && plan.framing !== 'until-close') continue
    socket.end()
    await input.drain()
    break
  }
  socket.end()
}

async function readUpload(input: Input, head: string): Promise<Buffer> {
  const [, length] = /^content-length: (\d+)\r?$/im.exec(head) ?? []
  if (length !== undefined) return input.take(Number(length))
  if (!/^transfer-encoding: chunked\r?$/im.test(head)) return Buffer.alloc(0)
  const chunks: Buffer[] = []
  for (;;) {
    const size = Number.parseInt((await input.takeUntil('\r\n')) ?? '0', 16)
    chunks.push(await input.take(size))
    await input.take(2)
    if (size === 0) return Buffer.concat(chunks)
  }
}

function formatResponse({ id, framing, keep, cuts }: Plan, body: Buffer): Buffer {
  const connection = keep && framing !== 'until-close' ? 'keep-alive' : 'close'
  const head = `HTTP/1.1 200 OK\r\nx-request: ${id}\r\nconnection: ${connection}\r\n`
  if (framing === 'sized') return Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body])
  if (framing === 'until-close') return Buffer.concat([Buffer.from(`${head}\r\n`), body])
  const chunks = cut(body, cuts).map((chunk) => [
    Buffer.from(`${chunk.length.toString(16)}\r\n`),
    chunk,
    Buffer.from('\r\n'),
  ])
  const start = Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`)
  return Buffer.concat([start, ...chunks.flat(), Buffer.from('0\r\n\r\n')])
}

/** No piece is empty. */
function cut(bytes: Buffer, cuts: number[]): Buffer[] {
  const places = [...new Set([0, ...cuts.map((place) => Math.floor(place * bytes.length)), bytes.length])]
  places.sort((a, b) => a - b)
  return places.slice(1).map((place, i) => bytes.subarray(places[i], place))
}

async function writeCut(socket: Socket, bytes: Buffer, cuts: number[]): Promise<void> {
  for (const piece of cut(bytes, cuts)) {
    if (socket.destroyed) throw new Error('the client has gone')
    socket.write(piece)
    await setImmediate()
  }
}
