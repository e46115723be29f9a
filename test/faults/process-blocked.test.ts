/**
 * A program that does not come back to its event loop for longer than its timeouts: what has arrived meanwhile is in
 * time. The upstream is a thread of its own, which is not blocked.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import { recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { type Event, recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { silentListener } from '../support/silent-listener.js'
import { isNative } from '../support/transport.js'

const TIMEOUT_MS = 1000
/** With RECYCLING_AGENT_SOAK set, five seconds. */
const BLOCKED_MS = process.env.RECYCLING_AGENT_SOAK ? 5000 : 1500

/** Answers what its parent calls for, by path: a head, a piece of a body; and accepts connections all the while. */
const upstreamCode = `
const { parentPort, workerData } = require('node:worker_threads')
const { createServer } = require(workerData.secure ? 'node:https' : 'node:http')
let held = []
const server = createServer(workerData.secure ?? {}, (request, response) => {
  if (request.url === '/body') {
    response.writeHead(200, { 'content-length': 6 }).write('one')
    held.push(() => response.end('two'))
  } else if (request.url === '/head') {
    held.push(() => response.end('onetwo'))
  } else if (request.url === '/closing-later') {
    response.end('onetwo')
    setTimeout(() => request.socket.end(), 100)
  } else {
    response.end('onetwo')
  }
  parentPort.postMessage('held')
})
parentPort.on('message', (when) => {
  // Ended well within the time for which the other thread is blocked.
  setTimeout(() => { for (const answer of held) answer(); held = [] }, when)
})
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => parentPort.postMessage(server.address().port))
`

class Upstream {
  readonly #worker: Worker
  readonly origin: string
  #held = 0

  private constructor(worker: Worker, origin: string) {
    this.#worker = worker
    this.origin = origin
    worker.on('message', () => this.#held++)
  }

  static async start(secure?: Certificate): Promise<Upstream> {
    const worker = new Worker(upstreamCode, { eval: true, workerData: { secure } })
    const [port] = await once(worker, 'message')
    return new Upstream(worker, `${secure === undefined ? 'http' : 'https'}://127.0.0.1:${port}`)
  }

  /** Resolves when so many requests have arrived since the last call. */
  async holds(count: number): Promise<void> {
    while (this.#held < count) await once(this.#worker, 'message')
    this.#held = 0
  }

  answerWithin(ms: number): void {
    this.#worker.postMessage(ms)
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** Without work for a core, which other tests may need. */
function block(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MS)
}

let authority: Authority
const upstreams: Partial<Record<'http' | 'https', Upstream>> = {}

beforeAll(async () => {
  authority = await Authority.create()
  upstreams.http = await Upstream.start()
  upstreams.https = await Upstream.start(await authority.issue(['127.0.0.1']))
})

afterAll(async () => {
  await upstreams.http?.stop()
  await upstreams.https?.stop()
})

const options = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS }

describe.each(['http', 'https'] as const)('a blocked event loop, over %s,', (protocol) => {
  // More than one batch of epoll_wait(2).
  const many = protocol === 'http' ? 700 : 50

  it.each(['/head', '/body'])('costs no request whose answer has arrived (%s)', async (path) => {
    const upstream = upstreams[protocol]!
    const agent = recyclingAgent({ ...options, connect: { ca: authority.ca, timeout: 10_000 } })
    const recordings = Array.from({ length: many }, () => recording('new'))
    for (const { handler } of recordings)
      agent.dispatch({ origin: upstream.origin, path, method: 'GET', headersTimeout: 0, bodyTimeout: 0 }, handler)
    // All are connected now; what follows is within the timeouts.
    await upstream.holds(many)
    upstream.answerWithin(0)
    for (const { done } of recordings) expect((await done).at(-1)).toEqual(['end', []])
    const timed = Array.from({ length: many }, () => recording('new'))
    for (const { handler } of timed) agent.dispatch({ origin: upstream.origin, path, method: 'GET' }, handler)
    await upstream.holds(many)
    if (path === '/body')
      while (timed.some(({ events }) => events.at(-1)?.[0] !== 'data'))
        await new Promise((resolve) => setImmediate(resolve))
    upstream.answerWithin(100)
    block()
    const ends = new Map<string, number>()
    for (const { done } of timed) {
      const end = String((await done).at(-1)![1])
      ends.set(end, (ends.get(end) ?? 0) + 1)
    }
    expect(Object.fromEntries(ends)).toEqual({ '': many })
  })

  it('costs no request that is being connected', async () => {
    const upstream = upstreams[protocol]!
    const agent = recyclingAgent({ ...options, connect: { ca: authority.ca, timeout: TIMEOUT_MS } })
    const { handler, done } = recording('new')
    agent.dispatch({ origin: upstream.origin, path: '/', method: 'GET' }, handler)
    // The TCP handshake is the kernel's; that of TLS needs this thread, and what follows it may wait in Node for the check
    // phase (TLSWrap::EncOut).
    if (protocol === 'https') {
      await once(agent, 'connect')
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    block()
    expect((await done).at(-1)).toEqual(['end', []])
  })
})

describe.each(['http', 'https'] as const)('a blocked event loop, over %s, with an idle connection', (protocol) => {
  it.each([
    ['whose time is up meanwhile', '/'],
    ['that the peer closes meanwhile', '/closing-later'],
  ])('%s, costs no request that is sent behind it', async (_what, path) => {
    const agent = recyclingAgent({ keepAliveTimeout: TIMEOUT_MS, connect: { ca: authority.ca } })
    const send = (path: string): Promise<Event[]> => {
      const { handler, done } = recording('new')
      agent.dispatch({ origin: upstreams[protocol]!.origin, path, method: 'GET' }, handler)
      return done
    }
    expect((await send(path)).at(-1)).toEqual(['end', []])
    block()
    expect((await send('/')).at(-1)).toEqual(['end', []])
  })
})

it('a blocked event loop does not keep a timeout from being one when nothing has arrived', async () => {
  const upstream = upstreams.http!
  const agent = recyclingAgent({ ...options, connect: { ca: authority.ca } })
  const { handler, done } = recording('new')
  await upstream.holds(0)
  agent.dispatch({ origin: upstream.origin, path: '/head', method: 'GET' }, handler)
  await upstream.holds(1)
  block()
  expect((await done).at(-1)?.[1]).toBe('HeadersTimeoutError')
  upstream.answerWithin(0)
})

describe('a connection whose keepAliveTimeout has passed meanwhile', () => {
  it.each(['http', 'https'] as const)('is not used again, though its timer has not fired (%s)', async (protocol) => {
    const agent = recyclingAgent({ connect: { ca: authority.ca }, keepAliveMaxTimeout: TIMEOUT_MS })
    const { origin } = upstreams[protocol]!
    const send = async (): Promise<Event[]> => {
      const { handler, done } = recording('new')
      agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
      return done
    }
    const log: string[] = []
    agent.on('connect', () => log.push('connect'))
    agent.on('disconnect', (_origin, _targets, { message }) => log.push(message))
    await send()
    block()
    await send()
    expect(log).toEqual(['connect', 'socket idle timeout', 'connect'])
  })
})
/** The thread sleeps, and the threads of the resolver do not. */
const sleep = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

const moments: [when: string, act: (work: () => void) => unknown][] = [
  ['in the turn of the request', (work) => work()],
  ['in the next microtask', (work) => process.nextTick(work)],
  ['in the next turn', (work) => setImmediate(work)],
  ['2 ms later', (work) => setTimeout(work, 2)],
  ['4 ms later', (work) => setTimeout(work, 4)],
]

describe.each(isNative ? (['native', 'net'] as const) : (['net'] as const))(
  'an event loop that is blocked for longer than connectTimeout, over %s,',
  (transport) => {
    it.each([
      ['that of the system', undefined],
      [
        "a caller's own",
        (_host: string, _options: object, callback: (error: Error) => void): void =>
          void setTimeout(callback, 5, Object.assign(new Error('no such host'), { code: 'ENOTFOUND' })),
      ],
    ])('does not hide what the resolver has said: %s', async (_what, lookup) => {
      const agent = recyclingAgent({
        transport,
        connectTimeout: 1,
        ...(lookup !== undefined && { connect: { lookup: lookup as never } }),
      })
      const failed = get(agent, 'http://no-such-host.invalid').catch(({ code }) => code)
      sleep(1000)
      expect(await failed).toMatch(/^(ENOTFOUND|EAI_AGAIN)$/)
    })

    it.each(moments)('costs no TLS handshake that the server takes part in at once: blocked %s', async (_when, act) => {
      const agent = recyclingAgent({ transport, connectTimeout: 150, connect: { ca: authority.ca } })
      const answered = get(agent, upstreams.https!.origin, '/')
      act(() => sleep(400))
      expect(await answered).toBe('onetwo')
    })

    it('costs no TLS handshake when it is blocked in every turn', async () => {
      const agent = recyclingAgent({ transport, connectTimeout: 100, connect: { ca: authority.ca } })
      let isOver = false
      const answered = get(agent, upstreams.https!.origin, '/').finally(() => {
        isOver = true
      })
      while (!isOver) {
        sleep(150)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(await answered).toBe('onetwo')
    })

    it('does not make an attempt endless to which nobody answers', async () => {
      const { port } = await rawServer(answering(ok()))
      await silentListener('127.0.0.2', port)
      const agent = recyclingAgent({ transport, connectTimeout: 100 })
      const failed = get(agent, `http://127.0.0.2:${port}`).catch(({ code }) => code)
      let isOver = false
      void failed.then(() => {
        isOver = true
      })
      for (let i = 0; i < 10 && !isOver; i++) {
        sleep(150)
        await new Promise((resolve) => setImmediate(resolve))
      }
      expect(isOver).toBe(true)
      expect(await failed).toBe('UND_ERR_CONNECT_TIMEOUT')
    })
  },
)
