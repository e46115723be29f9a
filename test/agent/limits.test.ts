/** Limits of what is received, of what one connection carries, and of how many there are. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { undiciMajor } from '../../build/undici-under-test.js'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

describe.each(dispatchers)('%s', (name, make) => {
  it('refuses a head as large as maxHeaderSize, names and values counted', async () => {
    const { origin } = await rawServer(answering('HTTP/1.1 200 OK\r\na: 123456789\r\ncontent-length: 0\r\n\r\n'))
    const ends = []
    for (const maxHeaderSize of [25, 26]) {
      const { handler, done } = recording('new')
      make({ maxHeaderSize }).dispatch({ origin, path: '/', method: 'GET' }, handler)
      ends.push((await done).at(-1))
    }
    expect(ends).toEqual([
      ['error', 'HeadersOverflowError', 'UND_ERR_HEADERS_OVERFLOW', 'Headers Overflow Error'],
      ['end', []],
    ])
  })

  it('refuses a body larger than maxResponseSize', async () => {
    const { origin } = await rawServer(answering(ok('12345')))
    const ends = []
    for (const maxResponseSize of [4, 5]) {
      const { handler, done } = recording('new')
      make({ maxResponseSize }).dispatch({ origin, path: '/', method: 'GET' }, handler)
      ends.push((await done).slice(-1)[0]!.slice(0, 3))
    }
    expect(ends).toEqual([
      ['error', 'ResponseExceededMaxSizeError', 'UND_ERR_RES_EXCEEDED_MAX_SIZE'],
      ['end', []],
    ])
  })

  it('opens no more than `connections`, tells that it is busy, and emits drain once', async () => {
    let answer: () => void
    const released = new Promise<void>((resolve) => {
      answer = resolve
    })
    const { origin, peers } = await rawServer(async (peer) => {
      for (;;) {
        if ((await peer.request()) === null) return
        await released
        peer.write(ok())
      }
    })
    const agent = make({ connections: 2 })
    let drains = 0
    const drained = new Promise<void>((resolve) => {
      agent.on('drain', () => {
        drains++
        resolve()
      })
    })
    const recordings = Array.from({ length: 5 }, () => recording('new'))
    const returned = recordings.map(({ handler }) => agent.dispatch({ origin, path: '/', method: 'GET' }, handler))
    expect(returned).toEqual([true, false, false, false, false])
    answer!()
    for (const { done } of recordings) expect((await done).at(-1)).toEqual(['end', []])
    await drained
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(drains).toBe(1)
    expect(peers).toHaveLength(2)
  })

  it('always has room without `connections`', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = make()
    agent.on('drain', () => expect.unreachable())
    const recordings = Array.from({ length: 4 }, () => recording('new'))
    for (const { handler } of recordings) {
      expect(agent.dispatch({ origin, path: '/', method: 'GET' }, handler)).toBe(true)
    }
    for (const { done } of recordings) await done
    expect(peers).toHaveLength(4)
  })

  it('closes each connection with pipelining 0', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = make({ pipelining: 0 })
    for (let i = 0; i < 2; i++) {
      const { handler, done } = recording('new')
      agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
      await done
    }
    expect(peers).toHaveLength(2)
    for (const peer of peers) expect(peer.requests[0]!.fields.connection).toBe('close')
  })

  it.each([
    ['sends idempotent requests behind each other', 'GET', false, 3],
    ['waits for the head of a blocking request', 'GET', true, 1],
    ['sends nothing behind a request that is not idempotent', 'POST', false, 1],
  ])('%s with pipelining 3', async (_what, method, blocking, atOnce) => {
    const { origin, peer } = await rawServer(() => {})
    const agent = make({ connections: 1, pipelining: 3 })
    const recordings = Array.from({ length: 4 }, () => recording('new'))
    for (const [i, { handler }] of recordings.entries()) {
      agent.dispatch({ origin, path: `/${i}`, method, blocking }, handler)
    }
    const server = await peer(0)
    for (let i = 0; i < 4; i++) {
      await server.request()
      await new Promise((resolve) => setTimeout(resolve, 10))
      const waiting = server.pending.match(/HTTP\/1\.1\r\n/g)?.length ?? 0
      expect(waiting).toBe(Math.min(atOnce - 1, 3 - i))
      server.write(ok(`${i}`))
    }
    for (const [i, { done }] of recordings.entries()) expect((await done).at(-2)).toEqual(['data', `${i}`])
  })

  it.each<[pipelining: unknown, atOnce: number]>([
    [true, 1],
    [false, 1],
    [Number.NaN, 1],
    ['2', 2],
    [Number.POSITIVE_INFINITY, 5],
  ])('takes pipelining %s, and writes %d requests at once', async (pipelining, most) => {
    // undici's Agent copies its options as JSON, where Infinity becomes null: the default.
    const atOnce = name !== 'RecyclingAgent' && pipelining === Number.POSITIVE_INFINITY ? 1 : most
    const { origin, peer } = await rawServer(() => {})
    const agent = make({ connections: 1, pipelining: pipelining as number })
    for (let i = 0; i < 5; i++) {
      agent.dispatch({ origin, path: '/', method: 'GET', blocking: false }, recording('new').handler)
    }
    const server = await peer(0)
    await server.received(new RegExp(`(GET .*\\r\\n\\r\\n){${atOnce}}$`, 's'))
    await setImmediate()
    expect(server.pending.match(/^GET /gm)).toHaveLength(atOnce)
    await agent.destroy()
  })

  it('fails the first of a pipeline with its connection, and sends the others again', async () => {
    const { origin, peers } = await rawServer(async (peer) => {
      if (peer.index > 0) return answering(ok())(peer)
      await peer.received(/GET \/2 .*\r\n\r\n$/s)
      peer.socket.end()
    })
    const agent = make({ connections: 1, pipelining: 3 })
    const recordings = Array.from({ length: 3 }, () => recording('new'))
    for (const [i, { handler }] of recordings.entries()) {
      agent.dispatch({ origin, path: `/${i}`, method: 'GET', blocking: false }, handler)
    }
    const ends = []
    for (const { done } of recordings) ends.push((await done).at(-1)!.slice(0, 3))
    expect(ends).toEqual([
      ['error', 'SocketError', 'UND_ERR_SOCKET'],
      ['end', []],
      ['end', []],
    ])
    expect(recordings[1]!.events.filter(([event]) => event === 'start')).toHaveLength(2)
    expect(peers[1]!.requests.map(({ head }) => head.split(' ')[1])).toEqual(['/1', '/2'])
  })

  it('ends a connection after a HEAD request, unless it may not', async () => {
    const { origin, peers } = await rawServer(answering('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'))
    const agent = make({ connections: 1 })
    for (const reset of [undefined, false, false]) {
      const { handler, done } = recording('new')
      agent.dispatch({ origin, path: '/', method: 'HEAD', ...(reset === undefined ? {} : { reset }) }, handler)
      expect((await done).at(-1)).toEqual(['end', []])
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(peers.map(({ requests }) => requests.length)).toEqual([1, 2])
  })

  it('opens no more origins than maxOrigins', async () => {
    const { origin, port } = await rawServer(answering(ok()))
    const agent = make({ maxOrigins: 1 })
    const first = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, first.handler)
    const second = recording('new')
    agent.dispatch({ origin: `http://localhost:${port}`, path: '/', method: 'GET' }, second.handler)
    expect(second.events[0]!.slice(0, 3)).toEqual(['error', 'MaxOriginsReachedError', 'UND_ERR_MAX_ORIGINS_REACHED'])
    await first.done
  })

  it('sends no more than maxRequestsPerClient on a connection', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = make({ connections: 1, maxRequestsPerClient: 2 })
    for (let i = 0; i < 7; i++) {
      const { handler, done } = recording('new')
      agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
      await done
    }
    // undici 8 ends a connection with the Nth request, 7 with the one after it.
    const most = name === 'RecyclingAgent' || undiciMajor === 8 ? 2 : 3
    expect(peers[0]!.requests.map(({ fields }) => fields.connection)).toEqual(
      Array.from({ length: most }, (_, i) => (i === most - 1 ? 'close' : 'keep-alive')),
    )
  })
})

it.each([1, undefined])(
  'forgets origins that it has nothing to do with any more (maxOrigins: %s)',
  async (maxOrigins) => {
    const { port, peers } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.end(ok('ok', 'connection: close\r\n'))
    })
    const lookup = (_host: string, _options: object, done: (error: null, addresses: object[]) => void): void =>
      done(null, [{ address: '127.0.0.1', family: 4 }])
    const agent = recyclingAgent({ maxOrigins, connect: { lookup: lookup as never } } as RecyclingAgentOptions)
    // Twice as many as it remembers before it looks for some to forget.
    for (let i = 0; i < 130; i++) {
      const { handler, done } = recording('new')
      agent.dispatch({ origin: `http://${i}.test:${port}`, path: '/', method: 'GET' }, handler)
      expect((await done).at(-1)).toEqual(['end', []])
      while (Object.keys(agent.stats).length > 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(peers).toHaveLength(130)
  },
)

it('takes both forms of an origin for the same one', async () => {
  const { origin, peers } = await rawServer(answering(ok()))
  const agent = recyclingAgent({ maxOrigins: 1, connections: 1 })
  for (const form of [origin, `${origin}/`, new URL(origin)]) {
    const { handler, done } = recording('new')
    agent.dispatch({ origin: form, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
  }
  expect(peers).toHaveLength(1)
})
