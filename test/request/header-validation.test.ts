import { Buffer } from 'node:buffer'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError, NotSupportedError } from '../../src/errors.js'
import {
  addHeader,
  addHeaders,
  type HeaderFields,
  type HeadersInput,
  isFieldValue,
  isToken,
} from '../../src/request/header-validation.js'

function check(input: HeadersInput): HeaderFields {
  const fields: HeaderFields = { headers: [], host: null, contentLength: null, contentType: null, reset: null }
  addHeaders(fields, input)
  return fields
}

/** Throws what `input` is refused with. */
const refusing = (input: unknown) => (): HeaderFields => check(input as HeadersInput)

describe('isToken (RFC 9110 5.6.2)', () => {
  it.each(['a', 'Content-Type', "!#$%&'*+-.^_`|~09azAZ"])('takes %j', (text) => {
    expect(isToken(text)).toBe(true)
  })

  it.each(['', ' a', 'a b', 'a:', 'a\r\n', 'a\n', '\xe4', '(', 'a,b', '"a"', '{', 'a/b', 'a=b', '\0'])(
    'refuses %j',
    (text) => {
      expect(isToken(text)).toBe(false)
    },
  )
})

describe('isFieldValue (RFC 9110 5.5)', () => {
  it.each(['', ' ', '\t', 'a b', '~', '\x80', '\xff'])('takes %j', (text) => {
    expect(isFieldValue(text)).toBe(true)
  })

  it.each(['\r', '\n', 'a\r\nb: c', '\0', '\x1f', '\x7f', '\u0100', '✓', 'a\n'])('refuses %j', (text) => {
    expect(isFieldValue(text)).toBe(false)
  })
})

describe('addHeaders', () => {
  class Pairs {
    *[Symbol.iterator](): Iterator<[string, unknown]> {
      yield ['a', '1']
      yield ['B', ['2', '3']]
    }
  }

  it.each<[form: string, input: HeadersInput, headers: (string | string[])[]]>([
    ['null', null, []],
    ['undefined', undefined, []],
    ['an empty array', [], []],
    ['a flat array', ['a', '1', 'B', ['2', '3']], ['a', '1', 'B', ['2', '3']]],
    ['an object', { a: '1', B: ['2', '3'] }, ['a', '1', 'B', ['2', '3']]],
    ['an object without a prototype', Object.assign(Object.create(null), { a: '1' }), ['a', '1']],
    [
      'a Map',
      new Map<string, unknown>([
        ['a', '1'],
        ['B', ['2', '3']],
      ]),
      ['a', '1', 'B', ['2', '3']],
    ],
    ['a Headers object', new Headers({ a: '1', B: '2' }), ['a', '1', 'b', '2']],
    ['a Set of pairs', new Set([['a', '1'] as const]), ['a', '1']],
    ['an iterable class', new Pairs(), ['a', '1', 'B', ['2', '3']]],
    [
      'an iterable of its own',
      { [Symbol.iterator]: () => new Pairs()[Symbol.iterator]() },
      ['a', '1', 'B', ['2', '3']],
    ],
    ['a generator', new Pairs()[Symbol.iterator]() as Generator<[string, unknown]>, ['a', '1', 'B', ['2', '3']]],
  ])('takes %s', (_, input, headers) => {
    expect(check(input).headers).toEqual(headers)
  })

  it('reads own enumerable fields of an object only', () => {
    const input: Record<string, unknown> = Object.create({ inherited: '1' })
    Object.defineProperty(input, 'hidden', { value: '2', enumerable: false })
    input.own = '3'
    expect(check(input).headers).toEqual(['own', '3'])
  })

  it('does not take an iterator that was planted on Object.prototype', () => {
    Object.defineProperty(Object.prototype, Symbol.iterator, { value: () => [][Symbol.iterator](), configurable: true })
    try {
      expect(check({ a: '1' }).headers).toEqual(['a', '1'])
    } finally {
      Reflect.deleteProperty(Object.prototype, Symbol.iterator)
    }
  })

  it.each<[what: string, input: unknown, message: string]>([
    ['an odd array', ['a'], 'headers array must be even'],
    ['a string', 'a: b', 'headers must be an object or an array'],
    ['an empty string', '', 'headers must be an object or an array'],
    ['a number', 1, 'headers must be an object or an array'],
    ['false', false, 'headers must be an object or an array'],
    ['a function', () => {}, 'headers must be an object or an array'],
    ['an iterable of strings', new Set(['ab']), 'headers must be in key-value pair format'],
    ['an iterable of triples', new Set([['a', 'b', 'c']]), 'headers must be in key-value pair format'],
    ['an iterable of null', new Set([null]), 'headers must be in key-value pair format'],
  ])('refuses %s', (_, input, message) => {
    expect(refusing(input)).toThrow(new InvalidArgumentError(message))
  })
})

describe('addHeader', () => {
  it.each<[what: string, value: unknown, headers: (string | string[])[]]>([
    ['skips undefined', undefined, []],
    ['takes null for empty', null, ['X-a', '']],
    ['takes an empty string', '', ['X-a', '']],
    ['writes a number out', 1.5, ['X-a', '1.5']],
    ['writes 0 out', 0, ['X-a', '0']],
    ['writes a boolean out', false, ['X-a', 'false']],
    ['writes a bigint out', 10n, ['X-a', '10']],
    ['keeps TAB, blanks and obs-text', ' \ta\xff ', ['X-a', ' \ta\xff ']],
    ['keeps an array, an element per line', ['1', '2'], ['X-a', ['1', '2']]],
    ['keeps an empty array', [], ['X-a', []]],
    ['writes elements out', [null, 1, true, '', undefined], ['X-a', ['', '1', 'true', '', 'undefined']]],
  ])('%s', (_, value, headers) => {
    expect(check(['X-a', value]).headers).toEqual(headers)
    expect(check({ 'X-a': value }).headers).toEqual(headers)
  })

  it.each<[what: string, value: unknown]>([
    ['an object', {}],
    ['a Date', new Date(0)],
    ['a Buffer', Buffer.from('a')],
    ['an object with a toString of its own', { toString: () => 'a' }],
    ['an object in an array', ['a', {}]],
    ['an array in an array', [['a']]],
    ['CRLF', 'a\r\nb: c'],
    ['NUL', 'a\0'],
    ['DEL', '\x7f'],
    ['a character beyond latin1', '\u0100'],
    ['CRLF in an array', ['a', 'b\r\n']],
    [
      'a function whose text has line ends',
      () => {
        return 1
      },
    ],
    ['a function that makes CRLF of itself', Object.assign(() => 1, { toString: () => 'a\r\nb: c' })],
  ])('refuses %s as a value', (_, value) => {
    expect(refusing(['X-a', value])).toThrow(new InvalidArgumentError('invalid X-a header'))
  })

  it.each(['', 'a b', 'a:', 'a\r\nb', '\xe4', 'a\0'])('refuses %j as a name', (name) => {
    expect(refusing([name, 'x'])).toThrow(new InvalidArgumentError('invalid header key'))
    expect(refusing({ [name]: 'x' })).toThrow(new InvalidArgumentError('invalid header key'))
  })

  it.each<[what: string, headers: unknown[], fields: Partial<HeaderFields>]>([
    ['takes Host out', ['Host', 'a.test'], { host: 'a.test' }],
    ['takes an empty Host out', ['host', null], { host: '' }],
    ['takes Content-Length out', ['Content-Length', '007'], { contentLength: 7 }],
    ['takes Content-Length as a number', ['content-length', 7], { contentLength: 7 }],
    ['takes a Content-Length of 0', ['content-length', 0], { contentLength: 0 }],
    ['takes equal lengths in a list for one (RFC 9110 8.6)', ['content-length', '5, 5,05\t,5'], { contentLength: 5 }],
    [
      'takes equal lengths in fields of their own for one',
      ['content-length', '5', 'Content-Length', 5],
      { contentLength: 5 },
    ],
    ['takes equal lengths in an array for one', ['content-length', ['5', '5']], { contentLength: 5 }],
    [
      'remembers the first Content-Type, and sends all',
      ['Content-Type', 'a/b', 'content-type', 'c/d'],
      { contentType: 'a/b', headers: ['Content-Type', 'a/b', 'content-type', 'c/d'] },
    ],
    ['takes Connection out', ['Connection', 'keep-alive'], {}],
    ['obeys close in Connection', ['CONNECTION', 'Close'], { reset: true }],
    ['obeys close in a list (RFC 9110 7.6.1)', ['connection', 'x-a , close'], { reset: true }],
    ['looks for close as a whole token', ['connection', 'closed, x-close'], {}],
    [
      'sends the others in their order and case',
      ['B', '1', 'a', '2', 'B', '3'],
      { headers: ['B', '1', 'a', '2', 'B', '3'] },
    ],
    ['sends __proto__ like any other', ['__proto__', '1'], { headers: ['__proto__', '1'] }],
  ])('%s', (_, headers, fields) => {
    expect(check(headers)).toEqual({
      headers: [],
      host: null,
      contentLength: null,
      contentType: null,
      reset: null,
      ...fields,
    })
  })

  it('leaves what was said of the connection before unless it is to close', () => {
    const fields: HeaderFields = { headers: [], host: null, contentLength: null, contentType: null, reset: false }
    addHeader(fields, 'connection', 'keep-alive')
    expect(fields.reset).toBe(false)
    addHeader(fields, 'connection', 'close')
    expect(fields.reset).toBe(true)
  })

  it.each<[headers: unknown[], message: string]>([
    [['host', 'a', 'Host', 'b'], 'duplicate host header'],
    [['host', '', 'Host', ''], 'duplicate host header'],
    [['host', ['a']], 'invalid host header'],
    [['content-length', '1', 'Content-Length', '2'], 'duplicate content-length header'],
    [['content-length', '1, 2'], 'duplicate content-length header'],
    [['content-length', ['1', '01', '11']], 'duplicate content-length header'],
    [['content-length', '1', 'content-length', '1, x'], 'invalid content-length header'],
    [['content-length', '1,'], 'invalid content-length header'],
    [['content-length', ', 1'], 'invalid content-length header'],
    [['content-length', '1 1'], 'invalid content-length header'],
    [['content-length', []], 'invalid content-length header'],
    [['content-length', ''], 'invalid content-length header'],
    [['content-length', '-1'], 'invalid content-length header'],
    [['content-length', '+1'], 'invalid content-length header'],
    [['content-length', '1.5'], 'invalid content-length header'],
    [['content-length', ' 1'], 'invalid content-length header'],
    [['content-length', '1a'], 'invalid content-length header'],
    [['content-length', '0x1'], 'invalid content-length header'],
    [['content-length', Number.NaN], 'invalid content-length header'],
    [['Transfer-Encoding', 'chunked'], 'invalid transfer-encoding header'],
    [['Keep-Alive', 'timeout=5'], 'invalid keep-alive header'],
    [['Upgrade', 'websocket'], 'invalid upgrade header'],
    [['connection', ''], 'invalid connection header'],
    [['connection', 'close,'], 'invalid connection header'],
    [['connection', 'a b'], 'invalid connection header'],
    [['connection', ['close']], 'invalid connection header'],
  ])('refuses %j', (headers, message) => {
    expect(refusing(headers)).toThrow(new InvalidArgumentError(message))
  })

  it.each(['expect', 'Expect'])('does not support %s', (name) => {
    expect(refusing([name, '100-continue'])).toThrow(new NotSupportedError('expect header not supported'))
  })
})

describe('next to undici', () => {
  const UndiciRequest: new (origin: string, options: object, handler: object) => HeaderFields = createRequire(
    import.meta.url,
  )('undici/lib/core/request.js')
  const handler = { onConnect() {}, onError() {}, onHeaders() {}, onData() {}, onComplete() {} }

  function outcome(read: () => HeaderFields): unknown {
    try {
      const { headers, host, contentLength, contentType, reset } = read()
      return { headers, host, contentLength, contentType, reset }
    } catch (error) {
      return [(error as Error).name, (error as Error).message]
    }
  }

  const name = fc.oneof(
    fc.constantFrom(
      'host',
      'Content-Length',
      'content-type',
      'Transfer-Encoding',
      'keep-alive',
      'Upgrade',
      'connection',
      'Expect',
    ),
    fc.stringMatching(/^[a-zA-Z-]{1,5}$/),
    fc.string({ maxLength: 4 }),
  )
  const primitive = fc.oneof(
    fc.constantFrom('close', 'keep-alive, close', '12', '', 'a\r\nb', '\xff'),
    fc.string({ maxLength: 5, unit: 'binary' }),
    fc.constantFrom(null, undefined, true, 0, 5, -1, 1n),
  )
  const value = fc.oneof(primitive, fc.array(fc.oneof(primitive, fc.constant({}))), fc.constantFrom({}, new Date(0)))
  const pairs = fc.array(fc.tuple(name, value), { maxLength: 4 })

  /** There we take more than undici (RFC 9110 8.6). */
  function hasSeveralLengths(pairs: [string, unknown][]): boolean {
    const values = pairs.filter(([name]) => name.toLowerCase() === 'content-length').flatMap(([, value]) => [value])
    return values.length > 1 || Array.isArray(values[0])
  }

  it('takes and refuses the same, with the same words', () => {
    fc.assert(
      fc.property(pairs, fc.constantFrom('flat', 'pairs', 'object'), (pairs, form) => {
        fc.pre(!hasSeveralLengths(pairs))
        const headers = form === 'flat' ? pairs.flat(1) : form === 'pairs' ? new Set(pairs) : Object.fromEntries(pairs)
        const options = { path: '/', method: 'GET', headers }
        expect(outcome(refusing(headers))).toEqual(outcome(() => new UndiciRequest('http://a.test', options, handler)))
      }),
      { seed: 20_250_101, numRuns: 1000, interruptAfterTimeLimit: 5000 },
    )
  })
})
