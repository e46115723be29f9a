/** AsyncLocalStorage: each request's callbacks run in the context of its dispatch(), and in no other. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, it } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { recyclingAgent } from '../support/dispatchers.js'
import { type Hooks, recording, styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

const CALLBACKS = ['start', 'bodySent', 'requestSent', 'started', 'head', 'data', 'end', 'error'] as const
const storage = new AsyncLocalStorage<string>()

/** Notes the store of each callback. */
function noting(note: (callback: string, store: string | undefined) => void): Hooks {
  return Object.fromEntries(CALLBACKS.map((name) => [name, () => note(name, storage.getStore())]))
}

const connections: [what: string, options: RecyclingAgentOptions][] = [
  ['connections of their own', {}],
  ['one connection, one after the other', { connections: 1 }],
  ['one connection, in a pipeline', { connections: 1, pipelining: 10 }],
  ['connections that are not used again', { pipelining: 0 }],
]

it.each(connections.flatMap(([what, options]) => styles.map((style) => [what, style, options] as const)))(
  'keeps the stores of requests apart on %s (%s handlers)',
  async (_what, style, options) => {
    const { origin } = await rawServer(answering(ok()))
    const agent = recyclingAgent(options)
    const stores: string[] = []
    const send = (id: string): Promise<unknown> =>
      storage.run(id, () => {
        const note = (callback: string, store: string | undefined): void => {
          if (store !== id) stores.push(`${id} ${callback}: ${store}`)
          // Meant for this request only.
          storage.enterWith(`${id} was here`)
          storage.enterWith(id)
        }
        const { handler, done } = recording(style, noting(note))
        agent.dispatch({ origin, path: `/${id}`, method: 'GET', blocking: false }, handler)
        return done
      })
    await Promise.all(Array.from({ length: 10 }, (_, i) => send(`first ${i}`.replace(' ', '-'))))
    await Promise.all(Array.from({ length: 10 }, (_, i) => send(`then ${i}`.replace(' ', '-'))))
    expect(stores).toEqual([])
  },
)

it.each(styles)('lets a store that a callback has entered reach no other request (%s handlers)', async (style) => {
  const { origin } = await rawServer(answering(ok()))
  const agent = recyclingAgent({ connections: 1, pipelining: 10 })
  const seen = new Set<string | undefined>()
  const send = (i: number): Promise<unknown> => {
    const hooks = noting((_callback, store) => {
      seen.add(store)
      if (i % 2 === 0) storage.enterWith(`entered by ${i}`)
    })
    const { handler, done } = recording(style, hooks)
    agent.dispatch({ origin, path: '/', method: 'GET', blocking: false }, handler)
    return done
  }
  await Promise.all(Array.from({ length: 10 }, (_, i) => send(i)))
  seen.clear()
  await send(1)
  expect([...seen]).toEqual([undefined])
})

it('reads a body in the context of its request', async () => {
  const { origin } = await rawServer(answering(ok()))
  const agent = recyclingAgent()
  const stores: unknown[] = []
  const send = (id: string): Promise<unknown> =>
    storage.run(id, () => {
      async function* body(): AsyncGenerator<string> {
        stores.push(storage.getStore())
        yield id
        stores.push(storage.getStore())
      }
      const { handler, done } = recording('new')
      agent.dispatch({ origin, path: '/', method: 'POST', body: body() as never }, handler)
      return done
    })
  await send('a')
  await send('b')
  expect(stores).toEqual(['a', 'a', 'b', 'b'])
})

it('fails a request that could not connect in its own context', async () => {
  const agent = recyclingAgent({
    connect: { lookup: (_host, _options, callback) => callback(new Error('nobody'), []) },
  })
  const seen: unknown[] = []
  await storage.run('mine', () => {
    const { handler, done } = recording('new', { error: () => void seen.push(storage.getStore()) })
    agent.dispatch({ origin: 'http://upstream.test', path: '/', method: 'GET' }, handler)
    return done
  })
  expect(seen).toEqual(['mine'])
})

/** Each of a request, by its path. */
const fates: Record<string, (peer: RawPeer) => void> = {
  '/kept': (peer) => peer.write(ok()),
  '/closed': (peer) => {
    peer.write(ok('ok', 'connection: close\r\n'))
    peer.socket.end()
  },
  '/no-head': () => {},
  '/half-a-body': (peer) => peer.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
  '/reset': (peer) => peer.socket.resetAndDestroy(),
  '/cut-short': (peer) => void peer.socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
  '/wrong': (peer) => peer.write('no HTTP\r\n\r\n'),
}

it.each(connections.flatMap(([what, options]) => styles.map((style) => [what, style, options] as const)))(
  'keeps the stores of requests apart whatever becomes of them, on %s (%s handlers)',
  async (_what, style, options) => {
    const { origin } = await rawServer(async (peer) => {
      for (;;) {
        const request = await peer.request()
        if (request === null) return
        fates[request.head.split(' ')[1]!]!(peer)
      }
    })
    const agent = recyclingAgent({ ...options, headersTimeout: 100, bodyTimeout: 100 })
    const wrong: string[] = []
    const ends: Record<string, number> = {}
    const send = (path: string, i: number): Promise<unknown> =>
      storage.run(`${path} ${i}`, () => {
        const note = (callback: string, store: string | undefined): void => {
          if (store !== `${path} ${i}`) wrong.push(`${path} ${i} ${callback}: ${store}`)
          if (callback === 'end' || callback === 'error') ends[callback] = (ends[callback] ?? 0) + 1
        }
        const { handler, done } = recording(style, noting(note))
        agent.dispatch({ origin, path, method: 'GET', blocking: false }, handler)
        return done
      })
    for (let round = 0; round < 2; round++) {
      const paths = Object.keys(fates)
      await Promise.all([...paths, ...paths].map((path, i) => send(path, round * 100 + i)))
    }
    expect(wrong).toEqual([])
    const { end = 0, error = 0 } = ends
    // In a pipeline a fault costs those behind it, too; and on a slow machine a good response may be late.
    expect(end).toBeLessThanOrEqual(8)
    expect(end + error).toBe(4 * Object.keys(fates).length)
  },
)
