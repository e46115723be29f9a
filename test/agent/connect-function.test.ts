/** `connect` as a function: undici's connector of the caller's own, which may hand over any stream. */
import { connect as netConnect } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { buildConnector, type Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { dispatchers, expectNoDescriptorLeft } from '../support/dispatchers.js'
import { duplexPeer } from '../support/duplex-peer.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

/** As loose as what callers write. */
type Connect = (options: Record<string, unknown>, callback: (error?: unknown, socket?: unknown) => void) => unknown

const asOption = (connect: Connect): buildConnector.connector => connect as never

/** Hands over what is made for each connection; later, since undici's clients do not expect it at once. */
const handingOver =
  (make: (parameters: object) => Duplex): Connect =>
  (parameters, callback) =>
    void setImmediate().then(() => callback(null, make(parameters)))

function begin(agent: Dispatcher, origin: string, options: object = {}) {
  const recorded = recording('new')
  agent.dispatch({ origin, path: '/', method: 'GET', ...options }, recorded.handler)
  return recorded
}

const answered = [
  ['data', 'ok'],
  ['end', []],
]

describe.each(dispatchers)('%s', (_name, make) => {
  it.each<[string, object, object]>([
    ['http://a.test', {}, { protocol: 'http:', host: 'a.test', hostname: 'a.test', port: '', servername: null }],
    ['http://a.test:8080', {}, { protocol: 'http:', host: 'a.test:8080', hostname: 'a.test', port: '8080' }],
    ['http://[::1]:8080', {}, { host: '[::1]:8080', hostname: '::1', port: '8080', localAddress: null }],
    ['https://a.test', {}, { protocol: 'https:', host: 'a.test', port: '', servername: null }],
    ['https://a.test', { headers: { host: 'b.test' } }, { hostname: 'a.test', servername: 'b.test' }],
    ['https://a.test', { servername: 'c.test' }, { hostname: 'a.test', servername: 'c.test' }],
  ])('is told where to go: %s, %o', async (origin, options, told) => {
    const calls: object[] = []
    const agent = make({
      connect: asOption(
        handingOver((parameters) => {
          calls.push(parameters)
          return duplexPeer(ok()).stream
        }),
      ),
    })
    expect((await begin(agent, origin, options).done).slice(-2)).toEqual(answered)
    expect(calls).toEqual([expect.objectContaining(told)])
    expect(Object.keys(calls[0]!).sort()).toEqual([
      'host',
      'hostname',
      'localAddress',
      'port',
      'protocol',
      'servername',
    ])
  })

  it('is told of localAddress and socketPath, if they are given', async () => {
    const calls: object[] = []
    const connect = handingOver((parameters) => {
      calls.push(parameters)
      return duplexPeer(ok()).stream
    })
    const agent = make({ localAddress: '127.0.0.2', socketPath: '/a/socket', connect: asOption(connect) })
    await begin(agent, 'http://a.test').done
    expect(calls).toMatchObject([{ localAddress: '127.0.0.2', socketPath: '/a/socket', hostname: 'a.test' }])
  })

  it('may be async', async () => {
    const agent = make({
      connect: asOption(async (_parameters, callback) => {
        await Promise.resolve()
        callback(null, duplexPeer(ok()).stream)
      }),
    })
    expect((await begin(agent, 'http://a.test').done).slice(-2)).toEqual(answered)
  })

  it('may hand over a socket, whose connection is used as long as it is kept alive', async () => {
    const { origin, port, peers } = await rawServer(answering(ok()))
    const agent = make({
      connections: 1,
      connect: asOption((_parameters, callback) => {
        const socket = netConnect({ port, host: '127.0.0.1' }, () => callback(null, socket))
      }),
    })
    for (let i = 0; i < 3; i++) expect((await begin(agent, origin).done).slice(-2)).toEqual(answered)
    expect(peers).toHaveLength(1)
    if (agent instanceof RecyclingAgent) {
      // It is not the pool's.
      expect(agent.stats.sockets).toMatchObject({ recycled: 0, dissolved: 0, idle: 0 })
      expect(agent.stats[origin as 'http://a.test']).toMatchObject({ connected: true, running: 0 })
    }
    await agent.close()
    await peers[0]!.ended()
  })

  it("may be undici's buildConnector", async () => {
    const { origin, peers } = await rawServer(answering(ok('ok', 'connection: close\r\n')))
    const agent = make({ connect: buildConnector({ localAddress: '127.0.0.1' } as object) })
    for (let i = 0; i < 2; i++) expect((await begin(agent, origin).done).slice(-2)).toEqual(answered)
    expect(peers).toHaveLength(2)
  })

  it.each<[string, Connect]>([
    ['calls back with it', (_parameters, callback) => callback(new Error('no way'))],
    [
      'calls back with it later',
      (_parameters, callback) => {
        void setImmediate().then(() => callback(new Error('no way'), null))
      },
    ],
    [
      'throws it',
      () => {
        throw new Error('no way')
      },
    ],
  ])('fails the request with its error when it %s', async (_how, connect) => {
    const agent = make({ connect: asOption(connect) })
    const errors: unknown[] = []
    agent.on('connectionError', (_origin, _targets, error) => errors.push(error))
    const { done, events } = begin(agent, 'http://a.test')
    await done
    expect(events).toEqual([['error', 'Error', undefined, 'no way']])
    await Promise.resolve()
    expect(errors).toMatchObject([{ message: 'no way' }])
  })

  it('may call back with undefined instead of null', async () => {
    const connect: Connect = (_parameters, callback) =>
      void setImmediate().then(() => callback(undefined, duplexPeer(ok()).stream))
    const agent = make({ connect: asOption(connect) })
    expect((await begin(agent, 'http://a.test').done).slice(-2)).toEqual(answered)
  })

  it('may be too late: what it hands over after destroy() is destroyed', async () => {
    let handOver = (): void => {}
    const { stream } = duplexPeer(ok())
    const agent = make({
      connect: asOption((_parameters, callback) => {
        handOver = () => callback(null, stream)
      }),
    })
    const { done } = begin(agent, 'http://a.test')
    const destroyed = agent.destroy()
    handOver()
    expect((await done).at(-1)).toMatchObject([
      'error',
      'ClientDestroyedError',
      'UND_ERR_DESTROYED',
      expect.any(String),
    ])
    await destroyed
    expect(stream.destroyed).toBe(true)
  })

  it('sends a head that is larger than the buffer of the stream, and the body behind it', async () => {
    const { stream, peer } = duplexPeer(null)
    let received = 0
    const name = 'x'.repeat(60_000)
    peer.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received > 160_000) peer.write(ok())
    })
    const agent = make({ connect: asOption(handingOver(() => stream)) })
    const body = Buffer.alloc(100_000, 'y')
    const { done } = begin(agent, 'http://a.test', { method: 'PUT', headers: { name }, body })
    expect((await done).slice(-2)).toEqual(answered)
    const parts = begin(agent, 'http://a.test', { method: 'PUT', headers: { name }, body: [body, body] })
    received = 0
    expect((await parts.done).slice(-2)).toEqual(answered)
  })

  it('hands over a stream that ends when the response does', async () => {
    const { stream, peer } = duplexPeer('HTTP/1.1 200 OK\r\n\r\nok')
    const agent = make({ connect: asOption(handingOver(() => stream)) })
    const { done } = begin(agent, 'http://a.test')
    peer.once('data', () => peer.end())
    expect((await done).slice(-2)).toEqual(answered)
    while (!stream.destroyed) await setImmediate()
  })
})
