/** What subscribers of undici's diagnostics channels may do to a request, to the agent and to the process. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { FieldSection } from '../../src/http1/field-section.js'
import { TcpWire } from '../../src/transport/tcp-wire.js'
import { channelNames, onMessage, type ShownRequest } from '../support/channels.js'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { itNative } from '../support/transport.js'

expectNoDescriptorLeft()

const ending = async (peer: RawPeer): Promise<void> => {
  await peer.request()
  peer.socket.end()
}

describe.each(dispatchers)('%s', (_name, make) => {
  it('sends a request before another one that is dispatched while it is about to be sent', async () => {
    const server = await rawServer(answering(ok()))
    const dispatcher = make({ pipelining: 2, connections: 1 })
    const dispatch = (path: string): Promise<unknown> => {
      const { handler, done } = recording('new')
      dispatcher.dispatch({ origin: server.origin, path, method: 'GET', blocking: false }, handler)
      return done
    }
    let second: Promise<unknown> | null = null
    onMessage('undici:client:sendHeaders', () => {
      second ??= dispatch('/second')
    })
    await dispatch('/first')
    await second
    const peer = await server.peer(0)
    expect(peer.requests.map(({ head }) => head.split(' ')[1])).toEqual(['/first', '/second'])
  })

  it('sends what subscribers make of the headers when the request is created', async () => {
    const server = await rawServer(answering(ok()))
    onMessage('undici:request:create', ({ request }) => {
      expect(request.addHeader('traceparent', '00-1-2-01')).toBe(request)
      request.headers.push('pushed', 'p', 'list', ['1', '2'], 'number', 3 as unknown as string)
      const index = request.headers.indexOf('replaced')
      request.headers.splice(index, 2, 'instead', 'i')
    })
    const { handler, done } = recording('new')
    const headers = { replaced: 'r', kept: 'k' }
    make().dispatch({ origin: server.origin, path: '/', method: 'GET', headers }, handler)
    await done
    expect(server.requests[0]!.head.split('\r\n').slice(3)).toEqual([
      'instead: i',
      'kept: k',
      'traceparent: 00-1-2-01',
      'pushed: p',
      'list: 1',
      'list: 2',
      'number: 3',
    ])
    expect(headers).toEqual({ replaced: 'r', kept: 'k' })
  })

  it.each([
    ['a b', 'x', 'invalid header key'],
    ['a', 'x\r\ny: z', 'invalid a header'],
    ['a', {}, 'invalid a header'],
    ['host', 'other', 'duplicate host header'],
    ['transfer-encoding', 'chunked', 'invalid transfer-encoding header'],
    ['expect', '100-continue', 'expect header not supported'],
  ])('refuses to add %s: %j', async (name, value, message) => {
    const { origin } = await rawServer(answering(ok()))
    let thrown: unknown
    onMessage('undici:request:create', ({ request }) => {
      try {
        request.addHeader(name, value)
      } catch (error) {
        thrown = error
      }
    })
    const { handler, done } = recording('new')
    make().dispatch({ origin, path: '/', method: 'GET', headers: { host: 'a.test' } }, handler)
    await done
    expect(thrown).toMatchObject({ message })
  })

  it('lets what a subscriber throws be an uncaught exception, and nothing else', async () => {
    const { origin } = await rawServer(answering(ok()))
    const thrown: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => thrown.push(error.message))
    try {
      for (const name of channelNames) {
        onMessage(name, () => {
          throw new Error(name)
        })
      }
      const { handler, done } = recording('new')
      make().dispatch({ origin, path: '/', method: 'POST', body: 'x' }, handler)
      expect((await done).at(-1)).toEqual(['end', []])
      await setImmediate()
    } finally {
      process.removeAllListeners('uncaughtException')
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
    expect(thrown).toEqual([
      'undici:request:create',
      'undici:client:beforeConnect',
      'undici:client:connected',
      'undici:client:sendHeaders',
      'undici:request:bodyChunkSent',
      'undici:request:bodySent',
      'undici:request:headers',
      'undici:request:bodyChunkReceived',
      'undici:request:trailers',
    ])
  })
})

describe('RecyclingAgent', () => {
  it('creates requests in the context of whoever dispatches them, also those that wait', async () => {
    const { origin } = await rawServer(answering(ok()))
    const storage = new AsyncLocalStorage<number>()
    const seen: unknown[] = []
    onMessage('undici:request:create', ({ request }) => seen.push([request.path, storage.getStore()]))
    const agent = recyclingAgent({ connections: 2 })
    const all = [0, 1, 2, 3].map((i) => {
      const { handler, done } = recording('new')
      storage.run(i, () => agent.dispatch({ origin, path: `/${i}`, method: 'GET' }, handler))
      return done
    })
    expect(seen).toEqual([0, 1, 2, 3].map((i) => [`/${i}`, i]))
    await Promise.all(all)
    expect(seen).toHaveLength(4)
  })

  it('tells of the failure of requests that wait or run when it is destroyed', async () => {
    const { origin } = await rawServer(() => {})
    const seen: unknown[] = []
    onMessage('undici:request:error', ({ request, error }) => seen.push([request.path, (error as Error).message]))
    const agent = recyclingAgent({ connections: 1 })
    const started = new Promise<void>((resolve) => {
      onMessage('undici:request:bodySent', () => resolve())
    })
    const recordings = ['/runs', '/waits'].map((path) => {
      const recorded = recording('new', { error: () => seen.push(`${path}: callback`) })
      agent.dispatch({ origin, path, method: 'GET' }, recorded.handler)
      return recorded.done
    })
    await started
    await agent.destroy(new Error('over'))
    await Promise.all(recordings)
    expect(seen).toEqual([['/waits', 'over'], '/waits: callback', ['/runs', 'over'], '/runs: callback'])
  })

  itNative(
    'shows one object as the socket of a connection, which knows both ends and no more when it is over',
    async () => {
      const { origin, port } = await rawServer(answering(ok('', 'connection: close\r\n')))
      const sockets: Record<string, unknown>[] = []
      onMessage('undici:client:connected', ({ socket }) => sockets.push(socket))
      onMessage('undici:client:sendHeaders', ({ socket }) => {
        sockets.push(socket)
        expect(socket).toMatchObject({ localAddress: '127.0.0.1', localPort: expect.any(Number), bytesRead: 0 })
      })
      const agent = recyclingAgent()
      await get(agent, origin)
      await get(agent, origin)
      expect(sockets).toHaveLength(4)
      expect(sockets[0]).toBe(sockets[1])
      expect(sockets[2]).toBe(sockets[3])
      // The descriptor is the same, the connection is not.
      expect(sockets[0]).not.toBe(sockets[2])
      await quiet(agent)
      for (const socket of sockets) {
        expect(socket).toMatchObject({ remoteAddress: '127.0.0.1', remotePort: port, remoteFamily: 'IPv4' })
        expect(socket.localPort).toBeUndefined()
      }
    },
  )

  it.each(channelNames)('survives that a subscriber of %s destroys it', async (name) => {
    const fails = name.endsWith('rror')
    const { origin } = await rawServer(fails ? ending : answering(ok('ok', 'connection: close\r\n')))
    const agent = recyclingAgent(name === 'undici:client:connectError' ? { socketPath: '/nowhere' } : {})
    const { handler, done } = recording('new')
    let destroyed: Promise<void> | undefined
    onMessage(name, () => {
      destroyed ??= agent.destroy(new Error('over'))
    })
    agent.dispatch({ origin, path: '/', method: 'POST', body: 'x' }, handler)
    const events = await done
    await destroyed
    await setImmediate()
    expect(destroyed).toBeDefined()
    // One end, and nothing behind it.
    expect(events.filter(([event]) => event === 'end' || event === 'error')).toEqual([events.at(-1)])
    expect(agent.stats.sockets.leased).toBe(0)
  })

  it.each(channelNames)('survives that a subscriber of %s aborts the request', async (name) => {
    const { origin } = await rawServer(name.endsWith('error') ? ending : answering(ok()))
    const agent = recyclingAgent()
    const { handler, done } = recording('new')
    let request: ShownRequest | undefined
    onMessage('undici:request:create', (message) => {
      request ??= message.request
    })
    let told = 0
    const end = onMessage(name, () => {
      if (told++ === 0) request!.abort(new Error('aborted by a subscriber'))
    })
    agent.dispatch({ origin, path: '/', method: 'POST', body: 'x' }, handler)
    const events = await done
    end()
    await setImmediate()
    expect(events.filter(([event]) => event === 'end' || event === 'error')).toEqual([events.at(-1)])
    expect(agent.stats[origin as 'http:']?.size ?? 0).toBe(0)
    if (!name.endsWith('rror')) expect(await get(agent, origin)).toBe('ok')
  })

  itNative('makes nothing for messages that nobody subscribes to', async () => {
    const { origin } = await rawServer(answering(ok()))
    const socket = vi.spyOn(TcpWire.prototype, 'socket', 'get')
    const toRaw = vi.spyOn(FieldSection.prototype, 'toRaw')
    onTestFinished(() => {
      socket.mockRestore()
      toRaw.mockRestore()
    })
    const agent = recyclingAgent()
    const exchange = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const handler: Dispatcher.DispatchHandler = {
          onRequestStart() {},
          onResponseEnd: () => resolve(),
          onResponseError: (_controller, error) => reject(error),
        }
        agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
      })
    await exchange()
    expect(socket).not.toHaveBeenCalled()
    expect(toRaw).not.toHaveBeenCalled()
    onMessage('undici:client:sendHeaders', () => {})
    onMessage('undici:request:headers', () => {})
    await exchange()
    expect(socket).toHaveBeenCalledTimes(1)
    expect(toRaw).toHaveBeenCalledTimes(1)
  })
})
