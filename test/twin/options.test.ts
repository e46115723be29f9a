/** The options of a request that are checked before anything is sent (undici core/request.js). */
import { describe } from 'vitest'
import { ok } from '../support/raw-server.js'
import { exchange, refused } from './answers.js'
import { twin } from './twin.js'

const shown = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : Array.isArray(value)
      ? `[${value.map(shown)}]`
      : typeof value === 'object' && value !== null
        ? `{${Object.entries(value).map(([key, of]) => `${key}: ${shown(of)}`)}}`
        : String(value)

const INVALID: Record<string, unknown[]> = {
  path: [
    undefined,
    null,
    5,
    '',
    'relative',
    '?query',
    'ftp://a/',
    '/a b',
    '/a\r\nb',
    '/a\0',
    '/\u0100',
    '/\u007f\u00a0',
    {},
  ],
  method: [undefined, null, 5, '', 'G T', 'G\nT', 'GE(T', 'G\u00c9T', {}, []],
  upgrade: [5, true, {}, 'a\nb', 'a\0b', '\u0100'],
  headersTimeout: [-1, Number.NaN, Number.POSITIVE_INFINITY, '5', {}],
  bodyTimeout: [-1, Number.NaN, Number.POSITIVE_INFINITY, '5', true],
  reset: [0, 1, 'true', {}],
  expectContinue: [0, 'x', {}],
  throwOnError: [true, false, 0, ''],
  maxRedirections: [1, -1, '0', true],
  typeOfService: [-1, 256, 1.5, '1', true, Number.NaN],
  body: [5, true, {}, () => {}, Symbol.iterator, { pipe() {} }],
  headers: [5, true, 'a: b', ['a'], ['a', 'b', 'c'], Symbol('x'), () => {}],
}
const VALID: Record<string, unknown[]> = {
  path: ['/', '/a?b#c', '//double', '/%20', '/\u00e9', 'http://other.test/absolute', 'https://other.test/', '/a|b"<>'],
  method: ['GET', 'get', 'PURGE', 'M-SEARCH', "!#$%&'*+-.^_`|~", 'TRACE', 'DELETE', 'OPTIONS', 'Post', 'QUERY'],
  headersTimeout: [0, null, undefined, 1000, 1.5],
  bodyTimeout: [0, null, undefined, 1000, 1.5],
  reset: [null, undefined, true, false],
  expectContinue: [null, undefined, true, false],
  throwOnError: [null, undefined],
  typeOfService: [0, 255, null, undefined],
  upgrade: ['', null, undefined, false, 0],
  idempotent: [true, false, null],
  blocking: [true, false, null],
  servername: ['name.test', '', null],
  body: ['', null, undefined, Buffer.alloc(0)],
}

describe('refuses', () => {
  for (const [option, values] of Object.entries(INVALID)) {
    for (const value of values) twin(`${option} ${shown(value)}`, refused({ [option]: value }))
  }
})

describe('takes', () => {
  for (const [option, values] of Object.entries(VALID)) {
    for (const value of values)
      twin(`${option} ${shown(value)}`, exchange({ bytes: ok() }, { request: { [option]: value } }))
  }
})

describe('expectContinue', () => {
  const posting = (bytes: string, ...more: object[]) =>
    exchange(
      { bytes },
      {
        request: Object.assign({ method: 'POST', body: 'x', expectContinue: true }, ...more),
        agent: { connections: 1, expectContinueTimeout: 1 },
      },
    )
  twin('expectContinue with bytes', posting(ok()))
  twin('expectContinue with an iterable', posting(ok(), { body: ['x', 'y'] }))
  twin('expectContinue without a body', posting(ok(), { body: null }))
  twin('expectContinue: what is told where nobody asks for the body', posting(ok()), { wire: false })
})

describe('query', () => {
  const queries: [string, unknown][] = [
    ['an object', { a: 1, b: 'x y', c: '&=?' }],
    ['arrays', { a: [1, 2], b: [] }],
    ['null and undefined', { a: null, b: undefined }],
    ['nested objects', { a: { b: 1 } }],
    ['booleans and non-latin1', { a: true, b: '\u00e9\u20ac' }],
    ['nothing', {}],
  ]
  for (const [what, query] of queries) twin(`of ${what}`, exchange({ bytes: ok() }, { request: { path: '/q', query } }))
  for (const path of ['/q?a=1', '/q#a', '/q?']) {
    twin(`behind ${path}`, refused({ path, query: { b: 1 } }))
    twin(`of nothing behind ${path}`, refused({ path, query: {}, method: 5 }))
  }
})
