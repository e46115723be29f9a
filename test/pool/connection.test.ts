/** One connection: requests and responses that overlap, and what is done to it from within its own callbacks. */
import { type Duplex, PassThrough } from 'node:stream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ownedDescriptors } from '../../src/sys/owned-descriptors.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { duplexPeer } from '../support/duplex-peer.js'
import { get } from '../support/exchange.js'
import { type Flow, recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { itNative } from '../support/transport.js'
import { switching, upgradeRecording } from '../support/upgrades.js'

expectNoDescriptorLeft()

afterEach(() => {
  vi.restoreAllMocks()
})

const ended = ['end', []]
const toRoot = { path: '/', method: 'GET' } as const

it('counts a request whose connection is being made among those that are not written', async () => {
  const { origin } = await rawServer(answering(ok()))
  const agent = recyclingAgent()
  const { handler, done } = recording('new')
  agent.dispatch({ ...toRoot, origin }, handler)
  const stats = agent.stats[origin as 'http://x']
  expect(stats).toEqual({ connected: 0, free: 0, pending: 1, queued: 0, running: 0, size: 1 })
  expect((await done).at(-1)).toEqual(ended)
})

it('counts a request whose start callback is being called among those that are not written', async () => {
  const { origin } = await rawServer(answering(ok()))
  const agent = recyclingAgent()
  const counts: unknown[] = []
  const { handler, done } = recording('new', { start: () => counts.push(agent.stats[origin as 'http://x']) })
  agent.dispatch({ ...toRoot, origin }, handler)
  expect((await done).at(-1)).toEqual(ended)
  expect(counts).toMatchObject([{ connected: 1, free: 0, pending: 1, queued: 0, running: 0, size: 1 }])
})

describe('a response that is complete before the source of the request has said that it is', () => {
  const begin = async () => {
    const server = await rawServer(async (peer) => {
      await peer.request()
      peer.write(ok('early'))
      await answering(ok())(peer)
    })
    const agent = recyclingAgent({ connections: 1 })
    const body = new PassThrough()
    const { handler, done, events } = recording('new')
    const headers = { 'content-length': '5' }
    agent.dispatch({ origin: server.origin, path: '/', method: 'POST', headers, body }, handler)
    body.write('whole')
    expect((await done).at(-1)).toEqual(ended)
    expect(agent.stats[server.origin as 'http://x']).toMatchObject({ connected: true, size: 0 })
    return { agent, server, body, events }
  }

  it('leaves the connection to the next request, once it has said so', async () => {
    const { agent, server, body } = await begin()
    const next = get(agent, server.origin)
    body.end()
    expect(await next).toBe('ok')
    expect(server.peers).toHaveLength(1)
  })

  it('leaves the connection to the next request also when it fails, of which nobody hears', async () => {
    const { agent, server, body, events } = await begin()
    const next = get(agent, server.origin)
    body.destroy(new Error('too late'))
    expect(await next).toBe('ok')
    expect(server.peers).toHaveLength(1)
    expect(events.at(-1)).toEqual(ended)
  })
})

it('goes on with a response that began before the request was sent whole', async () => {
  const server = await rawServer(async (peer) => {
    await peer.received(/first/)
    peer.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nfour')
    await peer.received(/last/)
    peer.write('more')
    await peer.request()
    await answering(ok())(peer)
  })
  const agent = recyclingAgent()
  const body = new PassThrough()
  const { handler, done } = recording('new', { data: (_flow, [, text]) => text === 'four' && body.end('last') })
  agent.dispatch({ origin: server.origin, path: '/', method: 'POST', body }, handler)
  body.write('first')
  const events = await done
  expect(events.filter(([name]) => name === 'data').map(([, text]) => text)).toEqual(['four', 'more'])
  expect(events.at(-1)).toEqual(ended)
  expect(await get(agent, server.origin)).toBe('ok')
})

it('lets the request at the head of a pipeline come to its end when one behind it is aborted while it is sent', async () => {
  const server = await rawServer(async (peer) => {
    if (peer.index > 0) return answering(ok())(peer)
    await peer.received(/PUT/)
    peer.write(ok('first'))
  })
  const agent = recyclingAgent({ connections: 1, pipelining: 2 })
  const first = recording('new')
  agent.dispatch({ ...toRoot, origin: server.origin, blocking: false }, first.handler)
  const second = recording('new', { bodySent: (flow) => flow.abort(new Error('changed my mind')) })
  // A Blob can be read again, so that it may be sent behind another request.
  const body = new Blob(['x'.repeat(300_000)]) as never
  agent.dispatch({ origin: server.origin, path: '/', method: 'PUT', idempotent: true, body }, second.handler)
  expect((await second.done).at(-1)).toEqual(['error', 'Error', undefined, 'changed my mind'])
  expect((await first.done).slice(-2)).toEqual([['data', 'first'], ended])
  await server.peers[0]!.ended()
  expect(await get(agent, server.origin)).toBe('ok')
})

it('sends a request that waits behind a pipeline on another connection when one before it is aborted', async () => {
  const server = await rawServer(async (peer) => {
    if (peer.index > 0) return answering(ok('again'))(peer)
    await peer.received(/GET \/2/)
    abort()
    peer.write(ok('first'))
  })
  const agent = recyclingAgent({ connections: 1, pipelining: 3 })
  let abort: () => void
  const recorded = [
    recording('new'),
    recording('new', {
      start(flow) {
        abort = () => flow.abort()
      },
    }),
    recording('new'),
  ]
  for (const [i, method] of ['GET', 'GET', 'POST'].entries()) {
    agent.dispatch({ origin: server.origin, path: `/${i + 1}`, method, blocking: false }, recorded[i]!.handler)
  }
  const [first, second, third] = await Promise.all(recorded.map(({ done }) => done))
  expect(first!.slice(-2)).toEqual([['data', 'first'], ended])
  expect(second!.at(-1)?.[1]).toBe('RequestAbortedError')
  expect(third!.slice(-2)).toEqual([['data', 'again'], ended])
  expect(server.peers[0]!.pending).not.toContain('POST')
})

it('may be resumed by the start callback of the request behind it', async () => {
  const server = await rawServer(async (peer) => {
    await peer.request()
    peer.write(ok('first'))
    await peer.request()
    peer.write(ok('second'))
  })
  const agent = recyclingAgent({ connections: 1, pipelining: 2 })
  let flow: Flow
  const first = recording('new', {
    head(control) {
      flow = control
      control.pause()
    },
  })
  // It is written when the head of the response before it has been read: within that event.
  const second = recording('new', { start: () => flow.resume() })
  for (const { handler } of [first, second]) agent.dispatch({ ...toRoot, origin: server.origin }, handler)
  expect((await first.done).slice(-2)).toEqual([['data', 'first'], ended])
  expect((await second.done).slice(-2)).toEqual([['data', 'second'], ended])
  expect(server.peers).toHaveLength(1)
})

it('reads on behind an event in which its stream says that there is more', async () => {
  const { stream } = duplexPeer(ok('chunk'))
  const agent = recyclingAgent({
    connect: ((_options: object, done: (error: null, stream: Duplex) => void) => done(null, stream)) as never,
  })
  const { handler, done } = recording('new', {
    head: () => stream.emit('readable'),
    data: () => stream.emit('readable'),
  })
  agent.dispatch({ ...toRoot, origin: 'http://a.test' }, handler)
  expect((await done).slice(-2)).toEqual([['data', 'chunk'], ended])
})

itNative('fails the request whose upgraded socket cannot be made, and closes its descriptor', async () => {
  const server = await rawServer(async (peer) => {
    while ((await peer.request()) !== null) peer.write(switching())
  })
  const agent = recyclingAgent()
  const upgrade = { ...toRoot, origin: server.origin, upgrade: 'chat' }
  const before = upgradeRecording('new')
  agent.dispatch(upgrade, before.handler)
  ;(await before.socket).destroy()
  const count = countConnections(agent)
  const owned = ownedDescriptors()
  vi.spyOn(owned, 'giveTo').mockReturnValueOnce(-24)
  const recorded = upgradeRecording('new')
  agent.dispatch(upgrade, recorded.handler)
  expect((await recorded.done).at(-1)).toEqual(['error', 'Error', 'EMFILE', 'open EMFILE'])
  await (await server.peer(1)).ended()
  expect(agent.stats.sockets).toMatchObject({ leased: 0 })
  const again = upgradeRecording('new')
  agent.dispatch(upgrade, again.handler)
  ;(await again.socket).destroy()
  expect(count()).toBe(2)
})
