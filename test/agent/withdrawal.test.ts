/** Requests that are aborted while they wait for a connection. */
import { EventEmitter, getEventListeners } from 'node:events'
import { Agent, type Dispatcher, RetryAgent } from 'undici'
import { describe, expect, it } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { onMessage } from '../support/channels.js'
import { recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

/** An agent whose only connection is taken, by a request that the server does not answer. */
async function busyAgent(options: RecyclingAgentOptions = {}) {
  const { origin } = await rawServer(async (peer) => {
    await peer.request()
  })
  const agent = recyclingAgent({ connections: 1, ...options })
  const connected = new Promise((resolve) => agent.once('connect', resolve))
  const first = agent.request({ origin, path: '/first', method: 'GET' }).catch((error: Error) => error)
  await connected
  return { agent, origin, first }
}

const send = (agent: Dispatcher, origin: string, signal: unknown): Promise<unknown> =>
  agent.request({ origin, path: '/', method: 'GET', signal: signal as AbortSignal }).catch((error: unknown) => error)

describe('a request that waits in the queue', () => {
  it('fails at once with the reason of its AbortSignal, and leaves the queue', async () => {
    const { agent, origin } = await busyAgent()
    const controller = new AbortController()
    const outcome = send(agent, origin, controller.signal)
    expect(agent.stats[origin as `http${string}`]?.pending).toBe(1)
    const reason = new Error('no longer needed')
    controller.abort(reason)
    expect(await outcome).toBe(reason)
    expect(agent.stats[origin as `http${string}`]?.pending).toBe(0)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  it('fails at once when its EventEmitter emits abort', async () => {
    const { agent, origin } = await busyAgent()
    const signal = new EventEmitter()
    const outcome = send(agent, origin, signal)
    signal.emit('abort')
    expect(await outcome).toMatchObject({ name: 'AbortError', code: 'UND_ERR_ABORTED' })
    expect(signal.listenerCount('abort')).toBe(0)
    expect(agent.stats[origin as `http${string}`]?.pending).toBe(0)
  })

  it('fails at once when the signal was aborted before', async () => {
    const { agent, origin } = await busyAgent()
    const reason = new Error('never needed')
    expect(await send(agent, origin, AbortSignal.abort(reason))).toBe(reason)
  })

  it("fails at once by the function that undici 8.13's API passes on", async () => {
    const { agent, origin } = await busyAgent()
    let withdraw: ((reason: unknown) => void) | undefined
    const { handler, done } = recording('new')
    const hook = (given: typeof withdraw): void => {
      withdraw = given
    }
    const options = { origin, path: '/', method: 'GET', [Symbol('queued abort')]: hook }
    agent.dispatch(options as Dispatcher.DispatchOptions, handler)
    withdraw?.(new Error('gone'))
    expect(await done).toEqual([['error', 'Error', undefined, 'gone']])
  })

  it('is not taken for a failure that could be tried again', async () => {
    const { agent, origin } = await busyAgent()
    const retrying = new RetryAgent(agent, { retry: () => expect.unreachable() })
    const controller = new AbortController()
    const outcome = send(retrying, origin, controller.signal)
    controller.abort(Object.assign(new Error('over'), { code: 'ECONNRESET' }))
    expect(await outcome).toMatchObject({ message: 'over' })
  })

  it('lets the others go on in their order', async () => {
    const { origin } = await rawServer(answering(ok()))
    const agent = recyclingAgent({ connections: 1 })
    const controllers = Array.from({ length: 6 }, () => new AbortController())
    const outcomes = controllers.map(({ signal }) =>
      agent
        .request({ origin, path: '/', method: 'GET', signal })
        .then(({ body }) => body.text())
        .catch((error: Error) => error.name),
    )
    for (const i of [1, 2, 4]) controllers[i]!.abort()
    expect(await Promise.all(outcomes)).toEqual(['ok', 'AbortError', 'AbortError', 'ok', 'AbortError', 'ok'])
  })

  it("emits 'drain' where it was the last that waited", async () => {
    const { origin } = await rawServer(answering(ok()))
    const agent = recyclingAgent({ connections: 1 })
    const drained = new Promise((resolve) => agent.once('drain', resolve))
    const controller = new AbortController()
    const answered = get(agent, origin)
    const outcome = send(agent, origin, controller.signal)
    controller.abort()
    await Promise.all([drained, answered, outcome])
  })

  it('fails with what its signal throws', async () => {
    const { agent, origin } = await busyAgent()
    const { handler, done } = recording('new')
    const signal = {
      addEventListener() {
        throw new Error('no listeners here')
      },
    }
    agent.dispatch({ origin, path: '/', method: 'GET', signal } as Dispatcher.DispatchOptions, handler)
    expect(await done).toEqual([['error', 'Error', undefined, 'no listeners here']])
  })
})

describe('a connection that is being made', () => {
  it('is given up when nobody waits for it any more', async () => {
    const told: string[] = []
    onMessage('undici:client:connectError', ({ error }) => told.push((error as Error).message))
    const sockets: unknown[] = []
    const lookups: ((error: Error | null, address: string, family: number) => void)[] = []
    const agent = recyclingAgent({
      connect: { lookup: (_host, _options, callback) => void lookups.push(callback as (typeof lookups)[0]) },
    })
    agent.on('connect', () => sockets.push('connect')).on('connectionError', () => sockets.push('connectionError'))
    const controller = new AbortController()
    const outcome = send(agent, 'http://name.test:1', controller.signal)
    controller.abort(new Error('gone'))
    expect(await outcome).toMatchObject({ message: 'gone' })
    expect(agent.stats).toEqual({})
    expect(told).toEqual(['no request waits for this connection'])
    for (const callback of lookups) callback(null, '127.0.0.1', 4)
    expect(sockets).toEqual([])
    await agent.close()
  })

  it('goes to the next request that waits', async () => {
    const { origin } = await rawServer(answering(ok()))
    const agent = recyclingAgent({ connections: 1 })
    let connections = 0
    agent.on('connect', () => connections++)
    const controller = new AbortController()
    const outcome = send(agent, origin, controller.signal)
    const second = get(agent, origin)
    controller.abort(new Error('gone'))
    expect(await outcome).toMatchObject({ message: 'gone' })
    expect(await second).toBe('ok')
    expect(connections).toBe(1)
  })

  it("destroys the socket of a `connect` function, with undici's words", async () => {
    const { Socket } = await import('node:net')
    const socket = new Socket()
    const destroyed = new Promise((resolve) => socket.once('error', resolve))
    const agent = recyclingAgent({ connect: () => socket })
    const controller = new AbortController()
    const outcome = send(agent, 'http://name.test:1', controller.signal)
    controller.abort(new Error('gone'))
    await outcome
    expect(await destroyed).toMatchObject({ code: 'UND_ERR_INFO', message: 'no request waits for this connection' })
  })
})

it('a signal has no listener of the agent once its request is written', async () => {
  const { origin } = await rawServer(answering(ok()))
  const controller = new AbortController()
  const of = async (dispatcher: Dispatcher): Promise<number> => {
    const { body } = await dispatcher.request({ origin, path: '/', method: 'GET', signal: controller.signal })
    await body.dump()
    return getEventListeners(controller.signal, 'abort').length
  }
  const undicis = new Agent()
  const ours = recyclingAgent()
  expect([await of(ours), await of(ours)]).toEqual([await of(undicis), await of(undicis)])
  await undicis.close()
})
