/** A name with several addresses: who is tried beside whom, who wins, and what is told when all fail (RFC 8305 5). */
import type { LookupAddress } from 'node:dns'
import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import type { RecyclingAgent, RecyclingAgentOptions } from '../../src/index.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { silentListener } from '../support/silent-listener.js'
import { isNative, itNative } from '../support/transport.js'

expectNoDescriptorLeft()

type Callback = (error: null, addresses: LookupAddress[]) => void

/** An agent for which every name has these IPv4 addresses, all of them this host's. */
function agentFor(addresses: string[], options: RecyclingAgentOptions = {}): RecyclingAgent {
  const lookup = (_host: string, _options: object, callback: Callback): void =>
    callback(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    )
  const times = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 50 }
  return recyclingAgent({ ...times, ...options, connect: { lookup: lookup as never } })
}

/** Nobody listens at any port of it. */
const REFUSING = '127.0.0.4'
const SILENT = '127.0.0.2'
const GOOD = '127.0.0.1'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const serving = (body: string) => (socket: Socket) => socket.once('data', () => socket.end(ok(body)))

const closing = answering(ok('good', 'connection: close\r\n'))

/** Blocks the thread, not the kernel. */
const block = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

itNative('goes on with an attempt that takes long, beside the next ones', async () => {
  const { port } = await rawServer(closing)
  const slow = await silentListener(SILENT, port)
  const agent = agentFor([SILENT, REFUSING])
  const body = get(agent, `http://name.test:${port}`)
  // The other one has been tried, and has failed.
  while (agent.stats.sockets.closed === 0) await turn()
  expect(agent.stats.sockets).toMatchObject({ fresh: 2, leased: 1 })
  await slow.wake(serving('slow'))
  expect(await body).toBe('slow')
})

itNative('gives the others up when one is connected', async () => {
  const { port } = await rawServer(closing)
  await silentListener(SILENT, port)
  await silentListener('127.0.0.3', port)
  const agent = agentFor([SILENT, '127.0.0.3', GOOD])
  expect(await get(agent, `http://name.test:${port}`)).toBe('good')
  expect(agent.stats.sockets).toMatchObject({ fresh: 3, closed: 2 })
})

itNative('takes one of two that are connected in the same turn of the event loop', async () => {
  const { port } = await rawServer(closing)
  const slow = [await silentListener(SILENT, port), await silentListener('127.0.0.3', port)]
  const agent = agentFor([SILENT, '127.0.0.3'])
  const body = get(agent, `http://name.test:${port}`)
  while (agent.stats.sockets.leased < 2) await turn()
  let requests = 0
  for (const listener of slow) {
    await listener.wake((socket) => {
      socket.once('data', () => {
        requests++
        socket.end(ok('slow'))
      })
    })
  }
  // The SYNs that were not heard are sent again meanwhile, by the kernel.
  block(1200)
  expect(await body).toBe('slow')
  expect(requests).toBe(1)
  expect(agent.stats.sockets).toMatchObject({ fresh: 2, closed: 1 })
})

it('tries the next one at once when one fails', async () => {
  const { port } = await rawServer(closing)
  const agent = agentFor([REFUSING, GOOD], { autoSelectFamilyAttemptTimeout: 60_000 })
  expect(await get(agent, `http://name.test:${port}`)).toBe('good')
})

it.each(isNative ? (['native', 'net'] as const) : (['net'] as const))(
  'names every address that failed, and why, when one of them took too long (%s)',
  async (transport) => {
    const { port } = await rawServer(closing)
    await silentListener(SILENT, port)
    const recorded = recording('new')
    const agent = agentFor([SILENT, REFUSING], { transport, connectTimeout: 200, autoSelectFamilyAttemptTimeout: 10 })
    agent.dispatch({ origin: `http://name.test:${port}`, path: '/', method: 'GET' }, recorded.handler)
    const message = `connect failed to name.test:${port}: ${SILENT} ETIMEDOUT, ${REFUSING} ECONNREFUSED`
    expect(await recorded.done).toEqual([['error', 'ConnectTimeoutError', 'UND_ERR_CONNECT_TIMEOUT', message]])
    const { cause } = recorded.error as { cause: AggregateError & NodeJS.ErrnoException }
    expect(cause).toBeInstanceOf(AggregateError)
    expect([cause.message, cause.code]).toEqual([message, 'ETIMEDOUT'])
    expect(cause.errors).toMatchObject([
      { code: 'ETIMEDOUT', syscall: 'connect', address: SILENT, port },
      { code: 'ECONNREFUSED', syscall: 'connect', address: REFUSING, port },
    ])
  },
)

it('tells the one error of an address that a resolver says twice', async () => {
  const { port } = await rawServer(closing)
  const { handler, done } = recording('new')
  const agent = agentFor(isNative ? [REFUSING, REFUSING] : [REFUSING])
  agent.dispatch({ origin: `http://name.test:${port}`, path: '/', method: 'GET' }, handler)
  expect(await done).toEqual([['error', 'Error', 'ECONNREFUSED', `connect ECONNREFUSED ${REFUSING}:${port}`]])
})

itNative('closes every descriptor that is on its way when the agent is destroyed', async () => {
  const { port } = await rawServer(closing)
  for (const address of [SILENT, '127.0.0.3']) await silentListener(address, port)
  const agent = agentFor([SILENT, '127.0.0.3'])
  const { handler, done } = recording('new')
  agent.dispatch({ origin: `http://name.test:${port}`, path: '/', method: 'GET' }, handler)
  while (agent.stats.sockets.leased < 2) await turn()
  await agent.destroy()
  expect((await done).at(-1)?.[1]).toBe('ClientDestroyedError')
  expect(agent.stats.sockets).toMatchObject({ fresh: 2, closed: 2, leased: 0 })
})
