/** Failures of connections and of peers, by class, code and message. */
import { describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { dispatchers, expectNoDescriptorLeft, type MakeDispatcher } from '../support/dispatchers.js'
import { describeError, type Event, recording, styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

type Answer = (peer: RawPeer) => unknown

const bytesThenFin =
  (bytes: string): Answer =>
  async (peer) => {
    await peer.request()
    peer.write(bytes)
    peer.socket.end()
  }

const bytesThenReset =
  (bytes: string): Answer =>
  async (peer) => {
    await peer.request()
    if (bytes === '') peer.socket.resetAndDestroy()
    // The bytes must have left for the other side when the reset does.
    else peer.socket.write(bytes, () => setTimeout(() => peer.socket.resetAndDestroy(), 20))
  }

const socketError = (message: string): Event => ['error', 'SocketError', 'UND_ERR_SOCKET', message]
/** undici 7 loses the parser's code. */
const parserError = (code: string, message: string): Event => [
  'error',
  'HTTPParserError',
  code,
  `Response does not match the HTTP/1.1 protocol (${message})`,
]
const tooShort: Event = [
  'error',
  'ResponseContentLengthMismatchError',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'Response body length does not match content-length header',
]

const HEAD = 'HTTP/1.1 200 OK\r\n'

/** What the peer does, and how it ends for the handler. */
const failures: [what: string, answer: Answer, end: Event][] = [
  ['a FIN instead of a response', bytesThenFin(''), socketError('other side closed')],
  ['a FIN within the head', bytesThenFin(`${HEAD}content-`), socketError('other side closed')],
  ['a reset instead of a response', bytesThenReset(''), ['error', 'Error', 'ECONNRESET', 'read ECONNRESET']],
  [
    'a reset within a sized body',
    bytesThenReset(`${HEAD}content-length: 9\r\n\r\nabc`),
    ['error', 'Error', 'ECONNRESET', 'read ECONNRESET'],
  ],
  ['a reset within a close-delimited body', bytesThenReset(`${HEAD}\r\nabc`), ['end', []]],
  ['a FIN after a close-delimited body', bytesThenFin(`${HEAD}\r\nabc`), ['end', []]],
  ['a FIN within a sized body', bytesThenFin(`${HEAD}content-length: 9\r\n\r\nabc`), socketError('other side closed')],
  [
    'an announced FIN within a sized body',
    bytesThenFin(`${HEAD}connection: close\r\ncontent-length: 9\r\n\r\nabc`),
    tooShort,
  ],
  [
    'an announced FIN within a chunked body',
    bytesThenFin(`${HEAD}connection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`),
    parserError('HPE_INVALID_EOF_STATE', 'Invalid EOF state'),
  ],
  [
    'what is not HTTP',
    bytesThenFin('SSH-2.0-OpenSSH\r\n'),
    parserError('HPE_INVALID_CONSTANT', 'Expected HTTP/, RTSP/ or ICE/'),
  ],
  [
    'a bare LF after the status line',
    bytesThenFin('HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n'),
    parserError('HPE_CR_EXPECTED', 'Missing expected CR after response line'),
  ],
  [
    'a space before the colon',
    bytesThenFin(`${HEAD}content-length : 0\r\n\r\n`),
    parserError('HPE_INVALID_HEADER_TOKEN', 'Invalid header field char'),
  ],
  [
    '101 that nobody asked for',
    bytesThenFin('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    socketError('bad upgrade'),
  ],
]

async function endOf(make: MakeDispatcher, answer: Answer): Promise<Event[]> {
  const { origin } = await rawServer(answer)
  const ends: Event[] = []
  for (const style of styles) {
    const { handler, done } = recording(style)
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    ends.push((await done).at(-1)!)
  }
  return ends
}

describe.each(dispatchers)('%s', (name, make) => {
  it.each(failures)('meets %s', async (_what, answer, end) => {
    const expected = end[1] === 'HTTPParserError' && name !== 'RecyclingAgent' ? end.with(2, undefined) : end
    expect(await endOf(make, answer)).toEqual([expected, expected])
  })

  it('tells addresses and counters with a SocketError', async () => {
    const { origin, port } = await rawServer(bytesThenFin(''))
    const recorded = recording('new')
    make().dispatch({ origin, path: '/', method: 'GET' }, recorded.handler)
    await recorded.done
    expect(recorded.error).toMatchObject({
      socket: {
        localAddress: '127.0.0.1',
        localPort: expect.any(Number),
        remoteAddress: '127.0.0.1',
        remotePort: port,
        remoteFamily: 'IPv4',
        bytesWritten: `GET / HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: keep-alive\r\n\r\n`.length,
        bytesRead: 0,
      },
    })
  })

  it('reports a refused connection as Node does', async () => {
    const { port } = await closedPort()
    const recorded = recording('legacy')
    make().dispatch({ origin: `http://127.0.0.1:${port}`, path: '/', method: 'GET' }, recorded.handler)
    expect(await recorded.done).toEqual([['error', 'Error', 'ECONNREFUSED', `connect ECONNREFUSED 127.0.0.1:${port}`]])
    expect(recorded.error).toMatchObject({ errno: -111, syscall: 'connect', address: '127.0.0.1', port })
  })

  it('reports a name that does not resolve as the resolver does', async () => {
    const failure = Object.assign(new Error('getaddrinfo ENOTFOUND nope.invalid'), {
      code: 'ENOTFOUND',
      syscall: 'getaddrinfo',
      hostname: 'nope.invalid',
    })
    const lookup = (_host: string, _options: unknown, callback: (error: Error) => void): void => callback(failure)
    const recorded = recording('legacy')
    const options = { origin: 'http://nope.invalid', path: '/', method: 'GET' } as const
    make({ connect: { lookup: lookup as never } }).dispatch(options, recorded.handler)
    expect(await recorded.done).toEqual([['error', 'Error', 'ENOTFOUND', 'getaddrinfo ENOTFOUND nope.invalid']])
    expect(recorded.error).toBe(failure)
  })

  it('reports several addresses that fail in one AggregateError, ours by name', async () => {
    const { port } = await closedPort()
    const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }))
    const lookup = (_host: string, _options: unknown, callback: (error: null, all: object[]) => void): void =>
      callback(null, addresses)
    const recorded = recording('legacy')
    make({ connect: { lookup: lookup as never } }).dispatch(
      { origin: `http://several.test:${port}`, path: '/', method: 'GET' },
      recorded.handler,
    )
    const message =
      name === 'RecyclingAgent'
        ? `connect failed to several.test:${port}: 127.0.0.1 ECONNREFUSED, 127.0.0.2 ECONNREFUSED`
        : ''
    expect(await recorded.done).toEqual([['error', 'AggregateError', 'ECONNREFUSED', message]])
    expect((recorded.error as AggregateError).errors.map(describeError)).toEqual([
      ['Error', 'ECONNREFUSED', `connect ECONNREFUSED 127.0.0.1:${port}`],
      ['Error', 'ECONNREFUSED', `connect ECONNREFUSED 127.0.0.2:${port}`],
    ])
  })

  it.each([
    ['a FIN', (peer: RawPeer) => peer.socket.end()],
    ['a reset', (peer: RawPeer) => peer.socket.resetAndDestroy()],
    ['garbage', (peer: RawPeer) => peer.write('garbage')],
    ['a response that nobody asked for', (peer: RawPeer) => peer.write(ok('poison'))],
  ])('hears of %s on an idle connection, and opens another one', async (_what, disturb) => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = make()
    const first = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, first.handler)
    await first.done
    const disconnected = new Promise((resolve) => agent.once('disconnect', resolve))
    disturb(peers[0]!)
    await disconnected
    const second = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, second.handler)
    expect((await second.done).slice(-2)).toEqual([
      ['data', 'ok'],
      ['end', []],
    ])
    expect(peers).toHaveLength(2)
  })

  it('does not take a response that was there before its request', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = make()
    const first = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, first.handler)
    await first.done
    await new Promise((resolve) => setImmediate(resolve))
    // On loopback the bytes are there when the call returns; nobody has looked for them yet.
    peers[0]!.write(ok('poison'))
    const second = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, second.handler)
    expect((await second.done).slice(-2)).toEqual([
      ['data', 'ok'],
      ['end', []],
    ])
  })

  it('does not retry on a connection that is closed in answer to the request, with retryStale: false', async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.write(ok())
      await peer.request()
      peer.socket.end()
    })
    const agent = make({ retryStale: false })
    const first = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, first.handler)
    await first.done
    await new Promise((resolve) => setImmediate(resolve))
    const second = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, second.handler)
    expect((await second.done).at(-1)).toEqual(socketError('other side closed'))
  })

  if (name === 'RecyclingAgent') {
    it('opens another connection for a request that is dispatched in the very turn of the FIN', async () => {
      const { origin, peers } = await rawServer(answering(ok()))
      const agent = make() as RecyclingAgent
      const first = recording('new')
      agent.dispatch({ origin, path: '/', method: 'GET' }, first.handler)
      await first.done
      await new Promise((resolve) => setImmediate(resolve))
      const second = recording('new')
      peers[0]!.socket.end(() => agent.dispatch({ origin, path: '/', method: 'GET' }, second.handler))
      expect((await second.done).at(-1)).toEqual(['end', []])
      expect(peers).toHaveLength(2)
    })
  }
})

/** A port on which nobody listens, since somebody has just stopped. */
async function closedPort(): Promise<{ port: number }> {
  const { createServer } = await import('node:net')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return { port }
}
