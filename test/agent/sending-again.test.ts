/** Requests that were lost in the race with the end of a connection that had been used before (RFC 9112 9.3.1). */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { RecyclingPool } from '../../src/index.js'
import { Authority } from '../support/certificates.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { recording, styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

/** Of the first connection: one response, and then `end` as soon as the next request has come; the others answer. */
const endingAt =
  (end: (peer: RawPeer) => void, before = '') =>
  async (peer: RawPeer): Promise<void> => {
    if (peer.index > 0) return answering(ok())(peer)
    await peer.request()
    peer.write(ok())
    await peer.received(/\r\n\r\n/)
    if (before !== '') peer.write(before)
    end(peer)
  }

const ends: [what: string, end: (peer: RawPeer) => void][] = [
  ['a FIN', (peer) => void peer.socket.end()],
  ['a reset', (peer) => void peer.socket.resetAndDestroy()],
]

const send = async (agent: Dispatcher, options: Partial<Dispatcher.RequestOptions>): Promise<string> => {
  const { body } = await agent.request({ path: '/second', method: 'GET', ...options } as Dispatcher.RequestOptions)
  return body.text()
}

describe.each(ends)('behind %s instead of a response', (_what, end) => {
  it.each([
    ['GET', {}],
    ['HEAD that keeps its connection', { method: 'HEAD', reset: false }],
    ['PUT that is said to be idempotent', { method: 'PUT', body: 'x', idempotent: true }],
    ['POST with Idempotency-Key', { method: 'POST', body: 'x', headers: { 'Idempotency-Key': '"1"' } }],
    ['POST with X-Idempotency-Key, in a flat list', { method: 'POST', body: 'x', headers: ['X-IDEMPOTENCY-KEY', '1'] }],
    ['QUERY with a Blob', { method: 'QUERY' as 'GET', body: new Blob(['x']) as never }],
  ] as [string, Partial<Dispatcher.RequestOptions>][])(
    'a %s is sent once more, on a new connection',
    async (_, options) => {
      const { origin, peers } = await rawServer(endingAt(end))
      const agent = recyclingAgent({ connections: 1 })
      const connections = countConnections(agent)
      await get(agent, origin)
      await send(agent, { origin, ...options })
      expect(connections()).toBe(2)
      expect(agent.stats.sentAgain).toBe(1)
      expect(peers[1]!.requests.map(({ head }) => head.split(' ')[1])).toEqual(['/second'])
    },
  )

  it.each([
    ['a POST', {}, { method: 'POST', body: 'x' }],
    ['a GET whose body is a stream', {}, { body: () => Readable.from(['x']), reset: false }],
    ['a GET that is said not to be idempotent', {}, { idempotent: false }],
    ['a GET, with retryStale: false', { retryStale: false }, {}],
  ] as const)('%s fails, as with undici', async (_, agentOptions, { ...options }) => {
    const { origin } = await rawServer(endingAt(end))
    const agent = recyclingAgent({ connections: 1, ...agentOptions })
    await get(agent, origin)
    const { body } = options as { body?: unknown }
    const sent = { origin, ...options, ...(typeof body === 'function' && { body: body() as Readable }) }
    await expect(send(agent, sent as Partial<Dispatcher.RequestOptions>)).rejects.toMatchObject({
      code: expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/),
    })
    expect(agent.stats.sentAgain).toBe(0)
  })

  it('it fails when the new connection ends in the same way', async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      if (peer.index === 0) {
        peer.write(ok())
        await peer.received(/\r\n\r\n/)
      }
      end(peer)
    })
    const agent = recyclingAgent()
    await get(agent, origin)
    await expect(send(agent, { origin })).rejects.toMatchObject({
      code: expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/),
    })
    expect(agent.stats.sentAgain).toBe(1)
  })

  it('it fails when the connection had not been used before', async () => {
    const { origin, peers } = await rawServer(async (peer) => {
      await peer.request()
      end(peer)
    })
    const agent = recyclingAgent()
    await expect(send(agent, { origin })).rejects.toMatchObject({
      code: expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET)$/),
    })
    expect(peers).toHaveLength(1)
  })

  it.each([
    ['a part of a head', 'HTTP/1.1 200 OK\r\ncontent-'],
    ['a 1xx', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
  ])('it fails behind %s', async (_, before) => {
    const { origin, peers } = await rawServer(
      endingAt((peer) => {
        // What came before it is to be read before it.
        setTimeout(() => end(peer), 20)
      }, before),
    )
    const agent = recyclingAgent()
    await get(agent, origin)
    await expect(send(agent, { origin })).rejects.toThrow()
    expect(agent.stats.sentAgain).toBe(0)
    expect(peers).toHaveLength(1)
  })
})

it.each(styles)('start callbacks come twice, all others once (%s handlers)', async (style) => {
  const { origin } = await rawServer(endingAt((peer) => void peer.socket.end()))
  const agent = recyclingAgent({ connections: 1 })
  await get(agent, origin)
  const { handler, done } = recording(style)
  agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
  const names = (await done).map(([name]) => name).filter((name) => !['requestSent', 'started'].includes(name))
  expect(names).toEqual(['start', 'start', 'head', 'data', 'end'])
})

it('a timeout is no reason to send again', async () => {
  const { origin, peers } = await rawServer(async (peer) => {
    await peer.request()
    peer.write(ok())
    await peer.request()
  })
  const agent = recyclingAgent({ headersTimeout: 50 })
  await get(agent, origin)
  await expect(send(agent, { origin })).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' })
  expect([agent.stats.sentAgain, peers.length]).toEqual([0, 1])
})

it('over TLS, and by a pool, it is the same', async () => {
  const authority = await Authority.create()
  const secure = await authority.issue(['127.0.0.1'])
  const { origin } = await rawServer(
    endingAt((peer) => void peer.socket.end()),
    { secure },
  )
  const pool = new RecyclingPool(origin, { connect: { ca: authority.ca } })
  await (await pool.request({ path: '/', method: 'GET' })).body.text()
  expect(await (await pool.request({ path: '/', method: 'GET' })).body.text()).toBe('ok')
  expect(pool.stats.sentAgain).toBe(1)
  await pool.close()
})

it('where there are as many connections as there may be, an idle one makes room', async () => {
  const { origin, peers } = await rawServer(async (peer) => {
    if (peer.index > 0) return answering(ok())(peer)
    await peer.request()
    peer.write(ok())
    await peer.received(/\r\n\r\n/)
    peer.socket.end()
  })
  const agent = recyclingAgent({ connections: 1 })
  await get(agent, origin)
  let another: Promise<string> | undefined
  // Takes the place of the connection that has ended before the lost request can.
  agent.once('disconnect', () => {
    another = get(agent, origin, '/another')
  })
  expect(await send(agent, { origin })).toBe('ok')
  expect(await another).toBe('ok')
  expect(agent.stats.sentAgain).toBe(1)
  const paths = peers.map(({ requests }) => requests.map(({ head }) => head.split(' ')[1]))
  expect(paths.flat().filter((path) => path === '/another')).toHaveLength(1)
})
