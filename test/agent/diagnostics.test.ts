/** undici's diagnostics channels: the same messages, in the same order among the callbacks, as of undici's Agent. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { FieldSection } from '../../src/http1/field-section.js'
import { TcpWire } from '../../src/transport/tcp-wire.js'
import { channelNames, type Line, onMessage, type ShownRequest, Transcript } from '../support/channels.js'
import { dispatchers, expectNoDescriptorLeft, type MakeDispatcher, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { type Hooks, recording, type Style, styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const [undici, ours] = dispatchers.map(([, make]) => make) as [MakeDispatcher, MakeDispatcher]

const hookNames = ['start', 'started', 'head', 'data', 'end', 'error', 'bodySent', 'requestSent'] as const

interface Scene {
  options?: Record<string, unknown> | (() => Record<string, unknown>)
  hooks?: Hooks
  /** How often the request is dispatched, each when the one before is over. @default 1 */
  times?: number
  make?: Parameters<MakeDispatcher>[0]
}

/** undici loses the code of a parser error. */
const withoutParserCode = ([name, ...said]: Line): Line => [
  name,
  ...said.map((word) => (typeof word === 'string' && word.startsWith('HPE_') ? undefined : word)),
]

/** Messages, callbacks and the dispatcher's events of an exchange in one list. */
async function play(make: MakeDispatcher, style: Style, origin: string, scene: Scene): Promise<Line[]> {
  const { options = {}, hooks = {}, times = 1 } = scene
  const dispatcher = make(scene.make)
  const transcript = new Transcript()
  const { lines } = transcript
  for (const name of ['connect', 'connectionError'] as const) {
    dispatcher.on(name as 'connect', (url) => lines.push([`event ${name}`, url.origin]))
  }
  const listening = Object.fromEntries(
    hookNames.map((name) => [
      name,
      (...said: Parameters<NonNullable<Hooks['start']>>) => {
        // undici 7 tells only legacy handlers what was sent.
        if (style === 'legacy' || !name.endsWith('ent')) lines.push(['callback', ...said[1]])
        hooks[name]?.(...said)
      },
    ]),
  )
  for (let i = 0; i < times; i++) {
    const { handler, done } = recording(style, listening)
    const own = typeof options === 'function' ? options() : options
    dispatcher.dispatch({ origin, path: '/', method: 'GET', ...own } as Dispatcher.DispatchOptions, handler)
    // With a stream or an iterable, undici begins to connect in a microtask.
    if (typeof options !== 'function') lines.push(['dispatched'])
    await done
    // As long as a connection takes to be free again.
    for (let turn = 0; turn < 2; turn++) await setImmediate()
  }
  transcript.end()
  await dispatcher.destroy()
  // After an abort, undici 7 connects once more for nobody.
  const last = lines.findLastIndex(
    ([name, said]) => name === 'event connectionError' || (name === 'callback' && (said === 'end' || said === 'error')),
  )
  return lines.slice(0, last + 1).map(withoutParserCode)
}

const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n`

const failing =
  (response: string) =>
  async (peer: RawPeer): Promise<void> => {
    await peer.request()
    peer.socket.end(response)
  }

async function* chunks(): AsyncGenerator<unknown> {
  yield 'string'
  yield Buffer.from('bytes')
}

const throwing = (message: string) => (): never => {
  throw new Error(message)
}

const scenes: [what: string, serve: (peer: RawPeer) => unknown, scene: Scene, names?: string[]][] = [
  ['a GET', answering(ok()), {}],
  ['two requests on one connection', answering(ok()), { times: 2 }],
  ['two requests on two connections', answering(ok('', 'connection: close\r\n')), { times: 2 }],
  ['a response with chunks and trailers', answering(chunked), {}],
  ['a response without a body', answering('HTTP/1.1 204 No Content\r\n\r\n'), {}],
  ['a HEAD', answering('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'), { options: { method: 'HEAD' } }],
  [
    'informational responses',
    answering(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${ok()}`),
    {},
  ],
  [
    'every option',
    answering(ok()),
    {
      options: {
        method: 'PUT',
        query: { a: 'b c' },
        headers: [
          'host',
          'name.test:80',
          'X-One',
          '1',
          'x-two',
          ['2', '3'],
          'Content-Type',
          't',
          'Content-Length',
          '1',
        ],
        body: 'x',
        idempotent: true,
        blocking: false,
        reset: true,
        headersTimeout: 5000,
        bodyTimeout: 6000,
        typeOfService: 8,
        expectContinue: true,
        servername: 'other.test',
      },
    },
  ],
  ['an IP address as host', answering(ok()), { options: { headers: { host: '127.0.0.1' } } }],
  ['an empty host', answering(ok()), { options: { headers: { host: '' } } }],
  ['a string as body', answering(ok()), { options: { method: 'POST', body: 'string' } }],
  ['an empty body', answering(ok()), { options: { method: 'POST', body: '' } }],
  [
    'an iterable as body',
    answering(ok()),
    { options: () => ({ method: 'POST', body: chunks(), headers: { 'content-length': '11' } }) },
  ],
  [
    'a stream as body',
    answering(ok()),
    { options: () => ({ method: 'POST', body: Readable.from([Buffer.from('a')]) }) },
  ],
  ['an empty stream as body', answering(ok()), { options: () => ({ method: 'POST', body: Readable.from([]) }) }],
  ['a Blob as body', answering(ok()), { options: { method: 'POST', body: new Blob(['b'], { type: 't/x' }) } }],
  ['a connection that ends without a response', failing(''), {}],
  ['a response that is cut short', failing('HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nx'), {}],
  ['a malformed response', answering('HTTX\r\n\r\n'), {}],
  [
    'a body of another length',
    answering(ok()),
    { options: { method: 'POST', body: 'x', headers: { 'content-length': '2' } } },
  ],
  ['a body that fails', answering(ok()), { options: () => ({ method: 'POST', body: Readable.from(failingChunks()) }) }],
  ['an abort in the start callback', answering(ok()), { hooks: { start: (flow) => flow.abort() } }],
  [
    'an abort with a reason in the head callback',
    answering(ok()),
    { hooks: { head: (flow) => flow.abort(new Error('why')) } },
  ],
  ['an abort in the end callback', answering(ok()), { hooks: { end: (flow) => flow.abort() } }],
  ['a start callback that throws', answering(ok()), { hooks: { start: throwing('start') } }],
  ['a head callback that throws', answering(ok()), { hooks: { head: throwing('head') } }],
  ['a data callback that throws', answering(ok()), { hooks: { data: throwing('data') } }],
  ['an end callback that throws', answering(ok()), { hooks: { end: throwing('end') } }],
  ['a timeout', () => {}, { options: { headersTimeout: 1 } }],
  ['invalid options', answering(ok()), { options: { headers: { expect: 'x' } } }],
  ['an invalid origin', answering(ok()), { options: { origin: 'ftp://x' } }],
  ['an option for local addresses', answering(ok()), { make: { localAddress: '127.0.0.1' } }],
]

async function* failingChunks(): AsyncGenerator<Buffer> {
  yield Buffer.from('a')
  throw new Error('no more')
}

describe.each(styles)('to a handler of the %s kind, told with the messages of undici:', (style) => {
  it.each(scenes)('%s', async (_what, serve, scene) => {
    const { origin } = await rawServer(serve)
    const expected = await play(undici, style, origin, scene)
    expect(await play(ours, style, origin, scene)).toEqual(expected)
  })

  it('a connection that is refused', async () => {
    const scene = { options: { origin: 'http://127.0.0.1:1' } }
    const expected = await play(undici, style, '', scene)
    expect(expected.map(([name]) => name)).toEqual([
      'undici:request:create',
      'undici:client:beforeConnect',
      'dispatched',
      'undici:client:connectError',
      'undici:request:error',
      'callback',
      'event connectionError',
    ])
    expect(await play(ours, style, '', scene)).toEqual(expected)
  })

  it('invalid options, with none', async () => {
    const lines = await play(ours, style, 'http://a.test', { options: { headers: { expect: 'x' } } })
    expect(lines.map(([name]) => name)).toEqual(['callback'])
  })
})

describe.each(dispatchers)('%s', (_name, make) => {
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

  it('shows one object as the socket of a connection, which knows both ends and no more when it is over', async () => {
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
  })

  it.each(channelNames)('survives that a subscriber of %s destroys it', async (name) => {
    const fails = name.endsWith('rror')
    const { origin } = await rawServer(fails ? failing('') : answering(ok('ok', 'connection: close\r\n')))
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
    const { origin } = await rawServer(name.endsWith('error') ? failing('') : answering(ok()))
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

  it('makes nothing for messages that nobody subscribes to', async () => {
    const { origin } = await rawServer(answering(chunked))
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
