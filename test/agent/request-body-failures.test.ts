/** Request bodies that fail, that are not as long as announced, or that nobody waits for any more. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { dispatchers, expectNoDescriptorLeft } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawServer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const mismatch = [
  'error',
  'RequestContentLengthMismatchError',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  'Request body length does not match content-length header',
]

/** Yields the chunk, then empty ones without end; knows whether it was asked to return. */
function endlessIterable(first: string): AsyncIterable<string> & { returned: Promise<void> } {
  let onReturn: () => void
  const returned = new Promise<void>((resolve) => {
    onReturn = resolve
  })
  async function* chunks(): AsyncGenerator<string> {
    try {
      yield first
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve))
        yield ''
      }
    } finally {
      onReturn()
    }
  }
  return Object.assign(chunks(), { returned })
}

describe.each(dispatchers)('%s', (_name, make) => {
  const silent = (): Promise<RawServer> => rawServer(() => {})

  it.each(['iterable', 'stream'])('fails with what the %s failed with, and ends the connection', async (kind) => {
    const server = await silent()
    const failure = new Error('no more')
    async function* chunks(): AsyncGenerator<Buffer> {
      yield Buffer.from('a')
      await (await server.peer(0)).received(/\r\na$/)
      throw failure
    }
    const body = kind === 'stream' ? Readable.from(chunks()) : chunks()
    const recorded = recording('legacy')
    make().dispatch(
      { origin: server.origin, path: '/', method: 'POST', body: body as unknown as Readable },
      recorded.handler,
    )
    expect((await recorded.done).at(-1)).toEqual(['error', 'Error', undefined, 'no more'])
    expect(recorded.error).toBe(failure)
    const peer = await server.peer(0)
    await peer.ended()
    expect(peer.pending).not.toContain('0\r\n\r\n')
  })

  it('fails with what a stream failed with before there was a connection', async () => {
    const server = await silent()
    const body = new Readable({ read() {} })
    const recorded = recording('legacy')
    make().dispatch({ origin: server.origin, path: '/', method: 'POST', body }, recorded.handler)
    body.destroy(new Error('early'))
    expect(await recorded.done).toEqual([['error', 'Error', undefined, 'early']])
  })

  it('takes a stream that closes without an end as an abort', async () => {
    const server = await silent()
    const body = new Readable({ read() {} })
    const recorded = recording('legacy', { start: () => setImmediate(() => body.destroy()) })
    make().dispatch({ origin: server.origin, path: '/', method: 'POST', body }, recorded.handler)
    expect((await recorded.done).at(-1)).toEqual(['error', 'RequestAbortedError', 'UND_ERR_ABORTED', 'Request aborted'])
  })

  it('fails for chunks that are neither strings nor bytes', async () => {
    const server = await silent()
    const recorded = recording('legacy')
    const body = [1, 2] as unknown as Iterable<Buffer>
    make().dispatch(
      { origin: server.origin, path: '/', method: 'POST', body: body as unknown as Readable },
      recorded.handler,
    )
    expect((await recorded.done).at(-1)?.slice(0, 3)).toEqual(['error', 'TypeError', 'ERR_INVALID_ARG_TYPE'])
  })

  it.each([
    ['more', ['ab', 'cd']],
    ['less', ['a']],
    ['nothing', []],
  ])('fails for an iterable with %s than announced, before the excess is written', async (_what, chunks) => {
    const server = await silent()
    const { handler, done } = recording('legacy')
    const options = { origin: server.origin, path: '/', method: 'POST', headers: { 'content-length': '3' } }
    make().dispatch({ ...options, body: Readable.from(chunks) }, handler)
    expect((await done).at(-1)).toEqual(mismatch)
    const peer = await server.peer(0)
    await peer.ended()
    expect(peer.pending).not.toContain('cd')
  })

  it('fails for bytes with another length than announced before the start callback, and sends nothing', async () => {
    const server = await rawServer(answering(ok()))
    const { handler, done } = recording('legacy')
    const options = { origin: server.origin, path: '/', method: 'POST', headers: { 'content-length': '3' } }
    make().dispatch({ ...options, body: 'abcd' }, handler)
    expect(await done).toEqual([mismatch])
    expect(server.requests).toEqual([])
  })

  it('warns about the length instead when strictContentLength is off, and sends the real one', async () => {
    const server = await rawServer(answering(ok()))
    const { handler, done } = recording('legacy')
    const options = { origin: server.origin, path: '/', method: 'POST', headers: { 'content-length': '3' } }
    const warned = once(process, 'warning')
    make({ strictContentLength: false }).dispatch({ ...options, body: 'abcd' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(await warned).toMatchObject([{ code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' }])
    expect(server.requests[0]).toMatchObject({ body: 'abcd', fields: { 'content-length': '4' } })
  })

  it('destroys a stream and returns an iterator when the request is aborted', async () => {
    const server = await silent()
    const stream = new Readable({ read() {} })
    stream.push('a')
    const iterable = endlessIterable('a')
    for (const body of [stream, iterable]) {
      const index = server.peers.length
      const recorded = recording('legacy', {
        start: (flow) => void server.peer(index).then((peer) => peer.received(/a/).then(() => flow.abort())),
      })
      make().dispatch(
        { origin: server.origin, path: '/', method: 'POST', body: body as unknown as Readable },
        recorded.handler,
      )
      expect((await recorded.done).at(-1)?.[1]).toBe('RequestAbortedError')
    }
    if (!stream.closed) await once(stream, 'close')
    await iterable.returned
  })

  it('destroys a stream and returns an iterator when the connection is lost', async () => {
    const server = await rawServer(async (peer) => {
      await peer.received(/\r\na$/)
      peer.socket.resetAndDestroy()
    })
    const stream = new Readable({ read() {} })
    stream.push('a')
    const iterable = endlessIterable('a')
    for (const body of [stream, iterable]) {
      const recorded = recording('legacy')
      make().dispatch(
        { origin: server.origin, path: '/', method: 'POST', body: body as unknown as Readable },
        recorded.handler,
      )
      expect((await recorded.done).at(-1)).toEqual(['error', 'Error', 'ECONNRESET', 'read ECONNRESET'])
    }
    if (!stream.closed) await once(stream, 'close')
    await iterable.returned
  })

  it('delivers a response that comes before the end of the body, and ends body and connection', async () => {
    const server = await rawServer(async (peer) => {
      await peer.received(/\r\na$/)
      peer.write(ok('early'))
    })
    const stream = new Readable({ read() {} })
    stream.push('a')
    const iterable = endlessIterable('a')
    for (const body of [stream, iterable]) {
      const { handler, done } = recording('legacy')
      make().dispatch({ origin: server.origin, path: '/', method: 'POST', body: body as unknown as Readable }, handler)
      expect((await done).slice(-2)).toEqual([
        ['data', 'early'],
        ['end', []],
      ])
    }
    if (!stream.closed) await once(stream, 'close')
    await iterable.returned
    for (const peer of server.peers.slice(0, 2)) await peer.ended()
  })

  it('does not send what the handler aborted in the start callback', async () => {
    const server = await rawServer(answering(ok()))
    const stream = Readable.from(['never sent'])
    const { handler, done } = recording('legacy', { start: (flow) => flow.abort() })
    make().dispatch({ origin: server.origin, path: '/', method: 'POST', body: stream }, handler)
    await done
    if (!stream.closed) await once(stream, 'close')
    expect(server.requests).toEqual([])
  })

  it("leaves the connection of a server's request that was a body: the failure can be answered there", async () => {
    const upstream = await rawServer(async (peer) => {
      await peer.received(/\r\n\r\n/)
      peer.socket.resetAndDestroy()
    })
    const dispatcher = make()
    const proxy = createServer((request, response) => {
      const { handler, done } = recording('legacy')
      dispatcher.dispatch({ origin: upstream.origin, path: '/', method: 'POST', body: request }, handler)
      void done.then((events) => response.writeHead(502, { connection: 'close' }).end(events.at(-1)?.join()))
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void proxy.close())
    await once(proxy, 'listening')
    const client = connect((proxy.address() as AddressInfo).port, '127.0.0.1')
    // More is announced than is sent before the answer.
    client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc')
    let answer = ''
    for await (const bytes of client) answer += bytes
    expect(answer).toMatch(/^HTTP\/1\.1 502 .*ECONNRESET/s)
  })
})
