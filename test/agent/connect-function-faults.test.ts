/** What a `connect` function may do that undici does not expect, and streams that do not last. */
import { getEventListeners } from 'node:events'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { brokenStream, duplexPeer } from '../support/duplex-peer.js'
import { type Flow, type Hooks, recording } from '../support/handlers.js'
import { ok } from '../support/raw-server.js'

expectNoDescriptorLeft()

/** As loose as what callers write. */
type Connect = (options: object, callback: (error?: unknown, socket?: unknown) => void) => unknown

function begin(connect: Connect, hooks: Hooks = {}, agent = agentOf(connect)) {
  const recorded = recording('new', hooks)
  agent.dispatch({ origin: 'http://a.test', path: '/', method: 'GET' }, recorded.handler)
  return { ...recorded, agent }
}

const agentOf = (connect: Connect, options = {}) => recyclingAgent({ ...options, connect: connect as never })
const answered = [
  ['data', 'ok'],
  ['end', []],
]
const noSocket = [['error', 'TypeError', undefined, 'connect made no socket']]

describe('a connect function', () => {
  it('may call back at once', async () => {
    const { done } = begin((_options, callback) => callback(null, duplexPeer(ok()).stream))
    expect((await done).slice(-2)).toEqual(answered)
  })

  it('that is async fails the request by its promise', async () => {
    const { done } = begin(async () => {
      throw new Error('no way')
    })
    expect(await done).toEqual([['error', 'Error', undefined, 'no way']])
  })

  it.each<[string, Connect]>([
    ['nothing', (_options, callback) => callback()],
    ['null twice', (_options, callback) => callback(null, null)],
    ['a promise that is rejected with nothing', () => Promise.reject()],
  ])('that hands over %s fails the request', async (_what, connect) => {
    expect(await begin(connect).done).toEqual(noSocket)
  })

  it('may throw what is no error', async () => {
    const connect = (): never => {
      throw 'a string'
    }
    expect(await begin(connect).done).toEqual([['error', 'a string']])
  })

  it('may call back twice with the same stream', async () => {
    const { stream } = duplexPeer(ok())
    const { done } = begin((_options, callback) => {
      callback(null, stream)
      callback(null, stream)
    })
    expect((await done).slice(-2)).toEqual(answered)
    expect(stream.destroyed).toBe(false)
  })

  it('loses the other stream when it calls back with two', async () => {
    const [first, second] = [duplexPeer(ok()), duplexPeer(ok())]
    const { done } = begin((_options, callback) => {
      callback(null, first.stream)
      callback(null, second.stream)
    })
    expect((await done).slice(-2)).toEqual(answered)
    expect(second.stream.destroyed).toBe(true)
    expect(second.received).toBe('')
  })

  it('keeps its stream when it says afterwards that it has failed', async () => {
    const { done } = begin((_options, callback) => {
      callback(null, duplexPeer(ok()).stream)
      callback(new Error('too late'))
      throw new Error('too late')
    })
    expect((await done).slice(-2)).toEqual(answered)
  })

  it('has its socket destroyed when the agent is, if it returns it', async () => {
    const { stream } = duplexPeer(null)
    const { done, agent } = begin(() => stream)
    await agent.destroy()
    expect((await done)[0]).toMatchObject(['error', 'ClientDestroyedError', 'UND_ERR_DESTROYED', expect.any(String)])
    expect(stream.destroyed).toBe(true)
  })

  it('has the stream that it handed over at once destroyed when the agent is destroyed before it was used', async () => {
    const peer = duplexPeer(ok())
    const events: string[] = []
    const agent = agentOf((_options, callback) => callback(null, peer.stream))
    agent.on('connect', () => events.push('connect')).on('disconnect', () => events.push('disconnect'))
    const { done } = begin(() => {}, {}, agent)
    await agent.destroy()
    expect((await done)[0]).toMatchObject(['error', 'ClientDestroyedError', 'UND_ERR_DESTROYED', expect.any(String)])
    await setImmediate()
    await setImmediate()
    expect([peer.stream.destroyed, peer.received, events]).toEqual([true, '', []])
  })

  it('that hands over a connection for HTTP/2 fails the request', async () => {
    const { stream } = duplexPeer(null)
    const { done } = begin((_options, callback) => callback(null, Object.assign(stream, { alpnProtocol: 'h2' })))
    expect(await done).toMatchObject([['error', 'NotSupportedError', 'UND_ERR_NOT_SUPPORTED', expect.any(String)]])
    expect(stream.destroyed).toBe(true)
  })

  it('is told that HTTP/2 is not wanted where undici would say that it is', async () => {
    const told: object[] = []
    const connect: Connect = (options, callback) => {
      told.push(options)
      callback(null, duplexPeer(ok()).stream)
    }
    await begin(connect, {}, agentOf(connect, { allowH2: true })).done
    expect(told).toMatchObject([{ allowH2: false }])
  })

  it('is called for each connection, in no context of a request', async () => {
    const { AsyncLocalStorage } = await import('node:async_hooks')
    const storage = new AsyncLocalStorage<string>()
    const stores: unknown[] = []
    const connect: Connect = (_options, callback) => {
      stores.push(storage.getStore())
      callback(null, duplexPeer(ok('ok', 'connection: close\r\n')).stream)
    }
    const agent = agentOf(connect)
    for (const store of ['first', 'second']) await storage.run(store, () => begin(connect, {}, agent).done)
    expect(stores).toEqual([undefined, undefined])
  })
})

describe('a stream that is handed over', () => {
  it('destroyed', async () => {
    const { done } = begin((_options, callback) => callback(null, brokenStream()))
    expect(await done).toEqual([['error', 'SocketError', 'UND_ERR_SOCKET', 'destroyed']])
  })

  it('with an error', async () => {
    const { done } = begin((_options, callback) => callback(null, brokenStream(new Error('broken'))))
    expect(await done).toEqual([['error', 'Error', undefined, 'broken']])
  })

  it('whose peer has ended already', async () => {
    const { stream, peer } = duplexPeer(null)
    peer.end()
    stream.resume()
    await new Promise((resolve) => stream.once('end', resolve))
    const { done } = begin((_options, callback) => callback(null, stream))
    expect((await done).at(-1)).toEqual(['error', 'SocketError', 'UND_ERR_SOCKET', 'other side closed'])
  })

  it('that takes no more bytes', async () => {
    const { stream } = duplexPeer(null)
    stream.end()
    const { done } = begin((_options, callback) => callback(null, stream))
    expect((await done).at(-1)).toEqual(['error', 'Error', 'ERR_STREAM_WRITE_AFTER_END', 'write after end'])
  })

  it('and is destroyed in mid body', async () => {
    const { stream } = duplexPeer('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha')
    const { done } = begin((_options, callback) => callback(null, stream), { data: () => stream.destroy() })
    expect((await done).at(-1)).toMatchObject(['error', 'SocketError', 'UND_ERR_SOCKET', 'closed'])
  })

  it('and is destroyed while idle', async () => {
    const streams: Duplex[] = []
    const connect: Connect = (_options, callback) => {
      streams.push(duplexPeer(ok()).stream)
      callback(null, streams.at(-1))
    }
    const agent = agentOf(connect)
    const disconnected = new Promise<Error>((resolve) => agent.once('disconnect', (_o, _t, error) => resolve(error)))
    await begin(connect, {}, agent).done
    streams[0]!.destroy(new Error('idle'))
    expect(await disconnected).toMatchObject({ message: 'idle' })
    expect((await begin(connect, {}, agent).done).slice(-2)).toEqual(answered)
    expect(streams).toHaveLength(2)
  })

  it('and breaks behind bytes that were not read yet: these come first, then its error', async () => {
    const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
    let flow: Flow | undefined
    const { done } = begin((_options, callback) => callback(null, stream), {
      start: () => void setImmediate().then(() => stream.push('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n')),
      head(control) {
        flow = control
        control.pause()
      },
    })
    while (flow === undefined) await setImmediate()
    stream.push('half')
    await setImmediate()
    stream.destroy(new Error('broken'))
    await new Promise((resolve) => stream.once('close', resolve))
    flow.resume()
    expect((await done).slice(-2)).toEqual([
      ['data', 'half'],
      ['error', 'Error', undefined, 'broken'],
    ])
  })

  it('is left without listeners, but for one of errors', async () => {
    const { stream } = duplexPeer(ok('ok', 'connection: close\r\n'))
    const before = stream.eventNames().map((name) => [name, getEventListeners(stream, name).length])
    const { done, agent } = begin((_options, callback) => callback(null, stream))
    await done
    await agent.close()
    const after = stream.eventNames().filter((name) => name !== 'error')
    expect(after.map((name) => [name, getEventListeners(stream, name).length])).toEqual(before)
  })
})
