/** Hosts that are names: who shares a lookup, for how long its answer is remembered, and that nobody suffers from it. */
import dns, { type LookupAddress, type LookupOptions } from 'node:dns'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { InvalidArgumentError } from '../../src/errors.js'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { Authority } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { type Event, recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { isNative } from '../support/transport.js'

expectNoDescriptorLeft()

type Callback = (error: NodeJS.ErrnoException | null, address?: string | LookupAddress[], family?: number) => void

const closing = answering(ok('ok', 'connection: close\r\n'))
const notFound = (): NodeJS.ErrnoException =>
  Object.assign(new Error('getaddrinfo ENOTFOUND name.test'), {
    code: 'ENOTFOUND',
    errno: -3008,
    syscall: 'getaddrinfo',
    hostname: 'name.test',
  })

/** Lookups of the system's resolver that were made and not answered. */
let asked: { hostname: string; options: LookupOptions; callback: Callback }[] = []
let lookups = 0
/** Who answers them. */
let resolver: (callback: Callback, options: LookupOptions) => void

const answersWith =
  (...addresses: string[]) =>
  (callback: Callback): void =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )

beforeEach(() => {
  asked = []
  lookups = 0
  resolver = (callback) => setImmediate(answersWith('127.0.0.1'), callback)
  const real = dns.lookup
  vi.spyOn(dns, 'lookup').mockImplementation(((hostname: string, options: LookupOptions, callback: Callback) => {
    // Servers ask for the address that they listen on.
    if (hostname !== 'name.test') return real(hostname, options, callback as never)
    lookups++
    asked.push({ hostname, options, callback })
    resolver(callback, options)
  }) as never)
})

afterEach(() => {
  vi.restoreAllMocks()
})

const transports = isNative ? (['native', 'net'] as const) : (['net'] as const)

describe.each(transports)('names, over %s', (transport) => {
  const make = (options: RecyclingAgentOptions = {}): RecyclingAgent => recyclingAgent({ ...options, transport })
  const send = (agent: RecyclingAgent, port: number, options: object = {}): Promise<Event[]> => {
    const { handler, done } = recording('new')
    agent.dispatch({ origin: `http://name.test:${port}`, path: '/', method: 'GET', ...options }, handler)
    return done
  }

  it('are asked for once by all who need them at the same time, and not again for a second', async () => {
    const { port, peers } = await rawServer(closing)
    const agent = make()
    const several = await Promise.all(Array.from({ length: 20 }, () => send(agent, port)))
    for (const events of several) expect(events.at(-1)).toEqual(['end', []])
    for (let i = 0; i < 3; i++) expect((await send(agent, port)).at(-1)).toEqual(['end', []])
    expect(peers).toHaveLength(23)
    expect(asked).toMatchObject([{ hostname: 'name.test', options: { hints: dns.ADDRCONFIG, all: true } }])
  })

  it('are shared by the ports of a host', async () => {
    const servers = [await rawServer(closing), await rawServer(closing)]
    const agent = make()
    for (const { port } of servers) expect((await send(agent, port)).at(-1)).toEqual(['end', []])
    expect(lookups).toBe(1)
  })

  it('are asked for anew when dnsTtl is over', async () => {
    const { port } = await rawServer(closing)
    const agent = make({ dnsTtl: 10_000 })
    await send(agent, port)
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 9000)
    await send(agent, port)
    expect(lookups).toBe(1)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 10_000)
    await send(agent, port)
    expect(lookups).toBe(2)
  })

  it('are shared with a dnsTtl of 0, but not remembered', async () => {
    const { port } = await rawServer(closing)
    const agent = make({ dnsTtl: 0 })
    await Promise.all([send(agent, port), send(agent, port)])
    expect(lookups).toBe(1)
    await send(agent, port)
    expect(lookups).toBe(2)
  })

  it('are remembered by each agent for itself', async () => {
    const { port } = await rawServer(closing)
    await send(make(), port)
    await send(make(), port)
    expect(lookups).toBe(2)
  })

  it('are asked for with the family and flags that are given, for one address', async () => {
    const { port } = await rawServer(closing)
    resolver = (callback) => callback(null, '127.0.0.1', 4)
    const agent = make({ connect: { family: 4, hints: dns.V4MAPPED } as object })
    for (let i = 0; i < 2; i++) expect((await send(agent, port)).at(-1)).toEqual(['end', []])
    expect(asked).toMatchObject([{ hostname: 'name.test', options: { family: 4, hints: dns.V4MAPPED } }])
    expect(asked[0]!.options.all).not.toBe(true)
  })

  it('are asked for in configured families only, unless a family or flags are given, as by Node', async () => {
    const { port } = await rawServer(closing)
    const asking = async (connect: object): Promise<unknown> => {
      await send(make({ connect }), port)
      return asked.at(-1)!.options.hints
    }
    expect(await asking({ hints: 0 })).toBe(dns.ADDRCONFIG)
    expect(await asking({ family: 4 })).toBe(0)
    expect(await asking({ hints: dns.ALL })).toBe(dns.ALL)
  })

  it('that are not found fail all who have asked, each with an error as of Node, and are asked for anew', async () => {
    resolver = (callback) => setImmediate(callback, notFound())
    const agent = make()
    const errors = await Promise.all(
      [1, 2, 3].map(() =>
        agent.request({ origin: 'http://name.test', path: '/', method: 'GET' }).catch((error) => error),
      ),
    )
    for (const error of errors) {
      expect({ ...error, message: error.message }).toEqual({ ...notFound(), message: notFound().message })
    }
    expect([new Set(errors).size, lookups]).toEqual([3, 1])
    expect((await send(agent, 80)).at(-1)).toEqual(['error', 'Error', 'ENOTFOUND', notFound().message])
    expect(lookups).toBe(2)
  })

  it.each([
    [
      'a resolver that throws',
      () => {
        throw notFound()
      },
    ],
    ['a resolver that fails at once', (callback: Callback) => callback(notFound())],
  ])('fail with %s', async (_what, resolve) => {
    resolver = resolve
    expect((await send(make(), 80)).at(-1)).toEqual(['error', 'Error', 'ENOTFOUND', notFound().message])
  })

  it.each([
    ['no address', []],
    ['what is none', [{ address: 'nowhere', family: 4 }]],
  ])('for which the resolver says %s are asked for anew', async (_what, addresses) => {
    const { port } = await rawServer(closing)
    resolver = (callback) => callback(null, addresses)
    const agent = make()
    expect((await send(agent, port)).at(-1)?.slice(0, 2)).toEqual(['error', 'TypeError'])
    resolver = answersWith('127.0.0.1')
    expect((await send(agent, port)).at(-1)).toEqual(['end', []])
    expect(lookups).toBe(2)
  })

  it.each([['127.0.0.2'], ['127.0.0.2', '127.0.0.3']])(
    'whose addresses all refuse are asked for anew (%s %s)',
    async (...addresses) => {
      const { port } = await rawServer(closing)
      resolver = answersWith(...addresses.filter((address) => typeof address === 'string'))
      const agent = make()
      expect((await send(agent, port)).at(-1)?.[2]).toBe('ECONNREFUSED')
      resolver = answersWith('127.0.0.1')
      expect((await send(agent, port)).at(-1)).toEqual(['end', []])
      expect(lookups).toBe(2)
    },
  )

  it('of which one address refuses are tried at the other one first, as long as they are remembered', async () => {
    const { port, peers } = await rawServer(closing)
    resolver = answersWith('127.0.0.2', '127.0.0.1')
    const agent = make()
    for (let i = 0; i < 3; i++) expect((await send(agent, port)).at(-1)).toEqual(['end', []])
    expect([peers.length, lookups]).toEqual([3, 1])
    if (transport === 'native') expect(agent.stats.sockets.fresh).toBeLessThanOrEqual(4)
  })

  it("of a caller's own lookup are neither shared nor remembered", async () => {
    const { port } = await rawServer(closing)
    let own = 0
    const lookup = (_host: string, _options: object, callback: Callback): void => {
      own++
      setImmediate(answersWith('127.0.0.1'), callback)
    }
    const agent = make({ connect: { lookup: lookup as never } })
    await Promise.all([send(agent, port), send(agent, port)])
    await send(agent, port)
    expect([own, lookups]).toEqual([3, 0])
  })

  it('are told to those who still wait, and not to those who have given up', async () => {
    const { port, peers } = await rawServer(closing)
    resolver = () => {}
    const agent = make({ connectTimeout: 50 })
    expect((await send(agent, port)).at(-1)?.[2]).toBe('UND_ERR_CONNECT_TIMEOUT')
    const other = send(agent, port)
    answersWith('127.0.0.1')(asked[0]!.callback)
    expect((await other).at(-1)).toEqual(['end', []])
    expect([peers.length, lookups]).toEqual([1, 1])
  })

  it('fail everybody once when one of them destroys the agent as it is told', async () => {
    resolver = (callback) => setImmediate(callback, notFound())
    const agent = make()
    const recordings = [1, 2, 3].map(() => recording('new', { error: () => void agent.destroy() }))
    for (const { handler } of recordings)
      agent.dispatch({ origin: 'http://name.test', path: '/', method: 'GET' }, handler)
    const codes = await Promise.all(recordings.map(async ({ done }) => (await done).map(([name]) => name)))
    expect(codes).toEqual([['error'], ['error'], ['error']])
  })

  it("are not waited for when the agent is destroyed, and what the resolver says then is nobody's business", async () => {
    const { port, peers } = await rawServer(closing)
    resolver = () => {}
    const agent = make()
    const done = send(agent, port)
    while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
    await agent.destroy()
    expect((await done).at(-1)?.[1]).toBe('ClientDestroyedError')
    answersWith('127.0.0.1')(asked[0]!.callback)
    await new Promise((resolve) => setImmediate(resolve))
    expect([peers.length, agent.stats.sockets.leased]).toEqual([0, 0])
  })

  it('do not need a clock that goes on', async () => {
    const { port } = await rawServer(closing)
    vi.spyOn(performance, 'now').mockReturnValue(5)
    const agent = make({ dnsTtl: 1 })
    for (let i = 0; i < 3; i++) expect((await send(agent, port)).at(-1)).toEqual(['end', []])
    expect(lookups).toBe(1)
  })

  it('are shared over https as well', async () => {
    const authority = await Authority.create()
    const { port } = await rawServer(closing, { secure: await authority.issue(['name.test']) })
    const agent = make({ connect: { ca: authority.ca } })
    const origin = `https://name.test:${port}`
    expect(await Promise.all([1, 2, 3].map(() => get(agent, origin)))).toEqual(['ok', 'ok', 'ok'])
    expect(await get(agent, origin)).toBe('ok')
    expect(lookups).toBe(1)
  })

  it("are those of the system's resolver", async () => {
    vi.mocked(dns.lookup).mockRestore()
    const { port } = await rawServer(closing)
    expect(await get(make(), `http://localhost:${port}`)).toBe('ok')
  })
})

it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '1000'])('refuses a dnsTtl of %s', (dnsTtl) => {
  const error = new InvalidArgumentError('invalid dnsTtl')
  expect(() => new RecyclingAgent({ dnsTtl: dnsTtl as number })).toThrow(error)
})
