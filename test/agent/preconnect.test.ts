/** Connections that are asked for ahead of the requests. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { errors, interceptors } from 'undici'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type RecyclingAgent, RecyclingPool } from '../../src/index.js'
import { Authority } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { arms } from '../support/laboratory.js'
import { answering, ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'

let program: Program
beforeAll(async () => {
  program = await Program.from(new URL('./programs/preconnect.ts', import.meta.url))
})
afterAll(() => program.delete())

// After the first child process, for which Node opens descriptors of its own.
expectNoDescriptorLeft()

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turn()
}

/** Refuses connections. */
async function nobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}

async function secureServer(names = ['127.0.0.1', 'localhost']) {
  const authority = await Authority.create()
  const server = await rawServer(answering(ok()), { secure: await authority.issue(names) })
  return { server, ca: authority.ca }
}

/** Accepts, and never says anything in the handshake. */
async function stalling(): Promise<{ origin: string; server: RawServer }> {
  const server = await rawServer(() => {})
  return { origin: server.origin.replace('http:', 'https:'), server }
}

describe.each(arms)('%s: preconnect', (transport, options) => {
  it('resolves when the connections are open, and requests use them', async () => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent(options)
    const connected = countConnections(agent)
    await agent.preconnect(server.origin, { connections: 3 })
    expect(connected()).toBe(3)
    expect(agent.stats[server.origin as 'http://']).toMatchObject({ connected: 3, free: 3, size: 0 })
    await server.peer(2)
    await Promise.all(['/a', '/b', '/c'].map((path) => get(agent, server.origin, path)))
    expect(connected()).toBe(3)
    expect(server.peers.map(({ requests }) => requests.length)).toEqual([1, 1, 1])
  })

  it('makes one by default, and sends nothing on it', async () => {
    const server = await rawServer(() => {})
    const agent = recyclingAgent(options)
    await agent.preconnect(new URL(server.origin))
    const peer = await server.peer(0)
    await agent.close()
    await peer.ended()
    expect(server.peers).toHaveLength(1)
    expect(peer.socket.bytesRead).toBe(0)
  })

  it('makes them besides those that there are', async () => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent(options)
    await agent.preconnect(server.origin)
    await agent.preconnect(server.origin, { connections: 2 })
    expect(agent.stats[server.origin as 'http://']).toMatchObject({ connected: 3, free: 3 })
  })

  it('makes no more than `connections` allows, and resolves at once where there is none to make', async () => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent({ ...options, connections: 2 })
    const connected = countConnections(agent)
    await agent.preconnect(server.origin, { connections: 5 })
    await agent.preconnect(server.origin)
    expect(connected()).toBe(2)
  })

  it('does the handshake of TLS, and proves the peer', async () => {
    const { server, ca } = await secureServer()
    const agent = recyclingAgent({ ...options, connect: { ca } })
    const connected = countConnections(agent)
    await agent.preconnect(server.origin)
    await server.peer(0)
    expect(await get(agent, server.origin)).toBe('ok')
    expect(connected()).toBe(1)
  })

  it('rejects when the peer is somebody else', async () => {
    const { server, ca } = await secureServer()
    const agent = recyclingAgent({ ...options, connect: { ca } })
    const { origin } = server
    await expect(agent.preconnect(origin, { servername: 'other.test' })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    const trustless = recyclingAgent(options)
    await expect(trustless.preconnect(origin)).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  })

  it('makes them for a name of its own, which requests of that name use', async () => {
    const { server, ca } = await secureServer(['a.test', '127.0.0.1'])
    const agent = recyclingAgent({ ...options, connect: { ca } })
    const connected = countConnections(agent)
    await agent.preconnect(server.origin, { servername: 'a.test' })
    const { body } = await agent.request({
      origin: server.origin,
      path: '/',
      method: 'GET',
      servername: 'a.test',
    } as never)
    await body.text()
    expect(connected()).toBe(1)
    // One of another name ends it: it has proved to be somebody else's.
    await get(agent, server.origin)
    expect(connected()).toBe(2)
  })

  it('rejects with the error of the connection, of which listeners hear, too', async () => {
    const agent = recyclingAgent(options)
    const origin = await nobody()
    const heard: unknown[] = []
    agent.on('connectionError', (_origin, _targets, error) => heard.push(error))
    const error = await agent.preconnect(origin, { connections: 2 }).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    await until(() => heard.length === 2)
    expect(heard[0]).toBe(error)
    expect(agent.stats).toEqual({})
  })

  it('rejects after connectTimeout when the peer stalls in its handshake', async () => {
    const { origin } = await stalling()
    const agent = recyclingAgent({ ...options, connectTimeout: 50 })
    await expect(agent.preconnect(origin)).rejects.toBeInstanceOf(errors.ConnectTimeoutError)
  })

  it('is told on the channels of undici as every connection', async () => {
    const server = await rawServer(answering(ok()))
    const told: string[] = []
    const listen = (_message: unknown, name: string | symbol): void => void told.push(String(name))
    const channels = ['beforeConnect', 'connected', 'connectError'].map((name) => `undici:client:${name}`)
    for (const channel of channels) subscribe(channel, listen)
    onTestFinished(() => {
      for (const channel of channels) unsubscribe(channel, listen)
    })
    await recyclingAgent(options).preconnect(server.origin)
    expect(told).toEqual(channels.slice(0, 2))
  })

  it('leaves them to keepAliveTimeout', async () => {
    const server = await rawServer(() => {})
    const agent = recyclingAgent({ ...options, keepAliveTimeout: 30 })
    const ended = once(agent, 'disconnect')
    await agent.preconnect(server.origin)
    const [, , reason] = await ended
    expect(reason).toMatchObject({ code: 'UND_ERR_INFO', message: 'socket idle timeout' })
    await (await server.peer(0)).ended()
  })

  it('rejects with ClientClosedError when close() comes first, which does not wait for it', async () => {
    const { origin, server } = await stalling()
    const agent = recyclingAgent(options)
    const preconnected = agent.preconnect(origin, { connections: 2 })
    const rejected = expect(preconnected).rejects.toBeInstanceOf(errors.ClientClosedError)
    await server.peer(1)
    await agent.close()
    await rejected
    for (const peer of server.peers) await peer.ended()
  })

  it('rejects with what destroy() was called with when that comes first', async () => {
    const { origin, server } = await stalling()
    for (const error of [undefined, new Error('enough')]) {
      const agent = recyclingAgent(options)
      const preconnected = agent.preconnect(origin)
      const rejected = expect(preconnected).rejects.toBeInstanceOf(error?.constructor ?? errors.ClientDestroyedError)
      await server.peer(server.peers.length)
      await agent.destroy(error ?? null)
      await rejected
    }
    for (const peer of server.peers) await peer.ended()
  })

  it.each(['close', 'destroy'] as const)('%s() ends those that are open', async (end) => {
    const server = await rawServer(() => {})
    const agent = recyclingAgent(options)
    await agent.preconnect(server.origin, { connections: 2 })
    await server.peer(1)
    await agent[end]()
    for (const peer of server.peers) await peer.ended()
  })

  it('rejects when the agent has ended', async () => {
    const agent = recyclingAgent(options)
    const closing = agent.close()
    await expect(agent.preconnect('http://127.0.0.1')).rejects.toBeInstanceOf(errors.ClientClosedError)
    await closing
    await expect(agent.preconnect('http://127.0.0.1')).rejects.toBeInstanceOf(errors.ClientDestroyedError)
  })

  it('survives listeners that destroy the agent', async () => {
    const server = await rawServer(() => {})
    const agent = recyclingAgent(options)
    agent.on('connect', () => void agent.destroy())
    await expect(agent.preconnect(server.origin, { connections: 3 })).rejects.toBeInstanceOf(
      errors.ClientDestroyedError,
    )
  })

  it('lets a request wait behind it for the only connection; when it fails the request is none the worse', async () => {
    const server = await rawServer(answering(ok()))
    let calls = 0
    const connectOrFail = (_options: object, done: (error: Error | null, socket: unknown) => void): void => {
      if (calls++ === 0) return void setImmediate(() => done(new Error('the first one'), null))
      const socket = connect(server.port, '127.0.0.1', () => done(null, socket))
    }
    const agent = recyclingAgent({ ...options, connections: 1, connect: connectOrFail as never })
    const rejected = expect(agent.preconnect(server.origin)).rejects.toThrow('the first one')
    expect(await get(agent, server.origin)).toBe('ok')
    await rejected
  })

  describe('when the peer ends it just as the first request is written', () => {
    const ends: [string, (peer: RawPeer) => unknown][] = [
      ['a FIN', (peer) => peer.socket.end()],
      ['a reset', (peer) => peer.socket.resetAndDestroy()],
    ]
    const losing = async (end: (peer: RawPeer) => unknown): Promise<RawServer> =>
      rawServer(async (peer) => {
        if (peer.index > 0) return answering(ok('again'))(peer)
        await peer.received(/\r\n\r\n/)
        end(peer)
      })

    it.each(ends)('by %s, sends it once more where that does no harm (retryStale)', async (_what, end) => {
      const server = await losing(end)
      const agent = recyclingAgent(options)
      await agent.preconnect(server.origin)
      expect(await get(agent, server.origin)).toBe('again')
      expect(agent.stats.sentAgain).toBe(1)
    })

    it.each(ends)('by %s, fails a request that may not be repeated', async (_what, end) => {
      const server = await losing(end)
      const agent = recyclingAgent(options)
      await agent.preconnect(server.origin)
      const posted = agent.request({ origin: server.origin, path: '/', method: 'POST', body: 'x' })
      await expect(posted).rejects.toMatchObject({ code: expect.stringMatching(/^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/) })
      expect(server.peers).toHaveLength(1)
    })
  })

  it.each(['open', 'handshake'])('keeps no process alive (%s)', async (mode) => {
    const { server, ca } = await secureServer()
    const { origin } = mode === 'open' ? server : await stalling()
    const result = await program.run({ args: [origin, ca, transport, mode] })
    expect(result).toMatchObject({ code: 0, stdout: mode === 'open' ? 'open\nexit\n' : 'exit\n', stderr: '' })
  })
})

describe('preconnect', () => {
  it.each([
    ['no origin', undefined],
    ['an empty one', ''],
    ['a path', 'http://a.test/path'],
    ['another scheme', 'ftp://a.test'],
    ['no URL', 'a.test'],
    ['a number', 1],
  ])('rejects %s', async (_what, origin) => {
    await expect(recyclingAgent().preconnect(origin as string)).rejects.toBeInstanceOf(errors.InvalidArgumentError)
  })

  it.each([
    { connections: 0 },
    { connections: -1 },
    { connections: 1.5 },
    { connections: Number.NaN },
    { connections: Number.POSITIVE_INFINITY },
    { connections: 65_536 },
    { connections: '1' },
    { connections: null },
    { servername: 1 },
    'options',
  ])('rejects the options %j', async (given) => {
    const agent = recyclingAgent()
    await expect(agent.preconnect('http://a.test', given as object)).rejects.toBeInstanceOf(errors.InvalidArgumentError)
    expect(agent.stats).toEqual({})
  })

  it('is there behind compose()', async () => {
    const server = await rawServer(answering(ok()))
    const composed = recyclingAgent().compose(interceptors.retry()) as unknown as RecyclingAgent
    await composed.preconnect(server.origin)
    await server.peer(0)
    expect(server.peers).toHaveLength(1)
  })

  it('of a pool is to its origin', async () => {
    const server = await rawServer(answering(ok()))
    const pool = new RecyclingPool(server.origin)
    onTestFinished(() => pool.destroy())
    await pool.preconnect({ connections: 2 })
    expect(pool.stats).toMatchObject({ connected: 2, free: 2 })
    await expect(pool.preconnect({ connections: 0 })).rejects.toBeInstanceOf(errors.InvalidArgumentError)
  })

  it('tells listeners in the async context of the call', async () => {
    const storage = new AsyncLocalStorage<string>()
    const server = await rawServer(() => {})
    const agent = recyclingAgent()
    const heard = new Promise((resolve) => agent.once('connect', () => resolve(storage.getStore())))
    await storage.run('mine', () => agent.preconnect(server.origin))
    expect(await heard).toBe('mine')
  })
})
