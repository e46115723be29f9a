/** close() and destroy(), exactly: what is told, to whom and in which order, and what comes after. */
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { errors } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, type recyclingAgent } from '../support/dispatchers.js'
import { type Recording, recording, styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

type Agent = ReturnType<typeof recyclingAgent>

/** Ends each connection with its first response. */
async function ending(peer: RawPeer): Promise<void> {
  await peer.request()
  peer.socket.end(ok('', 'connection: close\r\n'))
}

const CLOSED = ['error', 'ClientClosedError', 'UND_ERR_CLOSED', 'The client is closed']
const DESTROYED = ['error', 'ClientDestroyedError', 'UND_ERR_DESTROYED', 'The client is destroyed']

const cases = dispatchers.flatMap(([name, make]) => styles.map((style) => [name, style, make] as const))

describe.each(cases)('%s with handlers of the %s kind', (name, style, makeAny) => {
  const make = makeAny as (...options: Parameters<typeof makeAny>) => Agent

  const send = (agent: Agent, origin: string, hooks = {}): Recording => {
    const recorded = recording(style, hooks)
    agent.dispatch({ origin, path: '/', method: 'GET' }, recorded.handler)
    return recorded
  }

  /** What a request is told at once. */
  const refusal = (agent: Agent): unknown => send(agent, 'http://a.test').events[0]

  /** With one request on the wire, which is not answered. */
  async function running(options = {}, count = 1) {
    const server = await rawServer(() => {})
    const agent = make(options)
    const requests = Array.from({ length: count }, () => send(agent, server.origin))
    for (let i = 0; i < count; i++) await (await server.peer(i)).request()
    return { ...server, agent, requests }
  }

  it.each([null, 0, 'callback', {}])('takes no %j for a callback', (callback) => {
    const agent = make()
    expect(() => agent.close(callback as never)).toThrow(new errors.InvalidArgumentError('invalid callback'))
    expect(() => agent.destroy(null, callback as never)).toThrow(new errors.InvalidArgumentError('invalid callback'))
    expect(agent).toMatchObject({ closed: false, destroyed: false })
  })

  it('is closed at once and destroyed later, though it has nothing to do', async () => {
    const agent = make()
    const seen: string[] = []
    expect(agent.close(() => seen.push('first'))).toBe(undefined)
    expect(agent).toMatchObject({ closed: true, destroyed: false })
    expect(refusal(agent)).toEqual(CLOSED)
    agent.close(() => seen.push('second'))
    const third = agent.close().then((result) => seen.push(`third ${result}`))
    expect(seen).toEqual([])
    await third
    expect(seen).toEqual(['first', 'second', 'third null'])
    expect(agent).toMatchObject({ closed: true, destroyed: true })
    expect(refusal(agent)).toEqual(DESTROYED)
  })

  it('is destroyed at once, though it has nothing to do', async () => {
    const agent = make()
    const seen: unknown[] = []
    expect(agent.destroy((...told: unknown[]) => void seen.push(told))).toBe(undefined)
    expect(agent.destroyed).toBe(true)
    expect(refusal(agent)).toEqual(DESTROYED)
    const again = agent.destroy(new Error('too late'))
    expect(seen).toEqual([])
    expect(await again).toBe(null)
    expect(seen).toEqual([[null, null]])
  })

  it('refuses to be closed when it is destroyed, and says so later', async () => {
    const agent = make()
    const destroyed = agent.destroy()
    const told: unknown[] = []
    agent.close((...rest: unknown[]) => void told.push(...rest))
    expect(told).toEqual([])
    await expect(agent.close()).rejects.toBeInstanceOf(errors.ClientDestroyedError)
    expect(told).toEqual([expect.any(errors.ClientDestroyedError), null])
    await destroyed
  })

  it('is destroyed again after either end', async () => {
    for (const end of ['close', 'destroy'] as const) {
      const agent = make()
      await agent[end]()
      expect(await agent.destroy()).toBe(null)
      const told: unknown[] = []
      agent.destroy(new Error('again'), (...rest: unknown[]) => void told.push(...rest))
      expect(told).toEqual([])
      await setImmediate()
      expect(told).toEqual([null, null])
      await expect(agent.close()).rejects.toBeInstanceOf(errors.ClientDestroyedError)
    }
  })

  it('answers what is running and what is queued before it is closed', async () => {
    const { origin, peer, peers } = await rawServer(() => {})
    const agent = make({ connections: 1 })
    const requests = [send(agent, origin), send(agent, origin), send(agent, origin)]
    const first = await peer(0)
    await first.request()
    let isClosed = false
    const closed = agent.close().then(() => {
      isClosed = true
    })
    for (let i = 0; i < 3; i++) {
      await setImmediate()
      expect([isClosed, agent.destroyed]).toEqual([false, false])
      first.write(ok())
      if (i < 2) await first.request()
    }
    await closed
    expect(peers).toHaveLength(1)
    for (const { events } of requests) expect(events.at(-1)).toEqual(['end', []])
    await first.ended()
  })

  it('connects again for what is queued when the connection ends meanwhile', async () => {
    const { origin, peers } = await rawServer(ending)
    const agent = make({ connections: 1 })
    const requests = [send(agent, origin), send(agent, origin), send(agent, origin)]
    await agent.close()
    for (const { events } of requests) expect(events.at(-1)).toEqual(['end', []])
    expect(peers).toHaveLength(3)
  })

  it('is closed when what runs has failed', async () => {
    const { agent, requests, peers } = await running()
    const closed = agent.close()
    peers[0]!.socket.end()
    expect(await closed).toBe(null)
    expect(requests[0]!.events.at(-1)).toEqual(['error', 'SocketError', 'UND_ERR_SOCKET', 'other side closed'])
  })

  it('is closed when what cannot connect has failed', async () => {
    const agent = make()
    const { events } = send(agent, 'http://127.0.0.1:1')
    await agent.close()
    expect(events.map((event) => event.slice(0, 3))).toEqual([['error', 'Error', 'ECONNREFUSED']])
  })

  it('waits to be closed for a response that nobody reads yet', async () => {
    const { origin } = await rawServer(answering(ok('x'.repeat(100_000))))
    const agent = make()
    let resume = (): void => {}
    const { done, events } = send(agent, origin, {
      head(flow: { pause(): void; resume(): void }) {
        flow.pause()
        resume = () => flow.resume()
      },
    })
    const closed = agent.close()
    while (events.at(-1)?.[0] !== 'head') await setImmediate()
    expect(agent.destroyed).toBe(false)
    resume()
    expect((await done).at(-1)).toEqual(['end', []])
    await closed
  })

  it('ends idle connections of all origins before it is closed, and tells why', async () => {
    const servers = [await rawServer(answering(ok())), await rawServer(answering(ok()))]
    const agent = make()
    for (const { origin } of servers) await send(agent, origin).done
    const seen: unknown[] = []
    agent.on('disconnect', (url, _targets, error) => {
      seen.push([url.origin, error.constructor.name, error.code])
    })
    await agent.close().then(() => seen.push('closed'))
    expect(seen.at(-1)).toBe('closed')
    const expected = servers.map(({ origin }) => [origin, 'ClientDestroyedError', 'UND_ERR_DESTROYED'])
    expect(seen.slice(0, -1).sort()).toEqual(expected.sort())
    for (const { peers } of servers) await peers[0]!.ended()
    expect(agent.stats).toEqual({})
  })

  it('fails what is queued at once, what runs a little later, and tells of connections before it is destroyed', async () => {
    const { agent, origin, requests } = await running({ connections: 2 }, 2)
    const queued = [send(agent, origin), send(agent, origin)]
    const reason = new Error('that is all')
    const seen: string[] = []
    agent.on('disconnect', (_url, _targets, error) => seen.push(error === reason ? 'disconnect' : 'another error'))
    for (const { done } of requests) void done.then(() => seen.push('failed'))
    const destroyed = agent.destroy(reason).then(() => seen.push('destroyed'))
    expect(agent.destroyed).toBe(true)
    expect(queued.map(({ error }) => error)).toEqual([reason, reason])
    expect(requests.map(({ error }) => error)).toEqual([undefined, undefined])
    expect(seen).toEqual([])
    await destroyed
    expect(requests.map(({ error }) => error)).toEqual([reason, reason])
    expect([...seen].sort()).toEqual(['destroyed', 'disconnect', 'disconnect', 'failed', 'failed'])
    expect(seen.at(-1)).toBe('destroyed')
  })

  it('tells of each callback once', async () => {
    const { agent, requests } = await running()
    const seen: string[] = []
    agent.destroy(() => seen.push('first'))
    agent.destroy(new Error('another'), () => seen.push('second'))
    await agent.destroy().then(() => seen.push('third'))
    expect(seen).toEqual(['first', 'second', 'third'])
    expect(requests[0]!.events.filter(([event]) => event === 'error')).toEqual([DESTROYED])
  })

  // undici's Agent forgets its pools when it is closed, and has none to destroy afterwards.
  if (name === 'RecyclingAgent') {
    it('is destroyed while it is being closed', async () => {
      const { agent, origin, requests } = await running({ connections: 1 })
      const queued = send(agent, origin)
      const seen: unknown[] = []
      const closed = agent.close().then((result) => seen.push(['closed', result]))
      const reason = new Error('no longer')
      const destroyed = agent.destroy(reason).then((result) => seen.push(['destroyed', result]))
      expect(queued.error).toBe(reason)
      expect(refusal(agent)).toEqual(DESTROYED)
      await Promise.all([closed, destroyed])
      expect(requests[0]!.error).toBe(reason)
      expect(seen).toHaveLength(2)
      expect(seen).toContainEqual(['closed', null])
      expect(seen).toContainEqual(['destroyed', null])
    })
  }

  it('is destroyed after the end of its last request, when it was about to be closed', async () => {
    const { origin } = await rawServer(answering(ok()))
    const agent = make()
    const { done } = send(agent, origin)
    const closed = agent.close()
    await done
    expect(await Promise.all([agent.destroy(), closed])).toEqual([null, null])
  })

  it('waits for no peer when it is destroyed, be it while it is being closed', async () => {
    const { origin, peer } = await rawServer(answering(ok()))
    const kept = make()
    await send(kept, origin).done
    const closing = make()
    await send(closing, origin).done
    // They do not notice the end, and do not end their halves.
    for (const index of [0, 1]) (await peer(index)).socket.pause()
    const closed = closing.close()
    const since = performance.now()
    expect(await Promise.all([kept.destroy(), setImmediate().then(() => closing.destroy()), closed])).toEqual([
      null,
      null,
      null,
    ])
    expect(performance.now() - since).toBeLessThan(500)
    if (name === 'RecyclingAgent') expect(kept.stats.sockets).toMatchObject({ leased: 0, closed: 1, idle: 0 })
    if (name === 'RecyclingAgent') expect(closing.stats.sockets).toMatchObject({ leased: 0, closed: 1, idle: 0 })
  })

  it('abandons connections in the making', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = make({ connections: 2 })
    const requests = [send(agent, origin), send(agent, origin), send(agent, origin)]
    const seen: string[] = []
    for (const event of ['connect', 'disconnect'] as const) agent.on(event as 'connect', () => seen.push(event))
    const destroyed = agent.destroy()
    // undici fails what waits for its connection within destroy(), too.
    expect(requests.map(({ events }) => events)).toEqual([[DESTROYED], [DESTROYED], [DESTROYED]])
    await destroyed
    await setImmediate()
    expect(seen).toEqual([])
    for (const peer of peers) expect(peer.requests).toEqual([])
  })

  it('destroys the body that is being sent', async () => {
    const { origin, peer } = await rawServer(() => {})
    const agent = make()
    const body = new Readable({ read() {} })
    body.push('some')
    const { handler, ...recorded } = recording(style)
    agent.dispatch({ origin, path: '/', method: 'POST', body }, handler)
    await (await peer(0)).received(/some/)
    const reason = new Error('that is all')
    await agent.destroy(reason)
    expect(recorded.events.at(-1)).toEqual(['error', 'Error', undefined, 'that is all'])
    expect(body.destroyed).toBe(true)
  })

  it.each(['connect', 'disconnect'] as const)('is destroyed by a listener for %s', async (event) => {
    const { origin } = await rawServer(ending)
    const agent = make()
    const destroyed = new Promise((resolve) => agent.once(event as 'connect', () => resolve(agent.destroy())))
    const { done } = send(agent, origin)
    expect((await done).at(-1)?.[0]).toBe(event === 'connect' ? 'error' : 'end')
    expect(await destroyed).toBe(null)
  })

  it.each(['connect', 'disconnect'] as const)('is closed by a listener for %s', async (event) => {
    const { origin } = await rawServer(ending)
    const agent = make()
    const closed = new Promise((resolve) => agent.once(event as 'connect', () => resolve(agent.close())))
    const { done } = send(agent, origin)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(await closed).toBe(null)
  })

  it('refuses what its own error callbacks send', async () => {
    const { agent, origin, requests } = await running({ connections: 1 })
    const late: Recording[] = []
    const queued = send(agent, origin, { error: () => late.push(send(agent, origin)) })
    void requests[0]!.done.then(() => late.push(send(agent, origin)))
    await agent.destroy()
    expect(queued.events).toEqual([DESTROYED])
    expect(late.map(({ events }) => events)).toEqual([[DESTROYED], [DESTROYED]])
  })

  it('disposes of nothing by itself', () => {
    expect((make() as unknown as Record<symbol, unknown>)[(Symbol.asyncDispose ?? Symbol('none')) as symbol]).toBe(
      undefined,
    )
  })
})
