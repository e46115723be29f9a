/** The caller's header fields: their forms, their checks, and what is sent of them (undici core/request.js, processHeader). */
import { describe } from 'vitest'
import { ok } from '../support/raw-server.js'
import { exchange, refused } from './answers.js'
import { twin } from './twin.js'

const sent = (headers: unknown, method = 'GET'): ReturnType<typeof exchange> =>
  exchange({ bytes: ok() }, { request: { headers, method } })

class Pairs {
  *[Symbol.iterator](): Generator<unknown> {
    yield ['a', '1']
    yield ['b', ['2', '3']]
  }
}

describe('the form of', () => {
  const forms: [string, unknown][] = [
    ['null', null],
    ['undefined', undefined],
    ['an empty object', {}],
    ['an empty array', []],
    ['an object', { a: '1', B: '2', 'X-Case': 'Kept' }],
    ['a flat array', ['a', '1', 'B', '2', 'a', '3']],
    ['a flat array with arrays', ['a', ['1', '2'], 'b', '3']],
    ['a Map', new Map([['a', '1']])],
    [
      'a Headers object',
      new Headers([
        ['B', '2'],
        ['a', '1'],
        ['set-cookie', 'x'],
        ['set-cookie', 'y'],
      ]),
    ],
    ['an iterable of pairs', new Pairs()],
    ['an object with inherited fields', Object.create({ inherited: '1' })],
    ['an object without a prototype', Object.assign(Object.create(null), { a: '1' })],
    ['an object with fields that are not enumerable', Object.defineProperty({ a: '1' }, 'b', { value: '2' })],
    ['an object with a symbol', { a: '1', [Symbol('b')]: '2' }],
    ['numeric names, which come first', { z: '1', 2: 'two', 1: 'one' }],
  ]
  for (const [what, headers] of forms) twin(what, sent(headers))

  const noForms: [string, unknown][] = [
    [
      'an array of pairs',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    ['an array of odd length', ['a']],
    ['a Set of strings', new Set(['ab'])],
    ['an iterable of triples', new Set([['a', 'b', 'c']])],
    ['an iterable of numbers', new Set([1])],
  ]
  for (const [what, headers] of noForms) twin(`refused: ${what}`, refused({ headers }))
})

describe('a value', () => {
  const values: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['a number', 5],
    ['a negative zero', -0],
    ['a bigint', 5n],
    ['true', true],
    ['an empty string', ''],
    ['blanks', '  x  '],
    ['a tab', 'a\tb'],
    ['latin1', '\u00e9\u00ff\u0080'],
    ['an array', ['1', '2']],
    ['an empty array', []],
    ['an array with null, a number and undefined', [null, 5, undefined]],
    ['a very long one', 'x'.repeat(5000)],
  ]
  for (const [what, value] of values) twin(what, sent({ before: '0', a: value, after: '9' }))
  const noValues: [string, unknown][] = [
    ['an object', {}],
    ['a Date', new Date(0)],
    ['a symbol', Symbol('x')],
    ['a function', () => {}],
    ['CR', 'a\rb'],
    ['LF', 'a\nb'],
    ['NUL', 'a\0b'],
    ['DEL', 'a\x7fb'],
    ['a control character', 'a\x01b'],
    ['non-latin1', '\u0100'],
    ['a Buffer', Buffer.from('x')],
    ['an array with an object', ['1', {}]],
    ['an array with LF', ['1', 'a\nb']],
    ['an array with an array', ['1', ['2']]],
  ]
  for (const [what, value] of noValues) twin(`refused: ${what}`, refused({ headers: { a: value } }))
})

describe('a name', () => {
  for (const name of ["!#$%&'*+-.^_`|~09AZaz", '__proto__', 'constructor']) twin(name, sent(['x', '1', name, '2']))
  for (const name of ['', ' ', 'a b', 'a:', 'a\n', '\u00e9', 'a(b)', 'a\0', '"a"', '\u0100']) {
    twin(`refused: ${JSON.stringify(name)}`, refused({ headers: [name, 'x'] }))
  }
  twin('refused: no string', refused({ headers: [5, 'x'] }))
})

describe('the field', () => {
  const fields: [string, unknown, string?][] = [
    ['host', { host: 'other.test' }],
    ['Host in another case', { HOST: 'other.test:81' }],
    ['host, empty', { host: '' }],
    ['connection: close', { connection: 'close' }],
    ['connection: Close', { Connection: 'Close' }],
    ['connection: keep-alive', { connection: 'keep-alive' }],
    ['connection with other options', { connection: 'te, close, x' }],
    ['connection of unknown options', { connection: 'te' }],
    ['content-length without a body', { 'content-length': '5' }],
    ['content-length 0', { 'content-length': '0' }],
    ['content-length 0 of a POST', { 'content-length': '0' }, 'POST'],
    ['content-length of a POST without a body', { 'content-length': '5' }, 'POST'],
    ['content-length as a number', { 'Content-Length': 0 }, 'POST'],
    ['content-type', { 'Content-Type': 'a/b' }, 'POST'],
    ['te', { te: 'trailers' }],
    ['trailer', { trailer: 'x' }, 'POST'],
    ['proxy-connection', { 'proxy-connection': 'close' }],
    ['cookie twice', ['cookie', 'a', 'cookie', 'b']],
    ['date', { date: 'x' }],
  ]
  for (const [what, headers, method] of fields) twin(what, sent(headers, method))

  const refusals: [string, unknown][] = [
    ['host twice', ['host', 'a', 'Host', 'b']],
    ['host as an array', { host: ['a', 'b'] }],
    ['host as an array of one', { host: ['a'] }],
    ['host that is no value', { host: 'a\nb' }],
    ['content-length twice, different', ['content-length', '0', 'Content-Length', '1']],
    ['content-length with a sign', { 'content-length': '+5' }],
    ['content-length with blanks', { 'content-length': ' 5 ' }],
    ['content-length with letters', { 'content-length': '5x' }],
    ['content-length in hex', { 'content-length': '0x5' }],
    ['content-length, empty', { 'content-length': '' }],
    ['content-length, negative', { 'content-length': -1 }],
    ['content-length with a fraction', { 'content-length': 1.5 }],
    ['content-length as an array of nothing', { 'content-length': [] }],
    ['content-length in a list with something else', { 'content-length': '5, x' }],
    ['transfer-encoding', { 'transfer-encoding': 'chunked' }],
    ['Transfer-Encoding in another case', { 'Transfer-Encoding': 'identity' }],
    ['keep-alive', { 'keep-alive': 'timeout=5' }],
    ['upgrade', { upgrade: 'websocket' }],
    ['connection that is no list of tokens', { connection: 'a b' }],
    ['connection with an empty member', { connection: 'close,,x' }],
    ['connection, empty', { connection: '' }],
    ['connection that is no string', { connection: 5 }],
    ['connection as an array', { connection: ['close'] }],
    ['expect', { expect: '100-continue' }],
    ['Expect in another case', { Expect: 'x' }],
    ['content-type as an object', { 'content-type': {} }],
  ]
  for (const [what, headers] of refusals) twin(`refused: ${what}`, refused({ headers }))

  const lengths: [string, unknown][] = [
    ['twice, equal', ['content-length', '1', 'Content-Length', '1']],
    ['in a list, equal', { 'content-length': '1, 1' }],
    ['in an array, equal', { 'content-length': ['1', '1'] }],
  ]
  for (const [what, headers] of lengths) {
    twin(`content-length ${what}`, exchange({ bytes: ok() }, { request: { method: 'POST', body: 'x', headers } }))
  }
})

describe('generated', () => {
  for (const method of [
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'QUERY',
    'PROPFIND',
    'PROPPATCH',
    'x',
  ]) {
    twin(`fields of a ${method} without a body`, sent({ 'X-First': '1', 'x-last': '2' }, method))
  }
  twin('connection: close for reset', exchange({ bytes: ok() }, { request: { reset: true } }))
  twin('connection: close for pipelining 0', exchange({ bytes: ok() }, { agent: { pipelining: 0 } }))
  twin(
    'connection: keep-alive of a HEAD with reset false',
    exchange({ bytes: `HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n` }, { request: { method: 'HEAD', reset: false } }),
  )
})
