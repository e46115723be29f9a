/** Request bodies of every kind: how they are framed, what is told of them, and what becomes of those that fail. */
import { Readable } from 'node:stream'
import { FormData as UndiciFormData } from 'undici'
import { describe } from 'vitest'
import { answering, ok, type RawPeer } from '../support/raw-server.js'
import { exchange } from './answers.js'
import { type AnyOptions, type Play, replacing, type Settings, type Stage, turns, twin } from './twin.js'

/** Each play needs its own body. */
type MakeBody = () => unknown

const uploading =
  (body: MakeBody, request: AnyOptions = {}, agent: AnyOptions = { connections: 1 }): Play =>
  (stage) =>
    exchange({ bytes: ok() }, { request: { method: 'POST', body: body(), ...request }, agent })(stage)

async function* later(...chunks: unknown[]): AsyncGenerator<unknown> {
  for (const chunk of chunks) {
    await turns(1)
    yield chunk
  }
}
const streamOf = (...chunks: unknown[]): Readable => Readable.from(chunks, { objectMode: false })
const slowStreamOf = (...chunks: unknown[]): Readable => Readable.from(later(...chunks), { objectMode: false })
const ended = (text: string): Readable => {
  const stream = new Readable({ read() {} })
  if (text !== '') stream.push(text)
  stream.push(null)
  return stream
}
function form(...entries: [string, string | Blob, string?][]): UndiciFormData {
  const data = new UndiciFormData()
  for (const [name, value, filename] of entries) {
    if (typeof value === 'string') data.append(name, value)
    else data.append(name, value, filename)
  }
  return data
}

const bodies: [string, MakeBody][] = [
  ['a string', () => 'h\u00e9llo \u20ac'],
  ['a Buffer', () => Buffer.from('hello')],
  ['a Uint8Array that is a part', () => new Uint8Array(Buffer.from('xhellox')).subarray(1, 6)],
  ['a Uint16Array', () => new Uint16Array([0x4142, 0x4344])],
  ['a DataView', () => new DataView(new Uint8Array([65, 66, 67, 68]).buffer, 1, 2)],
  ['an ArrayBuffer', () => new Uint8Array([65, 66]).buffer],
  ['an empty string', () => ''],
  ['an empty ArrayBuffer', () => new ArrayBuffer(0)],
  ['a Blob', () => new Blob(['he', 'llo'])],
  ['a Blob with a type', () => new Blob(['hello'], { type: 'text/x' })],
  ['an empty Blob', () => new Blob([])],
  ['an array of strings', () => ['he', 'llo']],
  ['an array with empty strings', () => ['', 'hello', '']],
  ['an array of bytes', () => [Buffer.from('he'), new Uint8Array([108, 108, 111])]],
  ['an empty array', () => []],
  ['a Set', () => new Set(['he', 'llo'])],
  ['an async generator', () => later('he', Buffer.from('llo'))],
  ['an empty async generator', () => later()],
  ['a web stream', () => new Blob(['hello']).stream()],
  ['a stream', () => streamOf('he', 'llo')],
  ['a slow stream', () => slowStreamOf('he', 'llo')],
  ['a stream in object mode', () => Readable.from(['he', 'llo'])],
  ['a stream that has its end', () => ended('hello')],
  ['a stream that has nothing but its end', () => ended('')],
  ['a form', () => form(['a', '1'], ['b"\r\n', 'x\ny'])],
  ['a form with a file', () => form(['f', new Blob(['hello'], { type: 'text/x' }), 'n"ame'], ['g', new Blob(['x'])])],
  ['an empty form', () => form()],
]

describe('sends', () => {
  for (const [what, body] of bodies) {
    const isForm = what.includes('form')
    for (const method of ['POST', 'GET', 'DELETE']) twin(`${what} with ${method}`, uploading(body, { method }))
    if (isForm || what.startsWith('an empty')) continue
    twin(`${what} with its content-length`, uploading(body, { headers: { 'content-length': '5' } }))
    twin(`${what} with a content-type`, uploading(body, { headers: { 'content-type': 'x/y' } }))
  }
  for (const method of ['PUT', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH', 'HEAD', 'OPTIONS', 'TRACE', 'X']) {
    const noAnswerBody = method === 'HEAD' ? 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n' : ok()
    for (const [what, body] of [
      ['bytes', () => 'hello'],
      ['an iterable', () => ['he', 'llo']],
      ['an empty iterable', () => []],
    ] as [string, MakeBody][]) {
      twin(
        `${what} with ${method}`,
        exchange({ bytes: noAnswerBody }, { request: { method, body: body() }, agent: { connections: 1 } }),
      )
    }
  }
  twin(
    'a body of many chunks',
    uploading(() => later(...Array.from({ length: 50 }, (_, i) => `chunk ${i};`))),
  )
  twin(
    'a large body',
    uploading(() => Buffer.alloc(500_000, 'x')),
  )
  twin(
    'large chunks',
    uploading(() => later(Buffer.alloc(200_000, 'x'), Buffer.alloc(200_000, 'y')), {
      headers: { 'content-length': '400000' },
    }),
  )
  for (const reset of [true, false])
    twin(
      `a body on a GET with reset ${reset}`,
      uploading(() => 'hello', { method: 'GET', reset }),
    )

  for (const method of ['GET', 'PUT', 'DELETE']) {
    twin(
      `another request behind a ${method} with a body`,
      async (stage) => {
        const { origin } = await stage.server(answering(ok()))
        const agent = stage.agent({ connections: 1 })
        await stage.send(agent, { origin, method, body: 'hello' }).done
        await turns(10)
        await stage.send(agent, { origin, path: '/next' }).done
      },
      { free: true },
    )
  }
})

describe('content-length', () => {
  const lengths: [string, MakeBody, string, AnyOptions?][] = [
    ['larger than a string', () => 'hello', '6'],
    ['smaller than a string', () => 'hello', '4'],
    ['zero for a string', () => 'hello', '0'],
    ['larger than an iterable', () => ['he', 'llo'], '6'],
    ['smaller than an iterable', () => ['he', 'llo'], '4'],
    ['smaller than the first chunk', () => ['hello'], '2'],
    ['larger than a stream', () => slowStreamOf('he', 'llo'), '6'],
    ['smaller than a stream', () => slowStreamOf('he', 'llo'), '4'],
    ['of an empty iterable', () => [], '3'],
    ['of an empty async generator', () => later(), '3'],
    ['larger than a string of a GET', () => 'hello', '6', { method: 'GET' }],
    ['larger than an iterable of a GET', () => ['hello'], '6', { method: 'GET' }],
    ['smaller than an iterable of a DELETE', () => ['hello'], '4', { method: 'DELETE' }],
  ]
  for (const [what, body, length, request] of lengths) {
    const bad =
      (agent: AnyOptions): Play =>
      async (stage) => {
        const { origin } = await stage.server((peer: RawPeer) => peer.request().then(() => peer.write(ok())))
        replacing('emitWarning', ((warning: Error) => stage.note('warning', warning.name, String(warning))) as never)
        const options = { origin, method: 'POST', headers: { 'content-length': length }, body: body(), ...request }
        await stage.send(stage.agent({ connections: 1, ...agent }), options).done
        await turns(5)
      }
    const settings: Settings = { wire: false, abandons: true, free: true }
    twin(`strictly, ${what}`, bad({}), settings)
    // Longer than what is sent: the peer would wait for ever.
    if (what.startsWith('zero')) twin(`leniently, ${what}`, bad({ strictContentLength: false }), settings)
    if (/string|smaller/.test(what)) twin(`leniently, when ${what}`, bad({ strictContentLength: false }), settings)
  }
})

describe('fails with', () => {
  const failing = (body: (stage: Stage) => unknown, settings: Settings = {}): [Play, Settings] => [
    async (stage) => {
      const { origin } = await stage.server((peer) => peer.request().then(() => peer.write(ok())))
      await stage.send(stage.agent({ connections: 1 }), { origin, method: 'POST', body: body(stage) }).done
      await turns(5)
    },
    { wire: false, abandons: true, ...settings },
  ]
  const failure = new Error('body failed')
  twin(
    'a generator that throws at once',
    ...failing(async function* () {
      yield* []
      throw failure
    }),
  )
  twin(
    'a generator that throws behind a chunk',
    ...failing(async function* () {
      yield 'x'
      await turns(2)
      throw failure
    }),
  )
  twin(
    'an iterable that throws behind a chunk',
    ...failing(function* () {
      yield 'x'
      throw failure
    }),
  )
  for (const chunk of [5, {}, true]) twin(`a chunk that is ${typeof chunk}`, ...failing(() => [chunk]))
  twin('a chunk that is no bytes behind one that is', ...failing(() => later('x', 5)))
  twin(
    'a stream that fails at once',
    ...failing(
      () =>
        new Readable({
          read() {
            this.destroy(failure)
          },
        }),
    ),
  )
  twin(
    'a stream that fails behind a chunk',
    ...failing(() =>
      Readable.from(
        (async function* () {
          yield 'x'
          await turns(3)
          throw failure
        })(),
      ),
    ),
  )
  twin(
    'a stream that has failed before',
    ...failing(() => {
      const stream = new Readable({ read() {} })
      stream.destroy(failure)
      stream.on('error', () => {})
      return stream
    }),
  )
  twin(
    'a stream that closes before its end',
    ...failing(() => {
      const stream = new Readable({ read() {} })
      stream.push('x')
      setTimeout(() => stream.destroy(), 100)
      return stream
    }),
  )
})

describe('is ended', () => {
  /** Notes what becomes of a body that never ends by itself. */
  const endless = (stage: Stage, kind: 'stream' | 'generator'): unknown => {
    if (kind === 'generator') {
      return (async function* () {
        try {
          for (;;) {
            await turns(1)
            yield 'x'
          }
        } finally {
          stage.note('body', 'returned')
        }
      })()
    }
    const stream = new Readable({ read() {} })
    stream.push('x')
    stream.on('error', (error) => stage.note('body', 'error', error.message))
    stream.on('close', () => stage.note('body', 'closed'))
    return stream
  }
  const over = (stage: Stage, kind: string): Promise<void> => stage.noted(kind === 'stream' ? 'closed' : 'returned')
  for (const kind of ['stream', 'generator'] as const) {
    const settings: Settings = { wire: false, abandons: true, free: true }
    twin(
      `a ${kind}, by an early response`,
      async (stage) => {
        const { origin } = await stage.server((peer) => peer.received(/\r\n\r\n/).then(() => peer.write(ok())))
        await stage.send(
          stage.agent({ connections: 1 }),
          { origin, method: 'POST', body: endless(stage, kind) },
          { bodySent() {} },
        ).done
        await over(stage, kind)
      },
      { ...settings, styles: ['new'] },
    )
    twin(
      `a ${kind}, by an early response that closes`,
      async (stage) => {
        const { origin } = await stage.server((peer) =>
          peer.received(/\r\n\r\n/).then(() => {
            peer.socket.end('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
          }),
        )
        await stage.send(stage.agent({ connections: 1 }), { origin, method: 'POST', body: endless(stage, kind) }).done
        await over(stage, kind)
      },
      { ...settings, styles: ['new'] },
    )
    twin(
      `a ${kind}, by an abort`,
      async (stage) => {
        const { origin, peer } = await stage.server(() => {})
        const call = stage.send(stage.agent({ connections: 1 }), { origin, method: 'POST', body: endless(stage, kind) })
        await (await peer(0)).received(/\r\n\r\n/)
        call.flow.abort(new Error('enough'))
        await over(stage, kind)
      },
      { ...settings, styles: ['new'] },
    )
    twin(
      `a ${kind}, by an abort at the start`,
      async (stage) => {
        const { origin } = await stage.server(() => {})
        const { done } = stage.send(
          stage.agent({ connections: 1 }),
          { origin, method: 'POST', body: endless(stage, kind) },
          { start: ({ abort }) => abort(new Error('unwanted')) },
        )
        await done
        if (kind === 'stream') await over(stage, kind)
      },
      settings,
    )
    twin(
      `a ${kind}, by a FIN`,
      async (stage) => {
        const { origin } = await stage.server((peer) => peer.received(/\r\n\r\n/).then(() => peer.socket.end()))
        await stage.send(stage.agent({ connections: 1 }), { origin, method: 'POST', body: endless(stage, kind) }).done
        await over(stage, kind)
      },
      { ...settings, styles: ['new'] },
    )
    twin(
      `a ${kind}, by a connection that fails`,
      async (stage) => {
        const { done } = stage.send(stage.agent({ connections: 1 }), {
          origin: 'http://127.0.0.1:1',
          method: 'POST',
          body: endless(stage, kind),
        })
        await done
        await turns(5)
      },
      settings,
    )
    twin(
      `a ${kind}, by destroy()`,
      async (stage) => {
        const { origin, peer } = await stage.server(() => {})
        const agent = stage.agent({ connections: 1 })
        stage.send(agent, { origin, method: 'POST', body: endless(stage, kind) })
        await (await peer(0)).received(/\r\n\r\n/)
        await agent.destroy(new Error('over'))
        await over(stage, kind)
      },
      { ...settings, styles: ['new'] },
    )
  }
})
