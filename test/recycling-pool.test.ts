/** RecyclingPool on its own, next to undici's Pool, and within the dispatchers of undici that take a factory. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { Agent, BalancedPool, type Dispatcher, errors, Pool, RetryAgent, RoundRobinPool, request } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RecyclingPool, type RecyclingPoolOptions } from '../src/index.js'
import { expectNoDescriptorLeft } from './support/dispatchers.js'
import { recording } from './support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from './support/raw-server.js'
import { itNative } from './support/transport.js'

expectNoDescriptorLeft()

function ending<D extends Dispatcher>(dispatcher: D): D {
  onTestFinished(async () => {
    await dispatcher.destroy()
  })
  return dispatcher
}

const recyclingPool = (origin: string | URL, options?: RecyclingPoolOptions): RecyclingPool =>
  ending(new RecyclingPool(origin, options))

/** What both pools are for those who do not look closely. */
type AnyPool = Dispatcher & { stats: RecyclingPool['stats']; closed: boolean; destroyed: boolean }
type MakePool = (origin: string | URL, options?: RecyclingPoolOptions) => AnyPool

const pools: [name: string, make: MakePool][] = [
  ["undici's Pool", (origin, options) => ending(new Pool(origin, options as Pool.Options)) as unknown as AnyPool],
  ['RecyclingPool', recyclingPool],
]

/** Answers with the method, the path and the body of the request. */
async function echo(peer: RawPeer): Promise<void> {
  for (;;) {
    const received = await peer.request()
    if (received === null) return
    peer.write(ok(`${received.head.split(' ').slice(0, 2).join(' ')} ${received.body}`))
  }
}

/** undici's types ask for an origin, which a pool does not. */
const at = (path: string, method: Dispatcher.HttpMethod = 'GET'): Dispatcher.RequestOptions =>
  ({ path, method }) as Dispatcher.RequestOptions

const textOf = async (response: Promise<Dispatcher.ResponseData>): Promise<string> => (await response).body.text()

/** A port where nobody listens. */
async function deadOrigin(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}

describe.each(pools)('%s', (_name, make) => {
  it('sends requests to its origin, whatever theirs is', async () => {
    const { origin, port } = await rawServer(echo)
    for (const given of [origin, `${origin}/`, new URL(origin)]) {
      const pool = make(given)
      expect(await textOf(pool.request(at('/a')))).toBe('GET /a ')
      expect(await textOf(pool.request({ ...at('/b'), origin: 'http://elsewhere.test' }))).toBe('GET /b ')
      await pool.close()
    }
    const pool = make(origin)
    const { handler, done } = recording('legacy')
    expect(pool.dispatch(at('/c'), handler)).toBe(true)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(await textOf(request(`http://127.0.0.1:${port}/d`, { dispatcher: pool }))).toBe('GET /d ')
  })

  it('has stream() and pipeline()', async () => {
    const { origin } = await rawServer(echo)
    const pool = make(origin)
    const pieces: string[] = []
    await pool.stream({ ...at('/a', 'PUT'), body: 'in' }, () => {
      return new Writable({
        write(chunk, _encoding, callback) {
          pieces.push(String(chunk))
          callback()
        },
      })
    })
    const piped = Readable.from(['through']).pipe(pool.pipeline(at('/b', 'PUT'), ({ body }) => body))
    for await (const chunk of piped) pieces.push(String(chunk))
    expect(pieces.join('|')).toBe('PUT /a in|PUT /b through')
  })

  it('emits its events with itself as the first target', async () => {
    const { origin } = await rawServer(answering(ok('', 'connection: close\r\n')))
    const pool = make(origin, { connections: 1 })
    const seen: unknown[][] = []
    for (const event of ['connect', 'disconnect', 'drain'] as const) {
      pool.on(event as 'disconnect', (url: URL, targets: readonly Dispatcher[]) => {
        seen.push([event, url, targets[0] === pool])
      })
    }
    const { handler, done } = recording('new')
    expect(pool.dispatch(at('/'), handler)).toBe(false)
    const drained = once(pool, 'drain')
    await done
    await drained
    await pool.close()
    expect(seen.map(([event]) => event).sort()).toEqual(['connect', 'disconnect', 'drain'])
    for (const [, ...rest] of seen) expect(rest).toEqual([new URL(origin), true])
    const dead = await deadOrigin()
    const lost = make(dead)
    const failed = once(lost, 'connectionError')
    await expect(lost.request(at('/'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const [url, targets, error] = await failed
    expect([url, targets[0], error.code]).toEqual([new URL(dead), lost, 'ECONNREFUSED'])
  })

  it('counts', async () => {
    const { origin, peer } = await rawServer(() => {})
    const pool = make(origin, { connections: 2 })
    expect({ ...pool.stats }).toEqual({ connected: 0, free: 0, pending: 0, queued: 0, running: 0, size: 0 })
    const recordings = [1, 2, 3].map(() => recording('new'))
    for (const { handler } of recordings) pool.dispatch(at('/'), handler)
    await (await peer(0)).request()
    await (await peer(1)).request()
    expect({ ...pool.stats }).toEqual({ connected: 2, free: 0, pending: 1, queued: 1, running: 2, size: 3 })
    await pool.destroy()
    for (const { done } of recordings) expect((await done).at(-1)?.[1]).toBe('ClientDestroyedError')
  })

  it('is closed when its requests are answered, and destroyed at once', async () => {
    const { origin } = await rawServer(answering(ok()))
    const pool = make(origin, { connections: 1 })
    const recordings = [recording('new'), recording('legacy')]
    for (const { handler } of recordings) pool.dispatch(at('/'), handler)
    const closed = pool.close()
    expect(pool).toMatchObject({ closed: true, destroyed: false })
    await expect(pool.request(at('/'))).rejects.toBeInstanceOf(errors.ClientClosedError)
    expect(await closed).toBe(null)
    for (const { events } of recordings) expect(events.at(-1)).toEqual(['end', []])
    expect(pool).toMatchObject({ closed: true, destroyed: true })
    await expect(pool.request(at('/'))).rejects.toBeInstanceOf(errors.ClientDestroyedError)
    const other = make(origin)
    const reason = new Error('that is all')
    const pending = expect(other.request(at('/'))).rejects.toBe(reason)
    expect(await other.destroy(reason)).toBe(null)
    await pending
  })

  it.each([
    ['null', null, errors.InvalidArgumentError, 'Invalid URL: The URL argument must be a non-null object.'],
    ['nothing', undefined, errors.InvalidArgumentError, 'Invalid URL: The URL argument must be a non-null object.'],
    ['a number', 80, errors.InvalidArgumentError, 'Invalid URL: The URL argument must be a non-null object.'],
    ['no URL', 'localhost', TypeError, 'Invalid URL'],
    ['an empty string', '', TypeError, 'Invalid URL'],
    [
      'another protocol',
      'ftp://a.test',
      errors.InvalidArgumentError,
      'Invalid URL protocol: the URL must start with `http:` or `https:`.',
    ],
    ['a path', 'http://a.test/path', errors.InvalidArgumentError, 'invalid url'],
    ['a query', 'http://a.test/?q', errors.InvalidArgumentError, 'invalid url'],
    ['a fragment', new URL('http://a.test/#f'), errors.InvalidArgumentError, 'invalid url'],
  ])('refuses %s as its origin', (_what, origin, Class, message) => {
    const making = (): unknown => make(origin as string)
    expect(making).toThrow(Class)
    expect(making).toThrow(message)
  })

  it('refuses options that are none', () => {
    expect(() => make('http://a.test', { connections: -1 })).toThrow('invalid connections')
    expect(() => make('http://a.test', { connect: 1 as never })).toThrow('connect must be a function or an object')
  })

  it('is composed', async () => {
    const { origin } = await rawServer(echo)
    const pool = make(origin)
    const composed = pool.compose((dispatch) => (options, handler) => {
      return dispatch({ ...options, path: `${options.path}/more` }, handler)
    }) as AnyPool
    expect(await textOf(composed.request(at('/a')))).toBe('GET /a/more ')
    await setImmediate()
    expect({ ...composed.stats }).toEqual({ connected: 1, free: 1, pending: 0, queued: 0, running: 0, size: 0 })
    await composed.close()
    expect(pool.destroyed).toBe(true)
  })
})

itNative('RecyclingPool recycles, and tells so', async () => {
  const { origin } = await rawServer(async (peer) => {
    await peer.request()
    peer.socket.end(ok('', 'connection: close\r\n'))
  })
  const pool = recyclingPool(origin)
  for (let i = 0; i < 3; i++) {
    await textOf(pool.request(at('/')))
    while (pool.stats.sockets.leased > 0) await setImmediate()
  }
  expect(pool.stats.sockets).toMatchObject({ fresh: 1, recycled: 2, dissolved: 3 })
  expect(Object.keys(pool.stats)).not.toContain('sockets')
  expect(pool.url).toEqual(new URL(origin))
})

/** undici's dispatchers with their own pools and with ours, of which they know nothing. */
type Factory = (origin: string | URL, options: object) => Dispatcher

type FactoryCase = [name: string, factory: Factory | undefined, made: RecyclingPool[]]

function factories(isSingle: boolean): [FactoryCase, FactoryCase] {
  const made: RecyclingPool[] = []
  const factory: Factory = (origin, options) => {
    // undici's pools hand on a connect function of theirs, with which there is nothing to recycle.
    const { connect: _connect, ...rest } = options as RecyclingPoolOptions
    const pool = recyclingPool(origin, isSingle ? { ...rest, connections: 1 } : rest)
    made.push(pool)
    return pool
  }
  return [
    ['its own pools', undefined, made],
    ['RecyclingPool', factory, made],
  ]
}

const withFactory = (factory: Factory | undefined): object => (factory === undefined ? {} : { factory })

describe.each(factories(false))("undici's Agent over %s", (name, factory, made) => {
  const make = (options: Agent.Options = {}): Agent => ending(new Agent({ ...options, ...withFactory(factory) }))

  it('answers, counts by origin, and closes', async () => {
    const { origin } = await rawServer(echo)
    const agent = make()
    expect(await textOf(agent.request({ origin, path: '/a', method: 'GET' }))).toBe('GET /a ')
    await setImmediate()
    expect(Object.keys(agent.stats)).toEqual([origin])
    expect({ ...agent.stats[origin as never] }).toEqual({
      connected: 1,
      free: 1,
      pending: 0,
      queued: 0,
      running: 0,
      size: 0,
    })
    if (name === 'RecyclingPool') expect(made.at(-1)!.stats.sockets).toMatchObject({ fresh: 1, leased: 1 })
    await agent.close()
    expect(agent.stats).toEqual({})
  })

  it('serves what waits for a connection that ends with each response', async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.end(ok('', 'connection: close\r\n'))
    })
    const agent = make({ connections: 2 })
    const all = Array.from({ length: 8 }, () => textOf(agent.request({ origin, path: '/', method: 'GET' })))
    expect(await Promise.all(all)).toEqual(Array.from({ length: 8 }, () => ''))
    expect(await textOf(agent.request({ origin, path: '/', method: 'GET' }))).toBe('')
    await agent.close()
  })

  it('emits its events with the agent before the pool', async () => {
    const { origin } = await rawServer(answering(ok('', 'connection: close\r\n')))
    const agent = make()
    const connected = once(agent, 'connect')
    const disconnected = once(agent, 'disconnect')
    await textOf(agent.request({ origin, path: '/', method: 'GET' }))
    for (const [url, targets] of [await connected, await disconnected]) {
      expect([url, targets[0]]).toEqual([new URL(origin), agent])
      if (name === 'RecyclingPool') expect(targets[1]).toBe(made.at(-1))
    }
  })

  it('fails, and is destroyed', async () => {
    const agent = make()
    const dead = await deadOrigin()
    await expect(agent.request({ origin: dead, path: '/', method: 'GET' })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
    const { origin, peer } = await rawServer(() => {})
    const pending = expect(agent.request({ origin, path: '/', method: 'GET' })).rejects.toBeInstanceOf(
      errors.ClientDestroyedError,
    )
    await (await peer(0)).request()
    await agent.destroy()
    await pending
  })
})

describe.each(factories(true))("undici's Pool over %s", (name, factory, made) => {
  const make = (origin: string, options: Pool.Options = {}): Pool =>
    ending(new Pool(origin, { ...options, ...withFactory(factory) }))

  it('shares its requests out, and counts them', async () => {
    const { origin, peer } = await rawServer(() => {})
    const pool = make(origin, { connections: 2 })
    const recordings = [1, 2, 3].map(() => recording('new'))
    for (const { handler } of recordings) pool.dispatch(at('/') as Dispatcher.DispatchOptions, handler)
    await (await peer(0)).request()
    await (await peer(1)).request()
    expect({ ...pool.stats }).toEqual({ connected: 2, free: 0, pending: 1, queued: 1, running: 2, size: 3 })
    ;(await peer(0)).write(ok())
    await (await peer(0)).request()
    expect((await Promise.race(recordings.map(({ done }) => done))).at(-1)).toEqual(['end', []])
    expect({ ...pool.stats }).toMatchObject({ pending: 0, queued: 0, running: 2 })
    if (name === 'RecyclingPool') expect(made).toHaveLength(2)
    await pool.destroy()
    for (const { done } of recordings.slice(1)) expect((await done).at(-1)?.[1]).toBe('ClientDestroyedError')
  })

  it('drains when the queue is empty, and waits for that to close', async () => {
    const { origin } = await rawServer(echo)
    const pool = make(origin, { connections: 1 })
    const send = (): Promise<string[]> => Promise.all([1, 2, 3].map((i) => textOf(pool.request(at(`/${i}`)))))
    const drained = once(pool, 'drain')
    expect(await send()).toEqual(['GET /1 ', 'GET /2 ', 'GET /3 '])
    await drained
    const all = send()
    const closed = pool.close()
    expect(await all).toEqual(['GET /1 ', 'GET /2 ', 'GET /3 '])
    await closed
  })

  it('drops what could not connect, and connects again', async () => {
    const dead = await deadOrigin()
    const pool = make(dead, { connections: 1 })
    for (let i = 0; i < 3; i++) await expect(pool.request(at('/'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe("undici's BalancedPool", () => {
  const outcomes = async (factory: Factory | undefined): Promise<string[]> => {
    const dead = await deadOrigin()
    const { origin: live } = await rawServer(echo)
    const pool = ending(new BalancedPool([dead, live], withFactory(factory)))
    expect(pool.upstreams).toEqual([dead, live])
    const seen: string[] = []
    for (let i = 0; i < 20; i++) {
      seen.push(
        await textOf(pool.request(at('/'))).then(
          () => 'live',
          ({ code }) => code,
        ),
      )
    }
    pool.removeUpstream(dead)
    expect(pool.upstreams).toEqual([live])
    expect(pool.addUpstream(`${live}/`).upstreams).toEqual([live])
    expect(await textOf(pool.request(at('/')))).toBe('GET / ')
    await pool.close()
    return seen
  }

  it('weighs our pools as its own', async () => {
    const [[, ownFactory], [, factory, made]] = factories(false)
    const own = await outcomes(ownFactory)
    expect(await outcomes(factory)).toEqual(own)
    expect(own).toContain('ECONNREFUSED')
    expect(own.filter((outcome) => outcome === 'live').length).toBeGreaterThan(10)
    expect(made).toHaveLength(2)
  })

  it.each(factories(false))(
    'shares requests out among upstreams over %s, with their statistics',
    async (_n, factory) => {
      const servers = [await rawServer(echo), await rawServer(echo)]
      const origins = servers.map(({ origin }) => origin)
      const pool = ending(new BalancedPool(origins, withFactory(factory)))
      for (let i = 0; i < 10; i++) await textOf(pool.request(at('/')))
      expect(servers.map(({ requests }) => requests.length)).toEqual([5, 5])
      await setImmediate()
      expect({ ...(pool as unknown as { stats: object }).stats }).toEqual({
        connected: 2,
        free: 2,
        pending: 0,
        queued: 0,
        running: 0,
        size: 0,
      })
    },
  )
})

describe.each(factories(true))("undici's RoundRobinPool over %s", (name, factory, made) => {
  it('takes its clients by turns', async () => {
    const { origin, peers } = await rawServer(echo)
    const pool = ending(new RoundRobinPool(origin, { connections: 3, ...withFactory(factory) }))
    await Promise.all([1, 2, 3].map(() => textOf(pool.request(at('/')))))
    for (let i = 0; i < 6; i++) {
      await textOf(pool.request(at('/')))
      await setImmediate()
    }
    expect(peers.map(({ requests }) => requests.length)).toEqual([3, 3, 3])
    expect({ ...pool.stats }).toEqual({ connected: 3, free: 3, pending: 0, queued: 0, running: 0, size: 0 })
    if (name === 'RecyclingPool') expect(made).toHaveLength(3)
    await pool.close()
  })
})

it.each(pools)("undici's RetryAgent over %s tries again", async (_name, make) => {
  const { origin, peers } = await rawServer(async (peer) => {
    if (peer.index === 2) return echo(peer)
    await peer.request()
    peer.socket.resetAndDestroy()
  })
  const agent = new RetryAgent(make(origin), { minTimeout: 1, maxTimeout: 1 })
  expect(await textOf(agent.request(at('/a')))).toBe('GET /a ')
  expect(peers).toHaveLength(3)
})
