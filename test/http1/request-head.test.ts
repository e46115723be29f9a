import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import {
  CHUNK_SUFFIX,
  chunkPrefix,
  expectsPayload,
  formatHead,
  framingLine,
  LAST_CHUNK,
  type RequestFraming,
  type RequestHead,
  requestFraming,
} from '../../src/http1/request-head.js'

const plain: RequestHead = {
  method: 'GET',
  path: '/',
  upgrade: null,
  headers: [],
}
const start = 'GET / HTTP/1.1\r\nhost: example.test\r\nconnection: keep-alive\r\n'

describe('formatHead', () => {
  it.each<[what: string, head: Partial<RequestHead> & { host?: string; close?: boolean }, text: string]>([
    ['writes request line, Host and Connection', {}, start],
    [
      'asks for the end of the connection',
      { close: true },
      'GET / HTTP/1.1\r\nhost: example.test\r\nconnection: close\r\n',
    ],
    [
      'asks for another protocol, whatever is to become of the connection',
      { upgrade: 'websocket', close: true },
      'GET / HTTP/1.1\r\nhost: example.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n',
    ],
    [
      'writes method and request target verbatim',
      { method: 'get', path: 'http://a.test/b?c#d', host: '[::1]:8080' },
      'get http://a.test/b?c#d HTTP/1.1\r\nhost: [::1]:8080\r\nconnection: keep-alive\r\n',
    ],
    [
      'writes an authority as the target of CONNECT',
      { method: 'CONNECT', path: 'a.test:443', close: true },
      'CONNECT a.test:443 HTTP/1.1\r\nhost: example.test\r\nconnection: close\r\n',
    ],
    [
      'writes fields in their order and case',
      { headers: ['X-B', '1', 'accept', '*/*', 'x-a', ''] },
      `${start}X-B: 1\r\naccept: */*\r\nx-a: \r\n`,
    ],
    [
      'writes one line per element of an array',
      { headers: ['Cookie', ['a=1', '', 'b=2'], 'x', []] },
      `${start}Cookie: a=1\r\nCookie: \r\nCookie: b=2\r\n`,
    ],
    [
      'writes what is no string as one, as undici does: subscribers may have put it there',
      { headers: ['a', 1 as unknown as string, 'b', null as unknown as string] },
      `${start}a: 1\r\nb: null\r\n`,
    ],
  ])('%s', (_, head, text) => {
    const { host = 'example.test', close = false } = head
    expect(formatHead({ ...plain, ...head }, host, close)).toBe(text)
  })
})

describe('requestFraming', () => {
  const none: RequestFraming = { kind: 'none' }
  const chunked: RequestFraming = { kind: 'chunked' }
  const sized = (length: number): RequestFraming => ({ kind: 'sized', length })

  const rows: [
    body: string,
    length: number | null,
    declared: number | null,
    payload: RequestFraming,
    other: RequestFraming,
  ][] = [
    ['no body', 0, null, sized(0), none],
    ['no body but a Content-Length', 0, 7, sized(0), none],
    ['a known length', 5, null, sized(5), sized(5)],
    ['a known length that was declared', 5, 5, sized(5), sized(5)],
    ['a known length other than declared', 5, 7, sized(5), sized(5)],
    ['an unknown length that was declared', null, 7, sized(7), sized(7)],
    ['an unknown length declared as 0', null, 0, sized(0), sized(0)],
    ['an unknown length', null, null, chunked, chunked],
  ]
  const payloadMethods = ['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']
  const otherMethods = ['GET', 'HEAD', 'OPTIONS', 'DELETE', 'TRACE', 'CONNECT', 'post', 'REPORT']

  describe.each(payloadMethods)('for %s', (method) => {
    it('anticipates content (RFC 9110 8.6)', () => {
      expect(expectsPayload(method)).toBe(true)
    })

    it.each(rows)('frames %s', (_, length, declared, framing) => {
      expect(requestFraming(method, length, declared)).toEqual(framing)
    })
  })

  describe.each(otherMethods)('for %s', (method) => {
    it('anticipates no content', () => {
      expect(expectsPayload(method)).toBe(false)
    })

    it.each(rows)('frames %s', (_, length, declared, _payload, framing) => {
      expect(requestFraming(method, length, declared)).toEqual(framing)
    })
  })
})

describe('framingLine', () => {
  it.each<[framing: RequestFraming, line: string]>([
    [{ kind: 'none' }, '\r\n'],
    [{ kind: 'sized', length: 0 }, 'content-length: 0\r\n\r\n'],
    [{ kind: 'sized', length: 2 ** 33 + 5 }, 'content-length: 8589934597\r\n\r\n'],
    [{ kind: 'chunked' }, 'transfer-encoding: chunked\r\n\r\n'],
  ])('ends a head with %j', (framing, line) => {
    expect(framingLine(framing)).toBe(line)
  })
})

describe('the chunked coding (RFC 9112 7.1)', () => {
  it.each([
    [1, '1\r\n'],
    [10, 'a\r\n'],
    [255, 'ff\r\n'],
    [65_536, '10000\r\n'],
  ])('writes a length of %d in hexadecimal', (length, prefix) => {
    expect(chunkPrefix(length)).toBe(prefix)
  })

  it('puts CRLF behind the data and ends with an empty chunk and no trailers', () => {
    const text = `${chunkPrefix(3)}abc${CHUNK_SUFFIX}${LAST_CHUNK}`
    expect(Buffer.from(text)).toEqual(Buffer.from('3\r\nabc\r\n0\r\n\r\n'))
  })
})
