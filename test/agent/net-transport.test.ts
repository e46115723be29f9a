/** The agent over ordinary sockets: the same to those who use it, and nothing is recycled. */
import { AsyncLocalStorage } from 'node:async_hooks'
import net from 'node:net'
import { setImmediate } from 'node:timers/promises'
import tls from 'node:tls'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { RecyclingPool } from '../../src/index.js'
import type { LookupFunction } from '../../src/transport/addresses.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { silentListener } from '../support/silent-listener.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1'])
})

expectNoDescriptorLeft()

afterEach(() => {
  vi.restoreAllMocks()
})

const netAgent = (options: RecyclingAgentOptions = {}) =>
  recyclingAgent({ transport: 'net', ...options, connect: { ca, ...options.connect } as object })

const closing = async (peer: RawPeer): Promise<void> => {
  await peer.request()
  peer.socket.end(ok('ok', 'connection: close\r\n'))
}

describe.each(['http', 'https'])('%s', (protocol) => {
  const serverOf = (serve: (peer: RawPeer) => unknown) =>
    rawServer(serve, protocol === 'https' ? { secure: certificate } : {})

  it('makes connections that whoever patches net.Socket can see', async () => {
    const { origin, port } = await serverOf(closing)
    const connect = vi.spyOn(net.Socket.prototype, 'connect')
    expect(await get(netAgent(), origin)).toBe('ok')
    const ports = connect.mock.calls.map(([options]) => [options].flat(2)[0] as unknown as { port: string | number })
    expect(ports.map((options) => Number(options.port))).toEqual([port])
  })

  it('makes none that they can see where descriptors are recycled', async () => {
    const { origin } = await serverOf(closing)
    const connect = vi.spyOn(net.Socket.prototype, 'connect')
    expect(await get(recyclingAgent({ transport: 'native', connect: { ca } }), origin)).toBe('ok')
    expect(connect).not.toHaveBeenCalled()
  })

  it('counts sockets, and says that nothing is recycled', async () => {
    const { origin } = await serverOf(closing)
    const agent = netAgent()
    for (let i = 0; i < 3; i++) expect(await get(agent, origin)).toBe('ok')
    await quiet(agent)
    expect(agent.stats.sockets).toEqual({
      fresh: 3,
      closed: 3,
      recycled: 0,
      dissolved: 0,
      graceful: 0,
      refused: 0,
      aborted: 0,
      idle: 0,
      leased: 0,
    })
  })

  it('counts what is open, and what was aborted', async () => {
    const { origin } = await serverOf(async (peer) => {
      await peer.request()
      peer.write(ok())
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf')
    })
    const agent = netAgent()
    await get(agent, origin)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 0, leased: 1 })
    expect(agent.stats[origin as 'http://a.test']).toMatchObject({ connected: 1, free: 1 })
    const { handler, done } = recording('new', { data: (flow) => flow.abort() })
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await done
    await agent.close()
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 1, aborted: 1, leased: 0 })
  })

  it('has closed its sockets when close() resolves', async () => {
    const { origin, peers } = await serverOf(answering(ok()))
    const agent = netAgent()
    await Promise.all([get(agent, origin), get(agent, origin)])
    await agent.close()
    expect(agent.stats.sockets).toMatchObject({ fresh: 2, closed: 2 })
    for (const peer of peers) await peer.ended()
  })

  it('has closed its sockets when destroy() resolves', async () => {
    const { origin, peers } = await serverOf(answering(ok()))
    const agent = netAgent()
    await get(agent, origin)
    await agent.destroy()
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 1 })
    await peers[0]!.ended()
  })

  it('gives up connecting when the agent is destroyed', async () => {
    const { port, peer } = await rawServer(() => {})
    await silentListener('127.0.0.2', port)
    const agent = netAgent({ connectTimeout: 0 })
    // Both in vain: one has no TLS, the other no connection.
    const host = protocol === 'https' ? '127.0.0.1' : '127.0.0.2'
    const { handler, done } = recording('new')
    agent.dispatch({ origin: `${protocol}://${host}:${port}`, path: '/', method: 'GET' }, handler)
    if (protocol === 'https') await (await peer(0)).received(/./s)
    await agent.destroy()
    expect(await done).toMatchObject([['error', 'ClientDestroyedError', 'UND_ERR_DESTROYED', expect.any(String)]])
    if (protocol === 'https') await (await peer(0)).ended()
  })

  it('lists the addresses that were tried before connectTimeout', async () => {
    const { port } = await rawServer(() => {})
    await silentListener('127.0.0.2', port)
    await silentListener('127.0.0.3', port)
    const lookup = (_host: string, _options: object, done: (error: null, addresses: object[]) => void): void =>
      done(null, [
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.3', family: 4 },
      ])
    const times = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 10, connectTimeout: 80 }
    const options = { ...times, connect: { lookup: lookup as never } }
    for (const transport of ['net', 'native'] as const) {
      const { handler, done } = recording('new')
      const agent = netAgent({ ...options, transport })
      agent.dispatch({ origin: `${protocol}://name.test:${port}`, path: '/', method: 'GET' }, handler)
      const [[, , code, message] = []] = await done
      expect(code).toBe('UND_ERR_CONNECT_TIMEOUT')
      expect(message).toBe(
        `Connect Timeout Error (attempted addresses: 127.0.0.2:${port}, 127.0.0.3:${port}, timeout: 80ms)`,
      )
    }
  })

  it('keeps the contexts of requests from the sockets', async () => {
    const { origin } = await serverOf(answering(ok()))
    const storage = new AsyncLocalStorage<string>()
    const stores: unknown[] = []
    const lookup: LookupFunction = (_host, _options, callback) => {
      stores.push(storage.getStore())
      callback(null, [{ address: '127.0.0.1', family: 4 }])
    }
    const agent = netAgent({ connections: 1, connect: { lookup, rejectUnauthorized: false } })
    await storage.run('first', () => get(agent, origin.replace('127.0.0.1', 'name.test')))
    expect(stores).toEqual([undefined])
  })

  it('marks packets where sockets can do it', async () => {
    const { origin } = await serverOf(answering(ok()))
    const marks: number[] = []
    const prototype = net.Socket.prototype as unknown as Record<string, unknown>
    const before = prototype.setTypeOfService
    prototype.setTypeOfService = (value: number) => {
      marks.push(value)
      throw new Error('not now')
    }
    try {
      const { handler, done } = recording('new')
      const options = { origin, path: '/', method: 'GET', typeOfService: 0x28 }
      netAgent().dispatch(options as never, handler)
      expect((await done).at(-1)).toEqual(['end', []])
    } finally {
      if (before === undefined) delete prototype.setTypeOfService
      else prototype.setTypeOfService = before
    }
    expect(marks).toEqual([0x28])
  })
})

it('reads the certificate authorities once', async () => {
  const { origin } = await rawServer(closing, { secure: certificate })
  const agent = netAgent()
  const create = vi.spyOn(tls, 'createSecureContext')
  for (let i = 0; i < 3; i++) await get(agent, origin)
  expect(create.mock.calls.filter(([options]) => options?.ca === ca)).toHaveLength(1)
})

it('tells of options that no SecureContext can be made of', async () => {
  const { origin } = await rawServer(closing, { secure: certificate })
  await expect(get(netAgent({ connect: { key: 'no key' } }), origin)).rejects.toThrow(/PEM|key|DECODER/i)
})

it('is there for a pool, too', async () => {
  const { origin } = await rawServer(closing)
  const pool = new RecyclingPool(origin, { transport: 'net' })
  const { body } = await pool.request({ path: '/', method: 'GET' })
  expect(await body.text()).toBe('ok')
  await pool.close()
  expect(pool.stats.sockets).toMatchObject({ fresh: 1, closed: 1, recycled: 0 })
  await setImmediate()
})
