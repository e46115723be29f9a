/** Nobody gets what belongs to another: neither a descriptor nor a byte. */
import type { Socket } from 'node:net'
import fc from 'fast-check'
import type { Dispatcher } from 'undici'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { get, quiet } from '../support/exchange.js'
import { startServer, type TestServer } from '../support/leases.js'
import { bodyOf, filling, type Plan, pathOf, startShufflingServer } from '../support/shuffling-server.js'
import { clientInode } from '../support/socket-table.js'
import { describeNative } from '../support/transport.js'
import { startNodeUpstream, type Upstream } from '../support/upstream.js'

describeNative('two upstreams', () => {
  const ROUNDS = 15

  interface Observed extends Upstream {
    /** The client's sockets, one for each connection. */
    inodes: number[]
  }

  async function startObserved(): Promise<Observed> {
    const inodes: number[] = []
    const upstream: Upstream = await startNodeUpstream((request, response) => {
      inodes.push(clientInode(request.socket.remotePort!, upstream.port))
      response.writeHead(200, { connection: 'close', 'content-length': 2 }).end('ok')
    })
    return { ...upstream, inodes }
  }

  it.each([1024, 3, 2, 1, 0])('never share a descriptor, with maxIdleSockets %i', async (maxIdleSockets) => {
    const [one, two] = await Promise.all([startObserved(), startObserved()])
    const agent = new RecyclingAgent({ maxIdleSockets })
    for (let i = 0; i < ROUNDS; i++) {
      // In changing order and number, so that now one's and now the other's sockets have to go.
      const targets = i % 3 === 0 ? [one, one, two] : i % 3 === 1 ? [two, one] : [two, two, two, one]
      await Promise.all(targets.map(({ origin }) => get(agent, origin)))
      if (i % 2 === 0) await quiet(agent)
    }
    await quiet(agent)
    const { fresh, recycled, idle } = agent.stats.sockets
    await agent.destroy()
    await Promise.all([one.close(), two.close()])
    expect(one.inodes.length + two.inodes.length).toBe(ROUNDS * 3)
    expect(two.inodes.filter((inode) => one.inodes.includes(inode))).toEqual([])
    expect(new Set([...one.inodes, ...two.inodes]).size).toBe(fresh)
    expect(fresh + recycled).toBe(ROUNDS * 3)
    expect(idle).toBeLessThanOrEqual(maxIdleSockets)
    if (maxIdleSockets === 1024) expect(recycled).toBeGreaterThan(fresh)
    if (maxIdleSockets === 0) expect(recycled).toBe(0)
  })
})

/** What one request does besides its plan. */
interface Order extends Omit<Plan, 'id'> {
  upload: { kind: 'none' | 'bytes' | 'iterable'; size: number }
  idempotent: boolean
  /** Aborts when so many bytes of body have come, or at once for -1; `null`: never. */
  abortAt: number | null
  /** Pauses after each chunk, and goes on in the next turn of the loop. */
  pauses: boolean
}

const size = fc.oneof(
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 4000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 4000, max: 65_536 }) },
  { weight: 1, arbitrary: fc.integer({ min: 65_537, max: 300_000 }) },
)

const order: fc.Arbitrary<Order> = fc.record({
  size,
  framing: fc.constantFrom(
    'sized' as const,
    'chunked' as const,
    'sized' as const,
    'chunked' as const,
    'until-close' as const,
  ),
  keep: fc.boolean(),
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 }),
  upload: fc.oneof(
    { weight: 2, arbitrary: fc.constant({ kind: 'none' as const, size: 0 }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('bytes' as const, 'iterable' as const), size }) },
  ),
  idempotent: fc.boolean(),
  abortAt: fc.option(fc.oneof(fc.constant(-1), fc.constant(0), size), { freq: 8 }),
  pauses: fc.boolean(),
})

const scenario = fc.record({
  connections: fc.integer({ min: 1, max: 4 }),
  pipelining: fc.constantFrom(1, 4),
  recycle: fc.constantFrom('dissolve' as const, 'graceful' as const, 'off' as const),
  orders: fc.array(order, { minLength: 60, maxLength: 120, size: 'max' }),
})

/** The upload in pieces, the last of which may be empty. */
async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at <= bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000)
}

/** Sends one request. @returns what is wrong with what came back, or `null` */
function exchange(agent: RecyclingAgent, origin: string, id: number, order: Order): Promise<string | null> {
  const { size, framing, keep, cuts, upload, idempotent, abortAt, pauses } = order
  const plan: Plan = { id, size, framing, keep, cuts }
  const uploaded = filling(id ^ 0x5555, upload.size)
  const expected = bodyOf(plan, uploaded)
  return new Promise((resolve) => {
    let received = 0
    let hasBegun = false
    let isAborted = false
    const abort = (controller: Dispatcher.DispatchController): void => {
      isAborted = true
      controller.abort(new Error('aborted on purpose'))
    }
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        if (isAborted || hasBegun) resolve(`${id}: sent again after ${isAborted ? 'its abort' : 'its head'}`)
        if (abortAt === -1) abort(controller)
      },
      onResponseStart(controller, statusCode, headers) {
        hasBegun = true
        if (statusCode !== 200) resolve(`${id}: status ${statusCode}`)
        if (headers['x-request'] !== String(id)) resolve(`${id}: the head of ${headers['x-request']}`)
        if (abortAt === 0) abort(controller)
      },
      onResponseData(controller, chunk) {
        if (isAborted) resolve(`${id}: data after the abort`)
        if (!chunk.equals(expected.subarray(received, received + chunk.length))) resolve(`${id}: foreign bytes`)
        received += chunk.length
        if (abortAt !== null && received >= abortAt) abort(controller)
        if (!pauses) return
        controller.pause()
        setImmediate(() => controller.resume())
      },
      onResponseEnd() {
        if (isAborted) resolve(`${id}: an end after the abort`)
        resolve(received === expected.length ? null : `${id}: ${received} bytes of ${expected.length}`)
      },
      onResponseError(_controller, error) {
        resolve(isAborted ? null : `${id}: ${error.stack}`)
      },
    }
    const body = upload.kind === 'none' ? null : upload.kind === 'bytes' ? uploaded : pieces(uploaded)
    const method = body === null ? 'GET' : 'PUT'
    const options = { origin, path: pathOf(plan), method, body, idempotent, blocking: false }
    agent.dispatch(options as unknown as Dispatcher.DispatchOptions, handler)
  })
}

describe('a request at the head of a pipeline', () => {
  const GET = { method: 'GET', blocking: false } as const
  const responseTo = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`

  async function* upload(): AsyncGenerator<string> {
    yield 'once'
  }

  it.each([
    ['its response has begun', { method: 'GET', path: '/first', blocking: false }, 'ha'],
    [
      'it has a body that cannot be sent twice',
      { method: 'POST', path: '/first', blocking: false, body: upload() },
      '',
    ],
  ] as const)('is not disturbed by the abort of one behind it when %s', async (_when, options, begun) => {
    let seen = ''
    let first: Socket | undefined
    const server = await startServer((socket) => {
      first ??= socket
      socket.on('data', (bytes: Buffer) => {
        seen += bytes.toString('latin1')
        if (socket !== first) socket.write(responseTo('third'))
        else if (/GET \/first|\r\n0\r\n\r\n/.test(bytes.toString('latin1')))
          socket.write(responseTo('half').slice(0, begun ? -2 : 0))
      })
    })
    const origin = `http://127.0.0.1:${server.port}`
    const agent = new RecyclingAgent({ connections: 1, pipelining: 3 })
    const head = agent.request({ origin, ...options } as unknown as Dispatcher.RequestOptions)
    // Its head has been read, or its body has been sent.
    if (begun) await head
    else await vi.waitFor(() => expect(seen).toContain('\r\n0\r\n\r\n'))
    const abort = new AbortController()
    const second = agent.request({ origin, path: '/second', ...GET, signal: abort.signal })
    const third = agent.request({ origin, path: '/third', ...GET })
    await vi.waitFor(() => expect(seen).toContain('GET /third'))
    seen = ''
    abort.abort()
    await expect(second).rejects.toThrow('aborted')
    first?.write(begun ? 'lf' : responseTo('half'))
    expect(await (await head).body.text()).toBe('half')
    expect(await (await third).body.text()).toBe('third')
    // The one behind the aborted one is sent again, and nothing else.
    expect(seen.match(/^[A-Z]+ \/\w+/gm)).toEqual(['GET /third'])
    await agent.destroy()
    await server.close()
  })

  it('that was aborted while it waited to be sent again is not started again', async () => {
    const server = await startServer((socket) => void socket.resume())
    const origin = `http://127.0.0.1:${server.port}`
    const agent = new RecyclingAgent({ connections: 1, pipelining: 2 })
    const heard: string[] = []
    let connections = 0
    agent.on('connect', () => connections++)
    const bothAreOver = new Promise<void>((resolve) => agent.once('drain', () => resolve()))
    const controllers: Dispatcher.DispatchController[] = []
    const send = (name: string): void => {
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart(controller) {
          heard.push(`${name} starts`)
          controllers.push(controller)
          if (controllers.length === 2) queueMicrotask(abortBoth)
        },
        onResponseError: () => void heard.push(`${name} fails`),
      }
      agent.dispatch({ origin, path: '/', ...GET }, handler)
    }
    const abortBoth = (): void => {
      // The first takes the connection with it; the second waits for another one when it is aborted, too.
      for (const controller of controllers) controller.abort(new Error('on purpose'))
    }
    send('one')
    send('two')
    await bothAreOver
    expect(heard).toEqual(['one starts', 'two starts', 'one fails', 'two fails'])
    await agent.close()
    // Nobody waited for the second one any more.
    expect(connections).toBe(1)
    await server.close()
  })
})

describe('interleaved requests over few connections', () => {
  let server: TestServer
  let id = 0

  beforeAll(async () => {
    server = await startShufflingServer()
  })

  afterAll(() => server.close())

  it('get their own response each, and no byte of another', { timeout: 40_000 }, async () => {
    const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31)
    let requests = 0
    const origin = `http://127.0.0.1:${server.port}`
    const property = fc.asyncProperty(scenario, async ({ orders, ...options }) => {
      const agent = new RecyclingAgent({ ...options, headersTimeout: 5000, bodyTimeout: 5000 })
      const results = await Promise.all(orders.map((order) => exchange(agent, origin, id++, order)))
      await agent.close()
      requests += orders.length
      expect(results.filter((result) => result !== null)).toEqual([])
      expect(agent.stats.sockets.leased).toBe(0)
    })
    try {
      await fc.assert(property, { seed, numRuns: 60, interruptAfterTimeLimit: 20_000 })
    } finally {
      console.info(`${requests} requests, FAST_CHECK_SEED=${seed}`)
    }
    expect(requests).toBeGreaterThan(1000)
  })
})
