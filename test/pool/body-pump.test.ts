/** Bodies in pieces: sources that are over before they are asked, and requests that end while a piece is on its way. */
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { type Flow, recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

type Body = Exclude<Dispatcher.DispatchOptions['body'], undefined>

const post = { path: '/', method: 'POST' } as const
const aborted = ['error', 'RequestAbortedError', 'UND_ERR_ABORTED', 'Request aborted']

/** A promise and what resolves it. */
function settable<T = void>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  let resolve: (value: T) => void
  let reject: (error: unknown) => void
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  return { promise, resolve: (value) => resolve(value), reject: (error) => reject(error) }
}

describe.each(dispatchers)('%s', (_name, make) => {
  it('sends a stream that has ended before it was given as an empty body', async () => {
    const server = await rawServer(answering(ok()))
    // Of a stream of objects no length is known.
    const body = Readable.from(['read already'])
    body.resume()
    await once(body, 'end')
    const { handler, done } = recording('new')
    make().dispatch({ ...post, origin: server.origin, body }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(server.requests[0]).toMatchObject({ body: '', fields: { 'content-length': '0' } })
  })

  it('takes a stream that was closed without an end before it was given as an abort', async () => {
    const server = await rawServer(answering(ok()))
    const body = new PassThrough()
    body.destroy()
    await once(body, 'close')
    const { handler, done } = recording('new')
    make().dispatch({ ...post, origin: server.origin, body }, handler)
    expect((await done).at(-1)).toEqual(aborted)
    expect(server.requests).toEqual([])
  })

  it('fails with what a stream had failed with before it was given', async () => {
    const server = await rawServer(answering(ok()))
    const body = new PassThrough()
    body.on('error', () => {}).destroy(new Error('broken'))
    await new Promise((resolve) => body.once('close', resolve))
    const { handler, done } = recording('new')
    make().dispatch({ ...post, origin: server.origin, body }, handler)
    expect((await done).at(-1)).toEqual(['error', 'Error', undefined, 'broken'])
    expect(server.requests).toEqual([])
  })

  it('does not send the promised chunk of an iterable whose request was aborted meanwhile', async () => {
    const server = await rawServer(() => {})
    const chunk = settable<string>()
    let flow: Flow
    const recorded = recording('new', {
      start(control) {
        flow = control
      },
    })
    const body = ['first', chunk.promise] as unknown as Body
    make().dispatch({ ...post, origin: server.origin, body }, recorded.handler)
    const peer = await server.peer(0)
    await peer.received(/first/)
    flow!.abort()
    chunk.resolve('second')
    expect((await recorded.done).at(-1)).toEqual(aborted)
    await peer.ended()
    expect(peer.pending).not.toContain('second')
  })

  it('hears nothing of what an iterable fails with after its request was aborted', async () => {
    const server = await rawServer(() => {})
    const next = settable<IteratorResult<string>>()
    const results = [Promise.resolve({ done: false, value: 'first' }), next.promise]
    let flow: Flow
    const recorded = recording('new', {
      start(control) {
        flow = control
      },
    })
    const body = { [Symbol.asyncIterator]: () => ({ next: () => results.shift()! }) } as unknown as Body
    make().dispatch({ ...post, origin: server.origin, body }, recorded.handler)
    await (await server.peer(0)).received(/first/)
    flow!.abort()
    next.reject(new Error('too late'))
    expect((await recorded.done).at(-1)).toEqual(aborted)
    await (await server.peer(0)).ended()
    expect(recorded.events.filter(([name]) => name === 'error')).toHaveLength(1)
  })
})

// undici 8 does these two in another way than undici 7.
it('warns of a stream with more than announced when strictContentLength is off, and sends all of it', async () => {
  const server = await rawServer(async (peer) => {
    await peer.received(/\r\n\r\nmore than that/)
    peer.write(ok())
  })
  const warned = once(process, 'warning')
  const { handler, done } = recording('new')
  const body = Readable.from(['more ', 'than that'])
  const headers = { 'content-length': '5' }
  recyclingAgent({ strictContentLength: false }).dispatch({ ...post, origin: server.origin, headers, body }, handler)
  expect((await done).find(([name]) => name === 'head')?.[1]).toBe(200)
  expect(await warned).toMatchObject([{ code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' }])
})

it.each(['data', 'end'] as const)(
  "sends nothing more when a listener for the stream's '%s' has aborted",
  async (on) => {
    const server = await rawServer(() => {})
    const body = new Readable({ read() {} })
    let flow: Flow
    const recorded = recording('new', {
      start(control) {
        flow = control
        setImmediate(() => {
          body.push('piece')
          body.push(null)
        })
      },
    })
    // It hears of the event before the pump does.
    body.on(on, () => flow.abort())
    recyclingAgent().dispatch({ ...post, origin: server.origin, body }, recorded.handler)
    expect((await recorded.done).at(-1)).toEqual(aborted)
    const peer = await server.peer(0)
    await peer.ended()
    expect(peer.pending).not.toMatch(on === 'data' ? /piece/ : /\r\n0\r\n/)
  },
)

it('lets go of an iterator that fails to return, be it at once or later', async () => {
  const server = await rawServer(() => {})
  const agent = recyclingAgent()
  for (const [i, fail] of [() => Promise.reject(new Error('no return')), () => expect.unreachable()].entries()) {
    let flow: Flow
    const recorded = recording('new', {
      start(control) {
        flow = control
      },
    })
    const results = [Promise.resolve({ done: false, value: 'first' }), new Promise<never>(() => {})]
    const iterator = { next: () => results.shift()!, return: fail }
    const body = { [Symbol.asyncIterator]: () => iterator } as unknown as Body
    agent.dispatch({ ...post, origin: server.origin, body }, recorded.handler)
    await (await server.peer(i)).received(/first/)
    flow!.abort()
    expect((await recorded.done).at(-1)).toEqual(aborted)
  }
})

// undici 7 does not tell handlers of this kind.
it.each(['stream', 'iterable'])('lets a request be aborted when the last piece of its %s was sent', async (kind) => {
  const server = await rawServer(() => {})
  const recorded = recording('new', { requestSent: (flow) => flow.abort() })
  const body = (kind === 'stream' ? Readable.from(['piece']) : ['piece']) as unknown as Body
  recyclingAgent().dispatch({ ...post, origin: server.origin, body }, recorded.handler)
  expect((await recorded.done).at(-1)).toEqual(aborted)
  await (await server.peer(0)).ended()
})
