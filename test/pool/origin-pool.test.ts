/** One origin: who serves whom, and who fails with whom. */
import { Readable } from 'node:stream'
import { errors } from 'undici'
import { describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { CLOSING_DELAY_MS } from '../../src/pool/habits.js'
import { Authority } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { duplexPeer } from '../support/duplex-peer.js'
import { get } from '../support/exchange.js'
import { type Flow, type Hooks, recording } from '../support/handlers.js'
import { arms } from '../support/laboratory.js'
import { answering, ok, type RawServer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const ended = ['end', []]
const toRoot = { path: '/', method: 'GET' } as const

it.each([
  ['UND_ERR_SOCKET', new errors.SocketError('gone')],
  ['UND_ERR_INFO', new errors.InformationalError('gone')],
])(
  'fails with %s of a connect function the request that it was called for, and tries again for the others',
  async (code, error) => {
    let calls = 0
    const connect = (_options: object, done: (error: Error | null, socket: unknown) => void): void => {
      if (calls++ === 0) done(error, null)
      else done(null, duplexPeer(ok()).stream)
    }
    const agent = recyclingAgent({ connections: 1, connect: connect as never })
    const recorded = [recording('new'), recording('new')]
    for (const { handler } of recorded) agent.dispatch({ origin: 'http://a.test', path: '/', method: 'GET' }, handler)
    expect(await recorded[0]!.done).toMatchObject([['error', expect.any(String), code, 'gone']])
    expect((await recorded[1]!.done).at(-1)).toEqual(ended)
    expect(calls).toBe(2)
  },
)

it('lets a request of another name wait until the only connection, which has room behind others, is idle', async () => {
  const authority = await Authority.create()
  const certificate = await authority.issue(['localhost', 'a.test', 'b.test'])
  const server = await rawServer(
    async (peer) => {
      if (peer.index > 0) return answering(ok('b'))(peer)
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na')
    },
    { secure: certificate },
  )
  const agent = recyclingAgent({ connections: 1, pipelining: 2, connect: { ca: authority.ca } })
  const begin = (servername: string, hooks: Hooks = {}) => {
    const recorded = recording('new', hooks)
    agent.dispatch({ origin: server.origin, path: '/', method: 'GET', servername } as never, recorded.handler)
    return recorded
  }
  // The rest of the first response comes only when its head was read, and a place behind it was offered.
  const first = begin('a.test', { data: () => server.peers[0]!.write('a') })
  const second = begin('b.test')
  expect((await first.done).slice(-2)).toEqual([['data', 'aa'], ended])
  expect((await second.done).slice(-2)).toEqual([['data', 'b'], ended])
  expect(server.peers).toHaveLength(2)
})

it('serves a long queue in its order', async () => {
  const server = await rawServer(answering(ok()))
  const agent = recyclingAgent({ connections: 1 })
  const paths = Array.from({ length: 600 }, (_, i) => `/${i}`)
  await Promise.all(paths.map((path) => get(agent, server.origin, path)))
  expect(server.requests.map(({ head }) => head.split(' ', 2)[1])).toEqual(paths)
  expect(server.peers).toHaveLength(1)
})

it('gives a connection that is older than clientTtl nothing more to do, and lets it finish what it has', async () => {
  const server = await rawServer(async (peer) => {
    await peer.request()
    if (peer.index === 0) {
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\no')
      await server.peer(1)
    }
    peer.write(peer.index === 0 ? 'ld' : ok('new'))
  })
  const agent = recyclingAgent({ pipelining: 2, clientTtl: 1 })
  const newer = recording('new')
  const older = recording('new', {
    head: () => setTimeout(() => agent.dispatch({ ...toRoot, origin: server.origin }, newer.handler), 5),
  })
  agent.dispatch({ ...toRoot, origin: server.origin }, older.handler)
  expect((await older.done).at(-1)).toEqual(ended)
  expect(older.events.filter(([name]) => name === 'data')).toEqual([['data', 'old']])
  expect((await newer.done).slice(-2)).toEqual([['data', 'new'], ended])
  await server.peers[0]!.ended()
})

/** The next turns of the event loop, in which a connection over loopback would be there. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe.each(arms)('%s: close()', (_name, options) => {
  /** Two requests on one connection, which breaks. The second is not answered and is to be sent again. */
  async function lostBehind() {
    const server = await rawServer(async (peer) => {
      if (peer.index > 0) return
      await peer.received(/GET \/2/)
      peer.socket.resetAndDestroy()
    })
    const answers: (() => void)[] = []
    let askedTwice: () => void
    /** It waits for its second connection, whose name is being resolved. */
    const waits = new Promise<void>((resolve) => {
      askedTwice = resolve
    })
    const lookup = (_host: string, _options: object, done: (error: null, addresses: object[]) => void): void => {
      const answer = (): void => done(null, [{ address: '127.0.0.1', family: 4 }])
      if (answers.push(answer) === 1) answer()
      else askedTwice()
    }
    const agent = recyclingAgent({ ...options, connections: 1, pipelining: 2, connect: { lookup: lookup as never } })
    const origin = `http://a.test:${server.port}`
    const first = recording('new')
    agent.dispatch({ origin, path: '/1', method: 'GET', blocking: false }, first.handler)
    let flow: Flow
    const second = recording('new', {
      start(control) {
        flow = control
      },
    })
    agent.dispatch({ origin, path: '/2', method: 'GET' }, second.handler)
    await waits
    return { server, agent, abort: () => flow.abort(), done: second.done, resolveName: () => answers[1]!() }
  }

  async function expectNothingLeft(agent: RecyclingAgent, { peers }: RawServer): Promise<void> {
    await turns()
    for (const peer of peers) await peer.ended()
    expect(agent.stats).toEqual({})
    expect(agent.stats.sockets).toMatchObject({ leased: 0 })
  }

  it.each(['before', 'after'])(
    'gives up the connection that is made for a request that was aborted %s it',
    async (when) => {
      const { server, agent, abort, done, resolveName } = await lostBehind()
      if (when === 'before') abort()
      const closed = agent.close()
      abort()
      expect((await done).at(-1)?.[1]).toBe('RequestAbortedError')
      await closed
      resolveName()
      await expectNothingLeft(agent, server)
      expect(server.peers).toHaveLength(1)
    },
  )

  it('ends the connection to which a request was given that was aborted then', async () => {
    const { server, agent, abort, done, resolveName } = await lostBehind()
    agent.on('connect', () => abort())
    resolveName()
    expect((await done).at(-1)?.[1]).toBe('RequestAbortedError')
    await agent.close()
    await expectNothingLeft(agent, server)
  })

  it('opens no connection for a request that is aborted in its start callback', async () => {
    const server = await rawServer(() => {})
    const agent = recyclingAgent(options)
    const { handler, done } = recording('new', { start: (flow) => flow.abort() })
    agent.dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
    const closed = agent.close()
    await done
    await closed
    await expectNothingLeft(agent, server)
    expect(server.peers).toHaveLength(1)
  })
})

it('does not use a connection again whose keep-alive timeout has passed while the event loop was blocked', async () => {
  const server = await rawServer(answering(ok()))
  const agent = recyclingAgent({ keepAliveTimeout: 100 })
  await get(agent, server.origin)
  await get(agent, server.origin)
  expect(server.peers).toHaveLength(1)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  expect(await get(agent, server.origin)).toBe('ok')
  expect(server.peers).toHaveLength(2)
})

describe.each(arms)('%s: a connection', (_name, options) => {
  it('that ends behind its response loses a request that waits there, and goes on', async () => {
    const server = await rawServer(() => {})
    const agent = recyclingAgent({ ...options, connections: 1, pipelining: 2 })
    const controller = new AbortController()
    const reason = new Error('no more')
    const first = recording('new', { head: () => controller.abort(reason) })
    agent.dispatch({ ...toRoot, origin: server.origin, blocking: false }, first.handler)
    const peer = await server.peer(0)
    await peer.request()
    const { signal } = controller
    const second = agent.request({ origin: server.origin, path: '/', method: 'POST', signal }).catch((error) => error)
    peer.write('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\no')
    expect(await second).toBe(reason)
    peer.socket.end('k')
    expect((await first.done).slice(-2)).toEqual([['data', 'ok'], ended])
    expect(peer.pending).toBe('')
  })

  it('that has an answer, but not the end of a body, is not used again before it has that', async () => {
    const server = await rawServer(async (peer) => {
      while ((await peer.request()) !== null) {
        peer.write(ok(`from ${peer.index}`))
        if (peer.index === 0) peer.socket.end()
      }
    })
    const agent = recyclingAgent({ ...options, connections: 1 })
    // It closes without having said so: from now on a connection is watched behind its response.
    expect(await get(agent, server.origin)).toBe('from 0')
    await server.peers[0]!.ended()
    const body = new Readable({ read() {} })
    body.push('ab')
    const headers = { 'content-length': '2' }
    const { body: answer } = await agent.request({ origin: server.origin, path: '/', method: 'POST', headers, body })
    expect(await answer.text()).toBe('from 1')
    const next = get(agent, server.origin)
    await new Promise((resolve) => setTimeout(resolve, CLOSING_DELAY_MS + 50))
    expect(server.requests).toHaveLength(2)
    body.push(null)
    expect(await next).toBe('from 1')
  })
})

it('sends a lost request again on a new connection, when the one that has its place meanwhile is idle', async () => {
  const server = await rawServer(async (peer) => {
    for (let request = await peer.request(); request !== null; request = await peer.request()) {
      if (request.head.startsWith('GET /lost') && peer.index === 0) break
      if (request.head.startsWith('GET /held')) await released
      peer.write(ok(`from ${peer.index}`))
    }
    peer.socket.end()
  })
  let release: () => void
  const released = new Promise<void>((resolve) => (release = resolve))
  const agent = recyclingAgent({ connections: 1, pipelining: 2 })
  let held: Promise<string> | undefined
  agent.once('disconnect', () => {
    const { origin } = server
    held = agent.request({ origin, path: '/held', method: 'GET', blocking: false }).then(({ body }) => body.text())
  })
  expect(await get(agent, server.origin)).toBe('from 0')
  const lost = get(agent, server.origin, '/lost')
  await server.peer(1)
  while (server.requests.length < 3) await new Promise((resolve) => setImmediate(resolve))
  release!()
  expect(await held).toBe('from 1')
  expect(await lost).toBe('from 2')
  expect(agent.stats.sentAgain).toBe(1)
})

it('gives no request to a connection made ahead on which bytes have come unasked', async () => {
  const calls: ((error: null, socket: unknown) => void)[] = []
  const connect = (_options: object, done: (error: null, socket: unknown) => void) => calls.push(done)
  const agent = recyclingAgent({ connect: connect as never })
  const origin = 'http://a.test'
  const [unsound, sound] = [duplexPeer(ok('never')), duplexPeer(ok('sound'))]
  const reasons: string[] = []
  agent.once('connect', () => unsound.peer.write('unasked'))
  agent.once('disconnect', (_origin, _targets, error) => reasons.push(error.message))
  const made = agent.preconnect(origin)
  const answer = get(agent, origin)
  calls[0]!(null, unsound.stream)
  await made
  expect(unsound.received).toBe('')
  calls[1]!(null, sound.stream)
  expect(await answer).toBe('sound')
  expect([unsound.received, reasons]).toEqual(['', [expect.any(String)]])
})
