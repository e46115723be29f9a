/** Requests that wait for a connection to be made, when another one can serve them first. */
import { describe, expect, it } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { Authority } from '../support/certificates.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { arms } from '../support/laboratory.js'
import { ok, type RawServer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

type Answer = (error: Error | null) => void

/** The names of all connections but the first ones wait to be resolved. */
function heldLookup(free: number) {
  const waiting: Answer[] = []
  let asked = 0
  let wake: (() => void) | undefined
  const lookup = (_host: string, _options: object, done: (error: Error | null, addresses: object[]) => void): void => {
    const answer: Answer = (error) => done(error, error === null ? [{ address: '127.0.0.1', family: 4 }] : [])
    if (asked++ < free) return answer(null)
    waiting.push(answer)
    wake?.()
  }
  return {
    lookup,
    waiting,
    async held(count: number): Promise<void> {
      while (waiting.length < count) await new Promise<void>((resolve) => (wake = resolve))
    },
  }
}

/** Answers `/held` when it is told to, and all else at once. */
async function holding(secure?: { key: string; cert: string }): Promise<RawServer & { answer(): void }> {
  const held: (() => void)[] = []
  const server = await rawServer(
    async (peer) => {
      for (let request = await peer.request(); request !== null; request = await peer.request()) {
        const [, path] = request.head.split(' ')
        if (path === '/held') await new Promise<void>((resolve) => held.push(resolve))
        peer.write(ok(`${path} on ${peer.index}`))
      }
    },
    secure === undefined ? {} : { secure },
  )
  return Object.assign(server, { answer: () => held.shift()!() })
}

describe.each(arms)('%s: a request that waits for its connection to be made', (_name, options) => {
  /** An agent with one connection that has been used twice, and so is known to be kept, and busy. */
  async function busy(more: RecyclingAgentOptions = {}) {
    const server = await holding()
    const origin = server.origin.replace('127.0.0.1', 'name.test')
    const held = heldLookup(1)
    const agent = recyclingAgent({ ...options, ...more, connect: { lookup: held.lookup as never } })
    const connected = countConnections(agent)
    await get(agent, origin)
    await get(agent, origin)
    const first = get(agent, origin, '/held')
    while (server.requests.length < 3) await new Promise((resolve) => setImmediate(resolve))
    return { server, origin, held, agent, connected, first }
  }

  it('waits on when the one that becomes free is older than clientTtl by then', async () => {
    const clientTtl = 1000
    const { server, origin, held, agent, first } = await busy({ clientTtl })
    const second = get(agent, origin, '/second')
    await held.held(1)
    await new Promise((resolve) => setTimeout(resolve, clientTtl + 50))
    server.answer()
    expect(await first).toBe('/held on 0')
    held.waiting[0]!(null)
    expect(await second).toBe('/second on 1')
  })

  it('takes the one that becomes free before that, and the other is a free one', async () => {
    const { server, origin, held, agent, connected, first } = await busy()
    const second = get(agent, origin, '/second')
    await held.held(1)
    server.answer()
    expect(await first).toBe('/held on 0')
    expect(await second).toBe('/second on 0')
    expect(connected()).toBe(1)
    held.waiting[0]!(null)
    await server.peer(1)
    while (connected() < 2) await new Promise((resolve) => setImmediate(resolve))
    expect(agent.stats[origin as 'http://']).toMatchObject({ connected: 2, free: 2, size: 0 })
    const both = [get(agent, origin, '/held'), get(agent, origin, '/next')]
    expect(await both[1]).toBe('/next on 1')
    server.answer()
    await both[0]
    expect(connected()).toBe(2)
  })

  it('is served in its turn: the one that has waited longest comes first', async () => {
    const { server, origin, held, agent, first } = await busy()
    const others = ['/a', '/b', '/c'].map((path) => get(agent, origin, path))
    await held.held(3)
    server.answer()
    await Promise.all([first, ...others])
    expect(server.peers).toHaveLength(1)
    expect(server.requests.slice(3).map(({ head }) => head.split(' ')[1])).toEqual(['/a', '/b', '/c'])
  })

  it('comes before those of the queue, which take what is left', async () => {
    const { server, origin, held, agent, connected, first } = await busy({ connections: 2 })
    const second = get(agent, origin, '/held')
    await held.held(1)
    const third = get(agent, origin, '/third')
    expect(agent.stats[origin as 'http://']).toMatchObject({ pending: 2, queued: 1, running: 1 })
    server.answer()
    await first
    while (server.requests.length < 4) await new Promise((resolve) => setImmediate(resolve))
    held.waiting[0]!(null)
    expect(await third).toBe('/third on 1')
    server.answer()
    expect(await second).toBe('/held on 0')
    expect(connected()).toBe(2)
  })

  it('does not hear when the connection that it has left cannot be made: only listeners do', async () => {
    const { server, origin, held, agent, first } = await busy()
    const errors: string[] = []
    agent.on('connectionError', (_origin, _targets, error) => errors.push(error.message))
    const second = get(agent, origin, '/second')
    await held.held(1)
    server.answer()
    await first
    expect(await second).toBe('/second on 0')
    held.waiting[0]!(new Error('no such name'))
    while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(errors).toEqual(['no such name'])
    expect(await get(agent, origin)).toBe('/ on 0')
  })

  it('hears of the failure as long as it waits', async () => {
    const { server, origin, held, agent, first } = await busy()
    const second = get(agent, origin, '/second').catch((error: Error) => error.message)
    await held.held(1)
    held.waiting[0]!(new Error('no such name'))
    expect(await second).toBe('no such name')
    server.answer()
    await first
  })

  it('may be aborted meanwhile, and its connection is given up', async () => {
    const { server, origin, held, agent, connected, first } = await busy()
    const controller = new AbortController()
    const aborted = agent
      .request({ origin, path: '/', method: 'GET', signal: controller.signal })
      .catch(() => 'aborted')
    await held.held(1)
    controller.abort()
    expect(await aborted).toBe('aborted')
    server.answer()
    await first
    expect(connected()).toBe(1)
    expect(agent.stats[origin as 'http://']).toMatchObject({ connected: 1, size: 0 })
  })

  it.each(['close', 'destroy'] as const)(
    'has a connection no more, and %s() ends the one in the making',
    async (end) => {
      const { server, origin, held, agent, first } = await busy()
      const second = get(agent, origin, '/second')
      await held.held(1)
      server.answer()
      await first
      await second
      await agent[end]()
      held.waiting[0]!(null)
      await server.peers[0]!.ended()
      expect(server.peers).toHaveLength(1)
    },
  )

  it('stays with it while the origin may still be closing the other one, unannounced', async () => {
    const server = await holding()
    const origin = server.origin.replace('127.0.0.1', 'name.test')
    const held = heldLookup(1)
    const agent = recyclingAgent({ ...options, connect: { lookup: held.lookup as never } })
    // It has not shown yet that it keeps connections: its FIN may be behind this response.
    const first = get(agent, origin, '/held')
    while (server.requests.length < 1) await new Promise((resolve) => setImmediate(resolve))
    const second = get(agent, origin, '/second')
    await held.held(1)
    server.answer()
    await first
    server.peers[0]!.socket.end()
    await server.peers[0]!.ended()
    held.waiting[0]!(null)
    expect(await second).toBe('/second on 1')
    expect(agent.stats.sentAgain).toBe(0)
  })

  it('takes the free one when none has come in time', async () => {
    const server = await holding()
    const origin = server.origin.replace('127.0.0.1', 'name.test')
    const held = heldLookup(1)
    const agent = recyclingAgent({ ...options, connect: { lookup: held.lookup as never } })
    const first = get(agent, origin, '/held')
    while (server.requests.length < 1) await new Promise((resolve) => setImmediate(resolve))
    const second = get(agent, origin, '/second')
    await held.held(1)
    server.answer()
    await first
    expect(await second).toBe('/second on 0')
  })

  it('takes none that has proved to be for another name (TLS)', async () => {
    const authority = await Authority.create()
    const server = await holding(await authority.issue(['a.test', 'b.test', 'name.test']))
    const origin = server.origin.replace('127.0.0.1', 'name.test')
    const held = heldLookup(1)
    const agent = recyclingAgent({ ...options, connect: { lookup: held.lookup as never, ca: authority.ca } })
    const begin = (path: string, servername: string) => {
      const recorded = recording('new')
      agent.dispatch({ origin, path, method: 'GET', servername } as never, recorded.handler)
      return recorded
    }
    await begin('/', 'a.test').done
    await begin('/', 'a.test').done
    const first = begin('/held', 'a.test')
    while (server.requests.length < 3) await new Promise((resolve) => setImmediate(resolve))
    const second = begin('/b', 'b.test')
    const third = begin('/a', 'a.test')
    await held.held(2)
    server.answer()
    await first.done
    expect((await third.done).find(([name]) => name === 'data')).toEqual(['data', '/a on 0'])
    held.waiting[0]!(null)
    expect((await second.done).find(([name]) => name === 'data')).toEqual(['data', '/b on 1'])
  })
})
