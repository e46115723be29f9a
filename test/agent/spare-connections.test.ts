/** `spareConnections`: connections that are open ahead of the requests, where the origin ends each behind its response. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { errors } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecyclingAgent, RecyclingAgentOptions } from '../../src/index.js'
import { Authority } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { arms } from '../support/laboratory.js'
import { answering, ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'

let program: Program
beforeAll(async () => {
  program = await Program.from(new URL('./programs/spares.ts', import.meta.url))
})
afterAll(() => program.delete())

// After the first child process, for which Node opens descriptors of its own.
expectNoDescriptorLeft()

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn()
}

async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}

const announced = async (peer: RawPeer): Promise<void> => {
  if ((await peer.request()) === null) return
  peer.write(ok('ok', 'connection: close\r\n'))
  peer.socket.end()
}
const unannounced = async (peer: RawPeer): Promise<void> => {
  if ((await peer.request()) === null) return
  peer.socket.end(ok())
}

const requestsOf = ({ peers }: RawServer): number[] => peers.map(({ requests }) => requests.length)

/** Resolves when so many spares are open. */
const spare = (agent: RecyclingAgent, origin: string, count = 1): Promise<void> =>
  until(() => agent.stats[origin as 'http://']?.connected === count)

describe.each(arms)('%s: with spareConnections', (transport, transportOptions) => {
  const agentWith = (options: RecyclingAgentOptions = {}): RecyclingAgent =>
    recyclingAgent({ ...transportOptions, spareConnections: 1, ...options })

  it.each([
    ['with the response', announced],
    ['without a word of it', unannounced],
  ])('a request finds a connection open where the origin ends each %s', async (_what, serve) => {
    const server = await rawServer(serve)
    const agent = agentWith()
    while (agent.stats.spares.used < 4) {
      expect(await get(agent, server.origin)).toBe('ok')
      await turns()
    }
    const { made } = agent.stats.spares
    expect(agent.stats.spares).toEqual({ made, used: 4, closedUnused: 0, failed: 0, backingOff: 0 })
  })

  it('nothing is sent on one before its request', async () => {
    const server = await rawServer(announced)
    const agent = agentWith()
    await get(agent, server.origin)
    await spare(agent, server.origin)
    const peer = await server.peer(1)
    await turns()
    expect(peer.socket.bytesRead).toBe(0)
  })

  it('none is made without the option', async () => {
    const server = await rawServer(announced)
    const agent = agentWith({ spareConnections: 0 })
    await get(agent, server.origin)
    await quiet(agent)
    await turns()
    expect(server.peers).toHaveLength(1)
    expect(agent.stats.spares).toEqual({ made: 0, used: 0, closedUnused: 0, failed: 0, backingOff: 0 })
    expect(Object.keys(agent.stats)).toEqual([])
  })

  it('none is made for an origin that keeps its connections, whatever single requests ask for', async () => {
    const server = await rawServer(async (peer) => {
      for (let request = await peer.request(); request !== null; request = await peer.request()) {
        if (!request.head.startsWith('HEAD')) peer.write(ok())
        else peer.socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n')
      }
    })
    const agent = agentWith()
    await get(agent, server.origin)
    await get(agent, server.origin)
    await (await agent.request({ origin: server.origin, path: '/', method: 'HEAD' })).body.dump()
    await get(agent, server.origin)
    await turns()
    expect(agent.stats.spares.made).toBe(0)
  })

  it('with pipelining 0 they are made: each request has a connection of its own', async () => {
    const server = await rawServer(answering(ok()))
    const agent = agentWith({ pipelining: 0 })
    await get(agent, server.origin)
    await spare(agent, server.origin)
    await get(agent, server.origin)
    expect(agent.stats.spares.used).toBe(1)
    expect(requestsOf(server).slice(0, 2)).toEqual([1, 1])
  })

  it('there are never more than that, as many as requests found missing', async () => {
    const server = await rawServer(announced)
    const agent = agentWith({ spareConnections: 4 })
    await get(agent, server.origin)
    await spare(agent, server.origin)
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 10 }, () => get(agent, server.origin)))
      await spare(agent, server.origin, 4)
      await turns()
      expect(agent.stats[server.origin as 'http://']).toMatchObject({ connected: 4, free: 4, size: 0 })
    }
    expect(requestsOf(server).filter((count) => count > 1)).toEqual([])
  })

  it('they end when no request has come for keepAliveTimeout, and are made again when one has', async () => {
    const server = await rawServer(announced)
    const agent = agentWith({ keepAliveTimeout: 60 })
    const reasons: unknown[] = []
    agent.on('disconnect', (_origin, _targets, { message }) => reasons.push(message))
    await get(agent, server.origin)
    await spare(agent, server.origin)
    await until(() => agent.stats.sockets.leased === 0)
    expect(reasons.at(-1)).toBe('socket idle timeout')
    const { made } = agent.stats.spares
    // Twice their time: others would have been made by then.
    await new Promise((resolve) => setTimeout(resolve, 120))
    expect(agent.stats.spares.made).toBe(made)
    expect(agent.stats).toEqual({})
    await get(agent, server.origin)
    await spare(agent, server.origin)
    expect(agent.stats.spares.made).toBe(made + 1)
  })

  it('they count against `connections`', async () => {
    const server = await rawServer(announced)
    const agent = agentWith({ spareConnections: 8, connections: 2 })
    const most: number[] = []
    agent.on('connect', () => most.push((agent.stats[server.origin as 'http://'] as { connected: number }).connected))
    await Promise.all(Array.from({ length: 20 }, () => get(agent, server.origin)))
    await turns()
    expect(Math.max(...most)).toBe(2)
  })

  /** Of connections that are made by a function, those that are chosen never come to their end. */
  function connecting(server: RawServer, stalls: (index: number) => boolean) {
    const stalled: number[] = []
    let index = 0
    const make = (_options: object, done: (error: Error | null, socket: Socket | null) => void): Socket => {
      const isStalled = stalls(index++)
      if (isStalled) stalled.push(index - 1)
      const socket = connect(server.port, '127.0.0.1', () => !isStalled && done(null, socket))
      return socket
    }
    return { connect: make as never, stalled }
  }

  it.each([
    ['that may have a connection of its own', {}],
    ['that needs the only one', { connections: 1 }],
  ])('one that stalls while it is made holds up no request %s', async (_what, options) => {
    const server = await rawServer(announced)
    const { connect, stalled } = connecting(server, (index) => index === 1)
    const agent = agentWith({ ...options, connect })
    await get(agent, server.origin)
    await until(() => stalled.length === 1)
    expect(await get(agent, server.origin)).toBe('ok')
  })

  it.each(['close', 'destroy'] as const)('%s() ends one that is being made', async (end) => {
    const server = await rawServer(announced)
    const { connect, stalled } = connecting(server, (index) => index === 1)
    const agent = agentWith({ connect })
    await get(agent, server.origin)
    await until(() => stalled.length === 1)
    const peer = await server.peer(1)
    await agent[end]()
    await peer.ended()
    expect(server.peers).toHaveLength(2)
  })

  it.each(['close', 'destroy'] as const)('%s() ends one that is open, and makes none', async (end) => {
    const server = await rawServer(announced)
    const agent = agentWith()
    await get(agent, server.origin)
    await spare(agent, server.origin)
    const peer = await server.peer(1)
    const pending = end === 'close' ? get(agent, server.origin) : undefined
    await agent[end]()
    expect(await pending).toBe(end === 'close' ? 'ok' : undefined)
    await peer.ended()
    await turns()
    expect(server.peers).toHaveLength(2)
  })

  it('destroy() ends those whose making is put off', async () => {
    const server = await rawServer(announced)
    const agent = agentWith({ connect: connecting(server, () => false).connect })
    agent.on('disconnect', () => void agent.destroy())
    await get(agent, server.origin)
    await once(agent, 'disconnect')
    await turns()
    expect(server.peers).toHaveLength(1)
    await expect(get(agent, server.origin)).rejects.toBeInstanceOf(errors.ClientDestroyedError)
  })

  it('the origin backs off when they cannot be made, and no request hears of it', async () => {
    const server = await rawServer(announced)
    let calls = 0
    const agent = agentWith({
      connect: ((_options: object, done: (error: Error | null, socket: Socket | null) => void) => {
        if (calls++ === 1) return void done(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), null)
        const socket = connect(server.port, '127.0.0.1', () => done(null, socket))
        return socket
      }) as never,
    })
    await get(agent, server.origin)
    await until(() => agent.stats.spares.failed === 1)
    expect(agent.stats.spares).toMatchObject({ made: 1, failed: 1, backingOff: 1 })
    for (let i = 0; i < 3; i++) expect(await get(agent, server.origin)).toBe('ok')
    expect(agent.stats.spares.made).toBe(1)
    await agent.close()
    expect(agent.stats.spares.backingOff).toBe(0)
  })

  it.each<[string, (peer: RawPeer) => unknown]>([
    ['closes', (peer) => peer.socket.end()],
    ['resets', (peer) => peer.socket.resetAndDestroy()],
    ['sends a response that nobody asked for on', (peer) => peer.write(ok('poison'))],
    ['sends garbage on', (peer) => peer.write('garbage\r\n\r\n')],
  ])('the origin backs off when the peer %s several in a row, and no request suffers', async (_what, disturb) => {
    const server = await rawServer(async (peer) => {
      // Whoever sends a request with its connection is served.
      for (let i = 0; i < 200 && peer.pending === ''; i++) await turn()
      if (peer.pending === '') return disturb(peer)
      return announced(peer)
    })
    const agent = agentWith()
    await get(agent, server.origin)
    await until(() => agent.stats.spares.closedUnused === 3)
    expect(agent.stats.spares).toMatchObject({ made: 3, used: 0, backingOff: 1 })
    expect(await get(agent, server.origin)).toBe('ok')
    expect(await get(agent, server.origin)).toBe('ok')
    expect(agent.stats.spares.made).toBe(3)
    expect(agent.stats.sentAgain).toBe(0)
  })

  it('a request that is lost with its spare before a byte of the response is sent once more (retryStale)', async () => {
    const server = await rawServer(async (peer) => {
      if (peer.index !== 1) return announced(peer)
      await peer.received(/\r\n\r\n/)
      peer.socket.resetAndDestroy()
    })
    const agent = agentWith()
    await get(agent, server.origin)
    await spare(agent, server.origin)
    expect(await get(agent, server.origin)).toBe('ok')
    expect(agent.stats.sentAgain).toBe(1)
  })

  it('a connection that its request has left for one that was there before is one of them', async () => {
    const server = await rawServer(announced)
    const held: (() => void)[] = []
    let calls = 0
    const connectHeld = (_options: object, done: (error: Error | null, socket: Socket) => void): Socket => {
      const isHeld = calls++ > 0
      const socket = connect(server.port, '127.0.0.1', () =>
        isHeld ? held.push(() => done(null, socket)) : done(null, socket),
      )
      return socket
    }
    const agent = agentWith({ connect: connectHeld as never })
    await get(agent, server.origin)
    await until(() => held.length === 1)
    const second = get(agent, server.origin)
    await until(() => held.length === 2)
    held[0]!()
    expect(await second).toBe('ok')
    held[1]!()
    await spare(agent, server.origin)
    expect(agent.stats.spares).toMatchObject({ made: 1, used: 1 })
    expect(await get(agent, server.origin)).toBe('ok')
    expect(agent.stats.spares).toMatchObject({ used: 2 })
  })

  it('they are made for the name that requests ask for (TLS)', async () => {
    const authority = await Authority.create()
    const server = await rawServer(announced, { secure: await authority.issue(['a.test']) })
    const agent = agentWith({ connect: { ca: authority.ca } })
    const send = async (): Promise<string> => {
      const options = { origin: server.origin, path: '/', method: 'GET', servername: 'a.test' }
      return (await agent.request(options as never)).body.text()
    }
    await send()
    await spare(agent, server.origin)
    expect(await send()).toBe('ok')
    expect(agent.stats.spares).toMatchObject({ used: 1, failed: 0 })
  })

  it.each(['open', 'being made'])('none keeps the process alive (%s)', async (state) => {
    const server = await rawServer(announced)
    const result = await program.run({ args: [server.origin, transport, state] })
    expect(result).toMatchObject({ code: 0, stdout: 'ok\nexit\n', stderr: '' })
  })

  it('a thousand origins have theirs, whatever few sockets are kept idle', { timeout: 60_000 }, async () => {
    const server = await rawServer(announced)
    const lookup = (_host: string, _options: object, done: (error: null, addresses: object[]) => void): void =>
      done(null, [{ address: '127.0.0.1', family: 4 }])
    const agent = agentWith({ maxIdleSockets: 8, connect: { lookup: lookup as never }, keepAliveTimeout: 60_000 })
    const connected = countConnections(agent)
    const origins = Array.from({ length: 1000 }, (_, i) => `http://n${i}.test:${server.port}`)
    for (let i = 0; i < origins.length; i += 50) {
      await Promise.all(origins.slice(i, i + 50).map((origin) => get(agent, origin)))
    }
    await until(() => connected() === 2000)
    for (let i = 0; i < origins.length; i += 50) {
      await Promise.all(origins.slice(i, i + 50).map((origin) => get(agent, origin)))
    }
    expect(agent.stats.spares).toMatchObject({ used: 1000, closedUnused: 0, backingOff: 0 })
    await agent.close()
    expect(agent.stats).toEqual({})
  })
})
