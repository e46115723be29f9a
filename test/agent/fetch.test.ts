/** The interfaces that people use over the dispatcher: both fetches, and undici's request, stream and pipeline. */
import { Readable, Writable } from 'node:stream'
import { pipeline as pipe } from 'node:stream/promises'
import {
  type Dispatcher,
  getGlobalDispatcher,
  pipeline,
  request,
  setGlobalDispatcher,
  stream,
  fetch as undiciFetch,
} from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { countConnections, dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

type Init = { method?: string; body?: unknown; signal?: AbortSignal; dispatcher?: Dispatcher; duplex?: 'half' }
type Fetch = (url: string, init?: Init) => Promise<globalThis.Response>

const fetches: [name: string, fetch: Fetch][] = [
  ['the built-in fetch', globalThis.fetch as unknown as Fetch],
  ["undici's fetch", undiciFetch as unknown as Fetch],
]

/** Answers with the method and the body of the request. */
async function echo(peer: RawPeer): Promise<void> {
  for (;;) {
    const received = await peer.request()
    if (received === null) return
    peer.write(ok(`${received.head.split(' ')[0]} ${received.body}`, 'x-a: 1\r\nset-cookie: b\r\nset-cookie: c\r\n'))
  }
}

const headOnly = (peer: RawPeer): void => peer.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')

describe.each(fetches)('%s', (_name, fetch) => {
  it('goes through the agent of the call', async () => {
    const { origin, peers } = await rawServer(echo)
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    const response = await fetch(`${origin}/path`, { dispatcher: agent })
    expect(await response.text()).toBe('GET ')
    expect([response.status, response.statusText, response.headers.get('x-a')]).toEqual([200, 'OK', '1'])
    expect(response.headers.getSetCookie()).toEqual(['b', 'c'])
    expect(connections()).toBe(1)
    expect(peers).toHaveLength(1)
  })

  it('goes through the global agent', async () => {
    const { origin } = await rawServer(echo)
    const before = getGlobalDispatcher()
    onTestFinished(() => setGlobalDispatcher(before))
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    setGlobalDispatcher(agent)
    expect(await (await fetch(origin)).text()).toBe('GET ')
    expect(connections()).toBe(1)
  })

  it.each([
    ['a string', () => 'text'],
    ['a Buffer', () => Buffer.from('text')],
    ['a Blob', () => new Blob(['text'])],
    ['URLSearchParams', () => new URLSearchParams({ text: '' }), 'text='],
    ['a web stream', () => new Blob(['text']).stream()],
  ])('sends %s', async (_kind, body, received = 'text') => {
    const { origin } = await rawServer(echo)
    const response = await fetch(origin, { method: 'POST', body: body(), duplex: 'half', dispatcher: recyclingAgent() })
    expect(await response.text()).toBe(`POST ${received}`)
  })

  it('is aborted before, during and after the exchange', async () => {
    const { origin } = await rawServer(headOnly)
    const dispatcher = recyclingAgent()
    await expect(fetch(origin, { dispatcher, signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
    const during = new AbortController()
    const response = await fetch(origin, { dispatcher, signal: during.signal })
    const text = response.text()
    during.abort()
    await expect(text).rejects.toMatchObject({ name: 'AbortError' })
    const { origin: whole } = await rawServer(echo)
    const after = new AbortController()
    const complete = await fetch(whole, { dispatcher, signal: after.signal })
    expect(await complete.text()).toBe('GET ')
    after.abort()
    expect(await (await fetch(whole, { dispatcher })).text()).toBe('GET ')
  })

  it('tells a failure before the head from one that comes with it, each with its cause', async () => {
    const dispatcher = recyclingAgent()
    const { origin: dead } = await rawServer((peer) => peer.socket.end())
    await expect(fetch(dead, { dispatcher })).rejects.toMatchObject({
      message: 'fetch failed',
      cause: { code: 'UND_ERR_SOCKET', message: 'other side closed' },
    })
    const { origin: broken } = await rawServer((peer) => {
      headOnly(peer)
      peer.socket.end()
    })
    const response = await fetch(broken, { dispatcher })
    await expect(response.text()).rejects.toMatchObject({ message: 'terminated', cause: { code: 'UND_ERR_SOCKET' } })
    const { origin: garbled } = await rawServer(answering('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n'))
    const chunked = await fetch(garbled, { dispatcher })
    await expect(chunked.text()).rejects.toMatchObject({ message: 'terminated', cause: { name: 'HTTPParserError' } })
  })
})

describe.each(dispatchers)("undici's functions through %s", (_name, make) => {
  it('stream', async () => {
    const { origin } = await rawServer(echo)
    const pieces: string[] = []
    const { trailers } = await stream(origin, { dispatcher: make(), method: 'PUT', body: 'in' }, () => {
      return new Writable({
        write(chunk, _encoding, callback) {
          pieces.push(String(chunk))
          callback()
        },
      })
    })
    expect(pieces.join('')).toBe('PUT in')
    expect(trailers).toEqual({})
  })

  it('pipeline', async () => {
    const { origin } = await rawServer(echo)
    const pieces: string[] = []
    await pipe(
      Readable.from(['a', 'b']),
      pipeline(origin, { dispatcher: make(), method: 'PUT' }, ({ body }) => body),
      async (source: AsyncIterable<Buffer>) => {
        for await (const chunk of source) pieces.push(String(chunk))
      },
    )
    expect(pieces.join('')).toBe('PUT ab')
  })

  it('request, aborted before, during and after', async () => {
    const { origin, peers } = await rawServer(headOnly)
    const dispatcher = make()
    await expect(request(origin, { dispatcher, signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
    const during = new AbortController()
    const { body } = await request(origin, { dispatcher, signal: during.signal })
    const text = body.text()
    during.abort()
    await expect(text).rejects.toMatchObject({ name: 'AbortError' })
    await peers.at(-1)!.ended()
    const { origin: whole } = await rawServer(answering(ok()))
    const after = new AbortController()
    const complete = await request(whole, { dispatcher, signal: after.signal })
    expect(await complete.body.text()).toBe('ok')
    after.abort()
    expect(complete.headers['content-length']).toBe('2')
  })

  it('request, whose body is destroyed unread', async () => {
    const { origin, peers } = await rawServer(headOnly)
    const { body } = await request(origin, { dispatcher: make() })
    body.on('error', () => {})
    body.destroy()
    await peers[0]!.ended()
  })
})
