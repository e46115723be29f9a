/** Every kind of request body, and what the server receives of it. */
import { Readable } from 'node:stream'
import { request, FormData as UndiciFormData } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawRequest, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const bytes = Buffer.from('--hello--')
const view = <T>(View: new (buffer: ArrayBuffer, offset: number, length: number) => T, length: number): T => {
  const memory = new ArrayBuffer(16)
  new Uint8Array(memory).set(Buffer.from('abcdefghijklmnop'))
  return new View(memory, 4, length)
}
const endedStream = (): Readable => {
  const stream = new Readable({ read() {} })
  stream.push('ended')
  stream.push(null)
  return stream
}

async function* asyncStrings(...strings: string[]): AsyncGenerator<string> {
  for (const string of strings) {
    await Promise.resolve()
    yield string
  }
}

const sized = (length: number): object => ({ 'content-length': String(length) })
const chunked = { 'transfer-encoding': 'chunked' }

/** Name, body, what is received, how it is framed. */
const bodies: [name: string, body: () => unknown, received: string, framing: object][] = [
  ['a string', () => 'héllo', Buffer.from('héllo').toString('latin1'), sized(6)],
  ['a Buffer with an offset', () => bytes.subarray(2, 7), 'hello', sized(5)],
  ['a Uint8Array with an offset', () => view(Uint8Array, 3), 'efg', sized(3)],
  ['a Uint16Array with an offset', () => view(Uint16Array, 3), 'efghij', sized(6)],
  ['a DataView with an offset', () => view(DataView, 5), 'efghi', sized(5)],
  ['an ArrayBuffer', () => new Uint8Array([104, 105]).buffer, 'hi', sized(2)],
  ['a Blob', () => new Blob(['bl', 'ob']), 'blob', sized(4)],
  ['a stream of unknown length', () => Readable.from(['a', 'bc']), 'abc', chunked],
  ['a stream of bytes that is about to end', endedStream, 'ended', sized(5)],
  ['an array of strings', () => ['x', '', 'yz'], 'xyz', chunked],
  ['a Set of Buffers', () => new Set([Buffer.from('s'), Buffer.from('et')]), 'set', chunked],
  ['an async generator of strings', () => asyncStrings('1', '', '23'), '123', chunked],
  ['a web stream', () => new Blob(['web']).stream(), 'web', chunked],
]

const empties: [name: string, body: () => unknown][] = [
  ['null', () => null],
  ['undefined', () => undefined],
  ['an empty string', () => ''],
  ['an empty Buffer', () => Buffer.alloc(0)],
  ['an empty ArrayBuffer', () => new ArrayBuffer(0)],
  ['an empty Blob', () => new Blob([])],
  ['an empty stream', () => Readable.from([])],
  ['an iterable without chunks', () => []],
  ['an async generator of nothing but empty chunks', () => asyncStrings('', '')],
]

const framingOf = ({ fields }: RawRequest): object =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => /^(content-length|transfer-encoding)$/.test(name)))

describe.each(dispatchers)('%s', (_name, make) => {
  async function send(method: string, body: unknown, headers: Record<string, string> = {}): Promise<RawRequest> {
    const server = await rawServer(answering(ok()))
    const { handler, done } = recording('legacy')
    make().dispatch({ origin: server.origin, path: '/', method, body: body as string, headers }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    return server.requests[0]!
  }

  it.each(bodies)('sends %s with POST and with GET', async (_kind, body, received, framing) => {
    for (const method of ['POST', 'GET']) {
      const sent = await send(method, body())
      expect({ body: sent.body, ...framingOf(sent) }).toEqual({ body: received, ...framing })
    }
  })

  it.each(empties)('announces %s with POST, and says nothing with GET', async (_kind, body) => {
    expect(framingOf(await send('POST', body()))).toEqual(sized(0))
    expect(framingOf(await send('GET', body()))).toEqual({})
  })

  it('takes the length of a stream or an iterable from the caller', async () => {
    for (const body of [Readable.from([Buffer.from('abc')]), asyncStrings('a', 'bc')]) {
      const sent = await send('PUT', body, { 'Content-Length': '3' })
      expect({ body: sent.body, ...framingOf(sent) }).toEqual({ body: 'abc', ...sized(3) })
    }
  })

  it("drops the caller's length where there is no body", async () => {
    expect(framingOf(await send('GET', null, { 'content-length': '7' }))).toEqual({})
    expect(framingOf(await send('POST', null, { 'content-length': '7' }))).toEqual(sized(0))
  })

  it("sends a Blob's type unless the caller gave one", async () => {
    const blob = (): Blob => new Blob(['{}'], { type: 'application/json' })
    expect((await send('POST', blob())).fields['content-type']).toBe('application/json')
    expect((await send('POST', blob(), { 'Content-Type': 'text/x' })).fields['content-type']).toBe('text/x')
  })

  it("encodes undici's FormData with its length", async () => {
    const form = new UndiciFormData()
    form.append('na"me', 'line\nbreak')
    form.append('file', new Blob(['content'], { type: 'text/plain' }), 'f.txt')
    const { body, fields } = await send('POST', form)
    const boundary = /^multipart\/form-data; boundary=(.+)$/.exec(fields['content-type']!)![1]!
    expect(body.replaceAll(boundary, 'B').trimEnd()).toBe(
      '--B\r\nContent-Disposition: form-data; name="na%22me"\r\n\r\nline\r\nbreak\r\n' +
        '--B\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\n' +
        'content\r\n--B--',
    )
    expect(fields['content-length']).toBe(String(body.length))
  })

  it('sends a large body of each kind whole', async () => {
    const large = 'x'.repeat(3_000_000)
    const kinds = [large, Buffer.from(large), new Blob([large]), Readable.from([large]), asyncStrings(large, large)]
    for (const [i, kind] of kinds.entries()) {
      expect((await send('POST', kind)).body.length).toBe(i === 4 ? 6_000_000 : 3_000_000)
    }
  })

  it('sends what undici.request sends', async () => {
    const server = await rawServer(answering(ok('answer')))
    const dispatcher = make()
    for (const [i, [, body, received]] of bodies.entries()) {
      const response = await request(`${server.origin}/${i}`, { dispatcher, method: 'POST', body: body() as string })
      expect(await response.body.text()).toBe('answer')
      expect(server.requests.find(({ head }) => head.startsWith(`POST /${i} `))?.body).toBe(received)
    }
  })

  it('sends no further request on a connection that carried a body with GET', async () => {
    const server = await rawServer(answering(ok()))
    const dispatcher = make()
    for (let i = 0; i < 2; i++) {
      const response = await request(server.origin, { dispatcher, method: 'GET', body: 'x' })
      await response.body.dump()
    }
    expect(server.peers).toHaveLength(2)
    expect(server.requests[0]!.fields.connection).toBe('keep-alive')
  })
})

it("takes Node's own FormData as well", async () => {
  const server = await rawServer(answering(ok()))
  const { handler, done } = recording('new')
  const form = new FormData()
  form.append('a', 'b')
  const body = form as unknown as UndiciFormData
  recyclingAgent().dispatch({ origin: server.origin, path: '/', method: 'POST', body }, handler)
  await done
  expect(server.requests[0]!.body).toContain('name="a"\r\n\r\nb\r\n')
})
