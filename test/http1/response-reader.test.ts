/** What the reader makes of bytes, however they are split; pauses and stops are in response-reader.flow.test.ts. */
import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import type { FieldRecord } from '../../src/http1/field-section.js'
import { receiveWindow, WINDOW_SIZE } from '../../src/http1/llhttp.js'
import type { Framing } from '../../src/http1/response-head.js'
import type { Expectation } from '../../src/http1/response-reader.js'
import { type Entry, GET, head, latin1, lines, Recording, receive } from './recording.js'

type HeadEntry = Extract<Entry, { event: 'head' }>

const begin: Entry = { event: 'begin' }
const asked: Entry = { event: 'continue' }
const untilClose: Framing = { kind: 'until-close' }
const chunked: Framing = { kind: 'chunked' }
const sized = (length: number): Framing => ({ kind: 'sized', length })
const headOf = (fields: FieldRecord, framing: Framing, over: Partial<HeadEntry> = {}): Entry => ({
  event: 'head',
  status: 200,
  text: 'OK',
  fields,
  keepAlive: framing.kind !== 'until-close',
  hint: null,
  sound: true,
  framing,
  ...over,
})
const data = (body: string): Entry => ({ event: 'data', body })
const end = (trailers: FieldRecord = {}): Entry => ({ event: 'end', trailers })

/** What comes behind the response under test on the same connection. */
const nextText = `${head('HTTP/1.1 202 Next', 'content-length: 4')}next`
const nextEntries = [
  begin,
  headOf({ 'content-length': '4' }, sized(4), { status: 202, text: 'Next' }),
  data('next'),
  end(),
]
const badResponse: Entry = { event: 'error', kind: 'bad-response', message: 'bad-response', code: undefined }

interface Case {
  name: string
  request?: Expectation
  text: string
  entries: Entry[]
  /** Other bytes may follow: the message does not last until FIN, and does not end HTTP. */
  isDelimited?: false
}

const HEAD: Expectation = { method: 'HEAD', upgrade: null }
const CONNECT: Expectation = { method: 'CONNECT', upgrade: null }
const UPGRADE: Expectation = { method: 'GET', upgrade: 'websocket' }

const chunkedHead = head('HTTP/1.1 200 OK', 'transfer-encoding: chunked')
const chunkedEntry = headOf({ 'transfer-encoding': 'chunked' }, chunked)

const cases: Case[] = [
  {
    name: 'reads a body of known length (RFC 9112 6.3, 6)',
    text: `${head('HTTP/1.1 200 OK', 'Content-Length: 5')}hello`,
    entries: [begin, headOf({ 'content-length': '5' }, sized(5)), data('hello'), end()],
  },
  {
    name: 'reads an empty body without data',
    text: head('HTTP/1.1 200 OK', 'content-length: 0'),
    entries: [begin, headOf({ 'content-length': '0' }, sized(0)), end()],
  },
  {
    name: 'reads chunks (RFC 9112 7.1)',
    text: `${chunkedHead}3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n`,
    entries: [begin, chunkedEntry, data('abcd'), end()],
  },
  {
    name: 'reads an empty chunked body',
    text: `${chunkedHead}0\r\n\r\n`,
    entries: [begin, chunkedEntry, end()],
  },
  {
    name: 'ignores chunk extensions (RFC 9112 7.1.1)',
    text: `${chunkedHead}3;a=b;c="d"\r\nabc\r\n0;last\r\n\r\n`,
    entries: [begin, chunkedEntry, data('abc'), end()],
  },
  {
    name: 'reads chunk sizes in either case and with leading zeros',
    text: `${chunkedHead}00A\r\n0123456789\r\nc\r\n0123456789ab\r\n000\r\n\r\n`,
    entries: [begin, chunkedEntry, data('01234567890123456789ab'), end()],
  },
  {
    name: 'reads chunk data that looks like chunk framing',
    text: `${chunkedHead}a\r\n\r\n0\r\n\r\n\r\n\r\r\n0\r\n\r\n`,
    entries: [begin, chunkedEntry, data('\r\n0\r\n\r\n\r\n\r'), end()],
  },
  {
    name: 'reads trailers (RFC 9112 7.1.2)',
    text: `${chunkedHead}3\r\nabc\r\n${head('0', 'X-Sum: 1', 'x-sum:2', 'Other: ')}`,
    entries: [begin, chunkedEntry, data('abc'), end({ 'x-sum': ['1', '2'], other: '' })],
  },
  {
    name: 'reads trailers without a body',
    text: `${chunkedHead}${head('0', 'a: b')}`,
    entries: [begin, chunkedEntry, end({ a: 'b' })],
  },
  {
    name: 'reads until FIN when nothing delimits the body (RFC 9112 6.3, 8)',
    text: `${head('HTTP/1.1 200 OK', 'a: b')}hello\r\n\r\n`,
    entries: [begin, headOf({ a: 'b' }, untilClose), data('hello\r\n\r\n'), end()],
    isDelimited: false,
  },
  {
    name: 'reads an empty body until FIN',
    text: head('HTTP/1.1 200 OK'),
    entries: [begin, headOf({}, untilClose), end()],
    isDelimited: false,
  },
  {
    name: 'reads no body after HEAD (RFC 9112 6.3, 1)',
    request: HEAD,
    text: head('HTTP/1.1 200 OK', 'content-length: 5'),
    entries: [begin, headOf({ 'content-length': '5' }, sized(0)), end()],
  },
  {
    name: 'reads no chunks after HEAD',
    request: HEAD,
    text: head('HTTP/1.1 200 OK', 'transfer-encoding: chunked'),
    entries: [begin, headOf({ 'transfer-encoding': 'chunked' }, sized(0)), end()],
  },
  {
    name: 'does not count on the connection after an unframed HEAD response',
    request: HEAD,
    text: head('HTTP/1.1 200 OK'),
    entries: [begin, headOf({}, sized(0), { keepAlive: false }), end()],
  },
  {
    name: 'counts on it when the unframed HEAD response says keep-alive',
    request: HEAD,
    text: head('HTTP/1.1 200 OK', 'Connection: Keep-Alive'),
    entries: [begin, headOf({ connection: 'Keep-Alive' }, sized(0)), end()],
  },
  ...[204, 304].flatMap((status): Case[] => [
    {
      name: `reads no body after ${status}`,
      text: head(`HTTP/1.1 ${status} Empty`),
      entries: [begin, headOf({}, sized(0), { status, text: 'Empty' }), end()],
    },
    {
      name: `holds content-length: 0 of a ${status} for sound`,
      text: head(`HTTP/1.1 ${status} Empty`, 'content-length: 0'),
      entries: [begin, headOf({ 'content-length': '0' }, sized(0), { status, text: 'Empty' }), end()],
    },
    {
      name: `holds another content-length of a ${status} for unsound`,
      text: head(`HTTP/1.1 ${status} Empty`, 'content-length: 5'),
      entries: [begin, headOf({ 'content-length': '5' }, sized(0), { status, text: 'Empty', sound: false }), end()],
    },
    {
      name: `holds a transfer-encoding of a ${status} for unsound`,
      text: head(`HTTP/1.1 ${status} Empty`, 'transfer-encoding: chunked'),
      entries: [
        begin,
        headOf({ 'transfer-encoding': 'chunked' }, sized(0), { status, text: 'Empty', sound: false }),
        end(),
      ],
    },
  ]),
  {
    name: 'reads any number of 1xx before the final response (RFC 9110 15.2)',
    text:
      head('HTTP/1.1 102 Processing') +
      head('HTTP/1.1 103 Early Hints', 'Link: </a>', 'link: </b>') +
      head('HTTP/1.1 199 ', 'content-length: 0') +
      head('HTTP/1.1 200 OK', 'content-length: 2') +
      'ok',
    entries: [
      begin,
      { event: 'informational', status: 102, text: 'Processing', fields: {} },
      begin,
      { event: 'informational', status: 103, text: 'Early Hints', fields: { link: ['</a>', '</b>'] } },
      begin,
      { event: 'informational', status: 199, text: '', fields: { 'content-length': '0' } },
      begin,
      headOf({ 'content-length': '2' }, sized(2)),
      data('ok'),
      end(),
    ],
  },
  {
    name: 'hands the connection out after 101 (RFC 9110 15.2.2)',
    request: UPGRADE,
    text: `${head('HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket')}\x81\x05hello`,
    entries: [
      begin,
      {
        event: 'tunnel',
        status: 101,
        text: 'Switching Protocols',
        fields: { connection: 'Upgrade', upgrade: 'websocket' },
        rest: '\x81\x05hello',
      },
    ],
    isDelimited: false,
  },
  {
    name: 'reads an ordinary response when the peer does not switch',
    request: UPGRADE,
    text: head('HTTP/1.1 426 Upgrade Required', 'content-length: 0', 'connection: upgrade', 'upgrade: x'),
    entries: [
      begin,
      headOf({ 'content-length': '0', connection: 'upgrade', upgrade: 'x' }, sized(0), {
        status: 426,
        text: 'Upgrade Required',
      }),
      end(),
    ],
  },
  ...[200, 204, 407].map(
    (status): Case => ({
      name: `hands the connection out after ${status} to CONNECT`,
      request: CONNECT,
      text: `${head(`HTTP/1.1 ${status} Yes`, 'content-length: 3')}HTTP/1.1`,
      entries: [begin, { event: 'tunnel', status, text: 'Yes', fields: { 'content-length': '3' }, rest: 'HTTP/1.1' }],
      isDelimited: false,
    }),
  ),
  {
    name: 'hands the connection out with nothing behind the head',
    request: CONNECT,
    text: head('HTTP/1.1 200 OK'),
    entries: [begin, { event: 'tunnel', status: 200, text: 'OK', fields: {}, rest: '' }],
    isDelimited: false,
  },
  {
    name: 'takes a status line without a reason (RFC 9112 4)',
    text: lines('HTTP/1.1 200 ', 'content-length: 0', ''),
    entries: [begin, headOf({ 'content-length': '0' }, sized(0), { text: '' }), end()],
  },
  {
    name: 'takes a status line without the space before the reason',
    text: lines('HTTP/1.1 200', 'content-length: 0', ''),
    entries: [begin, headOf({ 'content-length': '0' }, sized(0), { text: '' }), end()],
  },
  {
    name: 'decodes the reason as UTF-8',
    text: head(Buffer.from('HTTP/1.1 200 Schön ✓').toString('latin1'), 'content-length: 0'),
    entries: [begin, headOf({ 'content-length': '0' }, sized(0), { text: 'Schön ✓' }), end()],
  },
  {
    name: 'decodes field values as latin1',
    text: head('HTTP/1.1 200 OK', 'content-length: 0', 'x: gr\xfc\xdf'),
    entries: [begin, headOf({ 'content-length': '0', x: 'gr\xfc\xdf' }, sized(0)), end()],
  },
  {
    name: 'takes leading blanks off a field value, and leaves trailing ones',
    text: head('HTTP/1.1 200 OK', 'content-length: 0', 'x: \t a b \t'),
    entries: [begin, headOf({ 'content-length': '0', x: 'a b \t' }, sized(0)), end()],
  },
  {
    name: 'takes empty field values',
    text: head('HTTP/1.1 200 OK', 'content-length: 0', 'a:', 'b: ', 'a: '),
    entries: [begin, headOf({ 'content-length': '0', a: ['', ''], b: '' }, sized(0)), end()],
  },
  {
    name: 'takes empty lines before the status line (RFC 9112 2.2)',
    text: `\r\n\r\n${head('HTTP/1.1 200 OK', 'content-length: 0')}`,
    entries: [begin, headOf({ 'content-length': '0' }, sized(0)), end()],
  },
  {
    name: 'reads chunks behind another coding (RFC 9112 6.1)',
    text: `${head('HTTP/1.1 200 OK', 'transfer-encoding: gzip, chunked')}2\r\n\x1f\x8b\r\n0\r\n\r\n`,
    entries: [begin, headOf({ 'transfer-encoding': 'gzip, chunked' }, chunked), data('\x1f\x8b'), end()],
  },
  ...['gzip', 'identity', 'chunked, gzip'].map(
    (coding): Case => ({
      name: `reads 'transfer-encoding: ${coding}' until FIN (RFC 9112 6.3, 4)`,
      text: `${head('HTTP/1.1 200 OK', `transfer-encoding: ${coding}`)}0\r\n\r\n`,
      entries: [begin, headOf({ 'transfer-encoding': coding }, untilClose), data('0\r\n\r\n'), end()],
      isDelimited: false,
    }),
  ),
  ...(
    [
      ['HTTP/1.1', 'x: y', true],
      ['HTTP/1.1', 'connection: close', false],
      ['HTTP/1.1', 'connection: keep-alive, Close', false],
      ['HTTP/1.0', 'x: y', false],
      ['HTTP/1.0', 'connection: keep-alive', true],
      ['HTTP/1.0', 'connection: close', false],
    ] as const
  ).map(([version, field, keepAlive]): Case => {
    const [name, value] = field.split(': ') as [string, string]
    return {
      name: `${keepAlive ? 'counts' : 'does not count'} on the connection after ${version}, ${field} (RFC 9112 9.3)`,
      text: head(`${version} 200 OK`, field, 'content-length: 0'),
      entries: [begin, headOf({ [name]: value, 'content-length': '0' }, sized(0), { keepAlive }), end()],
    }
  }),
  ...['HTTP/2.0', 'HTTP/0.9'].map(
    (version): Case => ({
      name: `takes ${version} in the status line`,
      text: `${head(`${version} 200 OK`, 'content-length: 1')}x`,
      entries: [begin, headOf({ 'content-length': '1' }, sized(1), { keepAlive: false }), data('x'), end()],
    }),
  ),
  {
    name: "reads the peer's keep-alive timeout",
    text: head('HTTP/1.1 200 OK', 'Keep-Alive: Timeout=5, max=100', 'content-length: 0'),
    entries: [
      begin,
      headOf({ 'keep-alive': 'Timeout=5, max=100', 'content-length': '0' }, sized(0), { hint: 5 }),
      end(),
    ],
  },
  {
    name: 'refuses 101 that does not say to which protocol it switches (RFC 9110 15.2.2)',
    request: UPGRADE,
    text: head('HTTP/1.1 101 What') + head('HTTP/1.1 200 OK', 'content-length: 0'),
    entries: [begin, { event: 'error', kind: 'bad-upgrade', message: 'bad-upgrade', code: undefined }],
    isDelimited: false,
  },
  ...[
    ['HTTP/1.1', 'connection: close'],
    ['HTTP/1.0', 'a: b'],
  ].map(([version, field]): Case => {
    const [name, value] = field!.split(': ') as [string, string]
    return {
      name: `refuses what follows a 1xx of ${version} with ${field}`,
      text: head(`${version} 103 Bye`, field!) + head('HTTP/1.1 200 OK', 'content-length: 0'),
      entries: [
        begin,
        { event: 'informational', status: 103, text: 'Bye', fields: { [name]: value } },
        begin,
        {
          event: 'error',
          kind: 'parse',
          message: 'Response does not match the HTTP/1.1 protocol (Data after `Connection: close`)',
          code: 'CLOSED_CONNECTION',
        },
      ],
      isDelimited: false,
    }
  }),
  {
    name: 'tells of 100 without its fields: it is no head of a response (RFC 9110 15.2.1)',
    text: head('HTTP/1.1 100 Continue') + head('HTTP/1.1 200 OK', 'content-length: 0'),
    entries: [begin, asked, begin, headOf({ 'content-length': '0' }, sized(0)), end()],
  },
  {
    name: 'tells of several 100 with fields and lengths, and among other 1xx',
    text:
      head('HTTP/1.1 100', 'content-length: 3') +
      head('HTTP/1.1 103 Bye', 'a: b') +
      head('HTTP/1.0 100 X', 'transfer-encoding: chunked') +
      head('HTTP/1.1 100 X', 'connection: close') +
      head('HTTP/1.1 200 OK', 'content-length: 0'),
    entries: [
      begin,
      asked,
      begin,
      { event: 'informational', status: 103, text: 'Bye', fields: { a: 'b' } },
      begin,
      asked,
      begin,
      asked,
      begin,
      headOf({ 'content-length': '0' }, sized(0)),
      end(),
    ],
  },
  {
    name: 'tells of 100 before the answer to CONNECT',
    request: CONNECT,
    text: `${head('HTTP/1.1 100 Continue')}${head('HTTP/1.1 200 OK')}rest`,
    entries: [begin, asked, begin, { event: 'tunnel', status: 200, text: 'OK', fields: {}, rest: 'rest' }],
    isDelimited: false,
  },
  {
    name: 'refuses 101 when nobody asked for it',
    text: `${head('HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'upgrade: x')}rest`,
    entries: [begin, { event: 'error', kind: 'bad-upgrade', message: 'bad-upgrade', code: undefined }],
    isDelimited: false,
  },
]

const record = (request = GET, ...further: Expectation[]): Recording =>
  new Recording({ expectations: [request, ...further] })

describe.each(cases)('ResponseReader $name', ({ request, text, entries, isDelimited = true }) => {
  const bytes = latin1(text)
  const finishUnlessDelimited = (recording: Recording): Recording => (isDelimited ? recording : recording.finish())

  it.each([
    ['in one piece', bytes.length],
    ['byte by byte', 1],
    ['in pieces of 7 bytes', 7],
  ])('%s', (_, size) => {
    const recording = finishUnlessDelimited(record(request).feed(bytes, size))
    expect(recording.entries).toEqual(entries)
    expect(recording.reader.hasBacklog).toBe(false)
  })

  it.each([1, 3, 1000])('past the parser, %d bytes at once', (size) => {
    expect(finishUnlessDelimited(record(request).feedDirectly(bytes, size)).entries).toEqual(entries)
  })
})

describe.each(cases.filter(({ isDelimited }) => isDelimited ?? true))(
  'ResponseReader $name',
  ({ request, text, entries }) => {
    it.each([
      ['in one piece', text.length + nextText.length],
      ['byte by byte', 1],
      ['split before its last byte', text.length - 1],
      ['split behind the first byte of the next', text.length + 1],
    ])('with the next response behind it, %s', (_, size) => {
      const recording = record(request, GET).feed(latin1(text + nextText), size)
      expect(recording.entries).toEqual([...entries, ...nextEntries])
      expect(recording.reader.isInMessage).toBe(false)
    })

    it.each(['HTTP/1.1 200 OK\r\n\r\n', 'x', '\r\n\n\r x'])('with stray bytes %j behind it', (stray) => {
      expect(record(request).feed(latin1(text + stray)).entries).toEqual([...entries, badResponse])
    })

    it.each(['\r\n', '\n\r\r\n'])('with empty lines %j behind it, which mean nothing', (lines) => {
      expect(record(request).feed(latin1(text + lines)).entries).toEqual(entries)
    })
  },
)

describe('ResponseReader', () => {
  it('gives field lines as they came, in their order and case (RFC 9110 5.3)', () => {
    const recording = new Recording()
    const fields = ['Set-Cookie: a', 'X-Y:z', 'SET-cookie: b', '__proto__: p', 'constructor: c', '__PROTO__: q']
    recording.feed(latin1(head('HTTP/1.1 204 No', ...fields)), 5)
    expect(recording.heads[0]?.fields.toRaw().map((part) => part.toString('latin1'))).toEqual([
      'Set-Cookie',
      'a',
      'X-Y',
      'z',
      'SET-cookie',
      'b',
      '__proto__',
      'p',
      'constructor',
      'c',
      '__PROTO__',
      'q',
    ])
    expect(Object.entries(recording.heads[0]?.fields.toRecord() ?? {})).toEqual([
      ['set-cookie', ['a', 'b']],
      ['x-y', 'z'],
      ['__proto__', ['p', 'q']],
      ['constructor', 'c'],
    ])
  })

  it('gives raw trailers as they came', () => {
    const recording = new Recording().feed(latin1(`${chunkedHead}1\r\nx\r\n${head('0', 'B: 2', 'a:', 'b: 3')}`))
    expect(recording.trailers?.toRaw().map(String)).toEqual(['B', '2', 'a', '', 'b', '3'])
  })

  it('reads responses to pipelined requests by the method of each (RFC 9112 9.3.2)', () => {
    const recording = new Recording({ expectations: [GET, HEAD, GET] })
    const text = `${chunkedHead}3\r\nabc\r\n0\r\n\r\n${head('HTTP/1.1 200 OK', 'content-length: 9')}${nextText}`
    recording.feed(latin1(text))
    expect(recording.names).toEqual([
      'begin',
      'head',
      'data',
      'end',
      'begin',
      'head',
      'end',
      'begin',
      'head',
      'data',
      'end',
    ])
    expect(recording.body).toBe('abcnext')
  })

  it('refuses bytes when no response is due', () => {
    expect(new Recording({ expectations: [] }).feed(latin1('H')).entries).toEqual([badResponse])
  })

  it('reads a length that does not fit into 32 bits', () => {
    const length = 2 ** 33 + 5
    const recording = new Recording().feed(latin1(`${head('HTTP/1.1 200 OK', `content-length: ${length}`)}abc`))
    expect(recording.reader.directRoom).toBe(length - 3)
    expect(recording.entries.at(1)).toEqual(headOf({ 'content-length': `${length}` }, sized(length)))
  })

  it('lets body bytes past the parser only where their number does not depend on them', () => {
    const rooms: number[] = []
    const recording = new Recording({ expectations: [GET, GET, GET, GET] })
    const { reader } = recording
    const feed = (text: string): void => {
      recording.feed(latin1(text))
      rooms.push(reader.directRoom)
    }
    feed('HTTP/1.1 200')
    feed(' OK\r\ncontent-length: 5\r\n\r\nab')
    feed('cde')
    feed(`${chunkedHead}5\r\nab`)
    feed('cde\r\n0\r\n\r\n')
    feed(head('HTTP/1.1 200 OK'))
    feed('x')
    expect(rooms).toEqual([0, 3, 0, 0, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
  })

  it('is in a message from its first byte to its last', () => {
    const recording = new Recording()
    const states: [string, boolean][] = []
    for (const byte of `${head('HTTP/1.1 200 OK', 'content-length: 2')}ok`) {
      recording.feed(latin1(byte))
      states.push([recording.reader.state, recording.reader.isInMessage])
    }
    expect(states.at(0)).toEqual(['head', true])
    expect(states.at(-2)).toEqual(['sized', true])
    expect(states.at(-1)).toEqual(['head', false])
    expect(states.slice(0, -1).every(([, isInMessage]) => isInMessage)).toBe(true)
  })

  it.each<[what: string, text: string, last: string]>([
    ['1xx heads', head(`HTTP/1.1 103 ${'x'.repeat(1000)}`), 'informational'],
    ['heads', head(`HTTP/1.1 204 ${'x'.repeat(1000)}`), 'end'],
    ['trailers', `${chunkedHead}${head('0', `a: ${'x'.repeat(1000)}`)}`, 'end'],
  ])('reads any number of split %s on one connection', (_, text, last) => {
    const count = 400
    const recording = new Recording({ expectations: new Array<Expectation>(count).fill(GET) })
    recording.feed(latin1(text.repeat(count)), text.length - 1)
    expect(recording.names.filter((name) => name === last)).toHaveLength(count)
    expect(recording.names).not.toContain('error')
  })

  it('fills the whole window at once', () => {
    const body = 'x'.repeat(WINDOW_SIZE)
    const text = `${chunkedHead}${WINDOW_SIZE.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const recording = new Recording().feed(latin1(text), WINDOW_SIZE)
    expect(recording.body).toBe(body)
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })
})

describe('ResponseReader, strict where llhttp is', () => {
  const wrong = (reason: string, code: string): Entry => ({
    event: 'error',
    kind: 'parse',
    message: `Response does not match the HTTP/1.1 protocol (${reason})`,
    code,
  })
  const mismatch: Entry = { event: 'error', kind: 'length-mismatch', message: 'length-mismatch', code: undefined }

  it.each<[what: string, text: string, entries: Entry[]]>([
    [
      'a bare LF behind the status line (RFC 9112 2.2)',
      'HTTP/1.1 200 OK\ncontent-length: 0\r\n\r\n',
      [wrong('Missing expected CR after response line', 'CR_EXPECTED')],
    ],
    [
      'a bare LF behind a field line',
      'HTTP/1.1 200 OK\r\na: b\ncontent-length: 0\r\n\r\n',
      [wrong('Missing expected CR after header value', 'CR_EXPECTED')],
    ],
    [
      'a bare CR in a field value',
      'HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n',
      [wrong('Missing expected LF after header value', 'LF_EXPECTED')],
    ],
    [
      'a folded field value (RFC 9112 5.2)',
      'HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n',
      [wrong('Unexpected whitespace after header value', 'INVALID_HEADER_TOKEN')],
    ],
    [
      'a space before the colon (RFC 9112 5.1)',
      'HTTP/1.1 200 OK\r\na : b\r\n\r\n',
      [wrong('Invalid header token', 'INVALID_HEADER_TOKEN')],
    ],
    ['an empty field name', 'HTTP/1.1 200 OK\r\n: b\r\n\r\n', [wrong('Invalid header token', 'INVALID_HEADER_TOKEN')]],
    [
      'NUL in a field value (RFC 9110 5.5)',
      'HTTP/1.1 200 OK\r\na: b\0c\r\n\r\n',
      [wrong('Invalid header value char', 'INVALID_HEADER_TOKEN')],
    ],
    ['what is not HTTP', 'SSH-2.0-server\r\n', [wrong('Expected HTTP/, RTSP/ or ICE/', 'INVALID_CONSTANT')]],
    ['another version', 'HTTP/1.7 200 OK\r\n\r\n', [wrong('Invalid HTTP version', 'INVALID_VERSION')]],
    ['a status that is no number', 'HTTP/1.1 abc\r\n\r\n', [wrong('Invalid status code', 'INVALID_STATUS')]],
    [
      'Content-Length and Transfer-Encoding (RFC 9112 6.3, 3)',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n',
      [mismatch],
    ],
    [
      'Transfer-Encoding and Content-Length',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n',
      [wrong("Content-Length can't be present with Transfer-Encoding", 'INVALID_CONTENT_LENGTH')],
    ],
    ['two lengths (RFC 9112 6.3, 5)', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n', [mismatch]],
    [
      'two lengths of 0',
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n',
      [wrong('Duplicate Content-Length', 'UNEXPECTED_CONTENT_LENGTH')],
    ],
    [
      'a length that is no number',
      'HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n',
      [wrong('Invalid character in Content-Length', 'INVALID_CONTENT_LENGTH')],
    ],
    ['a length with more than digits', 'HTTP/1.1 200 OK\r\ncontent-length: 5x\r\n\r\n', [mismatch]],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n\r\n', [mismatch]],
    ['a length beyond 64 bits', `HTTP/1.1 200 OK\r\ncontent-length: ${2n ** 64n}\r\n\r\n`, [mismatch]],
    ['a bare LF behind a length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\na: b\r\n\r\n', [mismatch]],
    ...['000', '099'].map((status): [string, string, Entry[]] => [
      `status ${status}`,
      `HTTP/1.1 ${status} X\r\n\r\n`,
      [wrong('Invalid status code', 'INVALID_STATUS')],
    ]),
    [
      'a negative length',
      'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n',
      [wrong('Invalid character in Content-Length', 'INVALID_CONTENT_LENGTH')],
    ],
    [
      'any error behind a length, as undici says it',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\na : b\r\n\r\n',
      [mismatch],
    ],
    [
      'a chunk size that is no number',
      `${chunkedHead}3\r\nabc\r\nxyz\r\n`,
      [chunkedEntry, data('abc'), wrong('Invalid character in chunk size', 'INVALID_CHUNK_SIZE')],
    ],
    [
      'a chunk longer than its size',
      `${chunkedHead}3\r\nabcd\r\n`,
      [chunkedEntry, data('abc'), wrong('Expected LF after chunk data', 'STRICT')],
    ],
    [
      'a chunk size beyond 64 bits',
      `${chunkedHead}ffffffffffffffffff\r\n`,
      [chunkedEntry, wrong('Chunk size overflow', 'INVALID_CHUNK_SIZE')],
    ],
    [
      'a bare LF behind a chunk size',
      `${chunkedHead}3\nabc\r\n`,
      [chunkedEntry, wrong('Missing expected CR after chunk size', 'CR_EXPECTED')],
    ],
    [
      'a malformed trailer',
      `${chunkedHead}3\r\nabc\r\n0\r\na: b\r\nc d: e\r\n\r\n`,
      [chunkedEntry, data('abc'), wrong('Invalid header token', 'INVALID_HEADER_TOKEN')],
    ],
  ])('refuses %s', (_, text, entries) => {
    for (const size of [text.length, 1, 7]) {
      expect(new Recording().feed(latin1(text), size).entries).toEqual([begin, ...entries])
    }
  })

  it('gives the offending bytes as a copy', () => {
    const { reader } = new Recording()
    const error = receive(reader, latin1('HTTP/1.1 200 OK\r\na : b\r\n\r\n'))
    receiveWindow().fill(0)
    expect(error?.data?.toString('latin1')).toBe(' : b\r\n\r\n')
  })
})

describe('ResponseReader, when the connection ends', () => {
  const sizedHead = (...fields: string[]): string => head('HTTP/1.1 200 OK', 'content-length: 5', ...fields)
  const closing = 'connection: close'
  const closed = 'closed'
  const mismatch = 'length-mismatch'
  const invalid = 'parse'

  it.each<[what: string, text: string, fin: string | null, reset: string | null]>([
    ['before the first byte', '', closed, null],
    ['in an empty line', '\r\n', closed, null],
    ['in a status line', 'HTTP/1.1 20', closed, null],
    ['in the fields', 'HTTP/1.1 200 OK\r\nconnection: close\r\nco', closed, null],
    ['behind a 1xx', head('HTTP/1.1 103 Early Hints', closing), closed, null],
    ['behind a complete message', `${sizedHead()}hello`, closed, null],
    ['behind a complete closing message', `${sizedHead(closing)}hello`, closed, null],
    ['before a body of known length', sizedHead(), closed, null],
    ['within it', `${sizedHead()}hell`, closed, null],
    ['before the body of a closing message', sizedHead(closing), mismatch, mismatch],
    ['within it, short of a byte', `${sizedHead(closing)}hell`, mismatch, mismatch],
    ['before the first chunk', chunkedHead, closed, null],
    ['in a chunk', `${chunkedHead}5\r\nhell`, closed, null],
    ['in the trailers', `${chunkedHead}0\r\na: b\r\n`, closed, null],
    [
      'before the first chunk of a closing message',
      head('HTTP/1.1 200 OK', closing, 'transfer-encoding: chunked'),
      invalid,
      invalid,
    ],
    ['in its chunk', `${head('HTTP/1.1 200 OK', closing, 'transfer-encoding: chunked')}5\r\nhell`, invalid, invalid],
    [
      'in its trailers',
      `${head('HTTP/1.1 200 OK', closing, 'transfer-encoding: chunked')}0\r\na: b\r\n`,
      invalid,
      invalid,
    ],
    ['in a chunk of HTTP/1.0', `${head('HTTP/1.0 200 OK', 'transfer-encoding: chunked')}5\r\nhell`, invalid, invalid],
  ])('finds fault %s (RFC 9112 8)', (_, text, fin, reset) => {
    const ended = new Recording().feed(latin1(text))
    expect(ended.reader.receiveEnd()?.kind ?? null).toBe(fin)
    const broken = new Recording().feed(latin1(text))
    const { ended: isEnded, error } = broken.reader.receiveReset()
    expect(isEnded).toBe(false)
    expect(error?.kind ?? null).toBe(reset)
    expect(broken.entries).toEqual(ended.entries)
  })

  it("names a chunked body's early end as the parser does", () => {
    const text = head('HTTP/1.1 200 OK', closing, 'transfer-encoding: chunked')
    expect(new Recording().feed(latin1(text)).reader.receiveEnd()).toMatchObject({
      message: 'Response does not match the HTTP/1.1 protocol (Invalid EOF state)',
      parserCode: 'INVALID_EOF_STATE',
      data: Buffer.alloc(0),
    })
  })

  it('takes a reset for the end of a body that nothing else ends', () => {
    const recording = new Recording().feed(latin1(`${head('HTTP/1.1 200 OK')}hello`))
    expect(recording.reader.receiveReset()).toEqual({ ended: true, error: null })
    expect(recording.entries.slice(2)).toEqual([data('hello'), end()])
    expect(recording.reader.state).toBe('closed')
  })

  it.each([
    ['a tunnel', CONNECT, head('HTTP/1.1 200 OK')],
    ['a body that FIN has ended already', GET, head('HTTP/1.1 200 OK')],
  ])('has nothing to say behind %s', (_, request, text) => {
    const recording = record(request).feed(latin1(text))
    recording.reader.receiveEnd()
    const { length } = recording.entries
    expect(recording.reader.receiveEnd()).toBeNull()
    expect(recording.reader.receiveReset()).toEqual({ ended: false, error: null })
    expect(recording.entries).toHaveLength(length)
  })
})

describe('ResponseReader, maxHeaderSize', () => {
  const sizes = [1, 7, 100_000]
  const kinds = (text: string, maxHeaderSize: number): string[] =>
    sizes.map((size) => {
      const last = new Recording({ limits: { maxHeaderSize } }).feed(latin1(text), size).entries.at(-1)
      return last?.event === 'error' ? last.kind : (last?.event ?? '')
    })

  it('is hit when the bytes of a head reach it', () => {
    const text = head('HTTP/1.1 200 OK', 'content-length:   0', 'ab: cdef')
    expect(kinds(text, 22)).toEqual(['end', 'end', 'end'])
    expect(kinds(text, 21)).toEqual(['header-overflow', 'header-overflow', 'header-overflow'])
  })

  it('counts each 1xx and the final head anew', () => {
    const text =
      head('HTTP/1.1 103 OK', 'ab: cdef') + head('HTTP/1.1 103 OK', 'ab: cdef') + head('HTTP/1.1 204 OK', 'a: b')
    expect(kinds(text, 7)).toEqual(['end', 'end', 'end'])
    expect(kinds(text, 6)).toEqual(['header-overflow', 'header-overflow', 'header-overflow'])
  })

  it('counts trailers anew', () => {
    const fields = ['abcdefghij: klmnopqr', 'stuv: wx']
    const text = `${chunkedHead}3\r\nabc\r\n${head('0', ...fields)}`
    expect(kinds(text, 25)).toEqual(['end', 'end', 'end'])
    const longer = `${chunkedHead}3\r\nabc\r\n${head('0', ...fields, 'y:')}`
    expect(kinds(longer, 25)).toEqual(['header-overflow', 'header-overflow', 'header-overflow'])
  })

  it('delivers the chunks before trailers that are too long, however they came', () => {
    const text = `${chunkedHead}3\r\nabc\r\n${head('0', `a: ${'b'.repeat(30)}`)}`
    for (const size of sizes) {
      const recording = new Recording({ limits: { maxHeaderSize: 25 } }).feed(latin1(text), size)
      expect(recording.body).toBe('abc')
      expect(recording.names).toEqual(['begin', 'head', 'data', 'error'])
    }
  })

  it('does not count the reason phrase', () => {
    expect(kinds(head(`HTTP/1.1 204 ${'x'.repeat(1000)}`), 10)).toEqual(['end', 'end', 'end'])
  })

  it.each([
    ['reason phrase', 'HTTP/1.1 200 ', 'x'],
    ['empty line', '', '\r\n'],
    ['run of blanks before a value', 'HTTP/1.1 200 OK\r\na:', ' '],
  ])('ends an endless %s', (_, start, more) => {
    const recording = new Recording().feed(latin1(start + more.repeat(2 ** 18 / more.length)), WINDOW_SIZE)
    // Empty lines come before a message begins.
    expect(recording.names).toEqual(start === '' ? ['error'] : ['begin', 'error'])
    expect(recording.entries.at(-1)).toMatchObject({ kind: 'header-overflow' })
  })
})

describe('ResponseReader, maxResponseSize', () => {
  it.each([
    ['known length', `${head('HTTP/1.1 200 OK', 'content-length: 6')}abcdef`],
    ['chunks', `${chunkedHead}3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n`],
    ['until FIN', `${head('HTTP/1.1 200 OK')}abcdef`],
  ])('is the longest body, %s', (_, text) => {
    const record = (maxResponseSize: number): Recording => new Recording({ limits: { maxResponseSize } })
    for (const limit of [-1, 6]) {
      const recording = record(limit).feed(latin1(text), 1)
      expect(recording.body).toBe('abcdef')
      expect(recording.names).not.toContain('error')
    }
    for (const feed of ['feed', 'feedDirectly'] as const) {
      const recording = record(5)[feed](latin1(text), 1)
      expect(recording.body).toBe('abcde')
      expect(recording.entries.at(-1)).toMatchObject({ kind: 'body-overflow' })
    }
  })

  it('keeps the chunk back that exceeds it', () => {
    const text = `${chunkedHead}3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n`
    const recording = new Recording({ limits: { maxResponseSize: 4 } }).feed(latin1(text))
    expect(recording.names).toEqual(['begin', 'head', 'data', 'error'])
    expect(recording.body).toBe('abc')
  })

  it('of 0 allows for empty bodies', () => {
    const text = `${head('HTTP/1.1 200 OK', 'content-length: 0')}${chunkedHead}0\r\n\r\n`
    const recording = new Recording({ limits: { maxResponseSize: 0 }, expectations: [GET, GET] }).feed(latin1(text))
    expect(recording.names).toEqual(['begin', 'head', 'end', 'begin', 'head', 'end'])
  })

  it('counts each response anew', () => {
    const recording = new Recording({ limits: { maxResponseSize: 4 }, expectations: [GET, GET] })
    expect(recording.feed(latin1(nextText + nextText)).body).toBe('nextnext')
  })
})
