/** undici's diagnostics channels: the same messages, in the same order among the callbacks, as of undici's Agent. */
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { buildConnector, type Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { type Line, Transcript } from '../support/channels.js'
import { dispatchers, expectNoDescriptorLeft, type MakeDispatcher } from '../support/dispatchers.js'
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
        // With true it has an effect here, and none with undici: expect-continue.test.ts.
        expectContinue: false,
        servername: 'other.test',
      },
    },
  ],
  ['expectContinue without a body', answering(ok()), { options: { expectContinue: true } }],
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
  ['a connect function', answering(ok()), { make: { connect: buildConnector({}) }, times: 2 }],
  ['a connect function that fails', answering(ok()), { make: { connect: failingConnect }, times: 2 }],
]

function failingConnect(_options: buildConnector.Options, done: buildConnector.Callback): void {
  process.nextTick(done, new Error('no way'), null)
}

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
