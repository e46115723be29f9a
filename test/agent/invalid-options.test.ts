/** What is refused: constructor options, dispatch options, and what could smuggle something into a request. */
import type { Client } from 'undici'
import { describe, expect, it } from 'vitest'
import { undiciMajor } from '../../build/undici-under-test.js'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { dispatchers, expectNoDescriptorLeft, ReferenceClient, recyclingAgent } from '../support/dispatchers.js'
import { isTried } from '../support/gate.js'
import { describeError, recording, styles } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const thrownBy = (run: () => unknown): unknown[] => {
  try {
    run()
  } catch (error) {
    return describeError(error)
  }
  return ['nothing thrown']
}

describe('the constructor', () => {
  const values: Record<string, unknown[]> = {
    maxHeaderSize: [0, -1, 1.5, '1'],
    socketPath: [1, {}],
    connectTimeout: [-1, '1', Number.POSITIVE_INFINITY],
    keepAliveTimeout: [0, -1, 'x'],
    keepAliveMaxTimeout: [0, Number.NaN],
    keepAliveTimeoutThreshold: ['1', Number.NaN],
    headersTimeout: [-1, 1.5],
    bodyTimeout: [-1, '5'],
    connect: [1, 'x'],
    maxRequestsPerClient: [-1, 1.5, 'x'],
    localAddress: ['nope', 1],
    maxResponseSize: [-2, 'x'],
    autoSelectFamilyAttemptTimeout: [-2, 'x'],
    maxCachedSessions: [-1, 'x'],
    allowH2: [1],
    keepAlive: [true, null],
    socketTimeout: [1],
    requestTimeout: [1],
    idleTimeout: [1],
    maxKeepAliveTimeout: [1],
  }
  const cases = Object.entries(values).flatMap(([name, list]) => list.map((value) => [name, value] as const))

  it.each(cases)("refuses %s: %j with undici's words", (name, value) => {
    const options = { [name]: value }
    const words = thrownBy(() => new ReferenceClient('http://a.test', options as Client.Options))
    expect(words[0]).toBe('InvalidArgumentError')
    expect(thrownBy(() => new RecyclingAgent(options as RecyclingAgentOptions))).toEqual(words)
  })

  it.each([
    ['connections', -1, 'invalid connections'],
    ['maxOrigins', 0, 'maxOrigins must be a number greater than 0'],
    ['recycle', 'sometimes', "recycle must be 'dissolve', 'graceful' or 'off'"],
    ['pipelining', -1, 'invalid pipelining'],
    ['pipelining', Number.NEGATIVE_INFINITY, 'invalid pipelining'],
    ['expectContinueTimeout', -1, 'expectContinueTimeout must be a positive integer or zero'],
    ['expectContinueTimeout', 1.5, 'expectContinueTimeout must be a positive integer or zero'],
    ['expectContinueTimeout', '5', 'expectContinueTimeout must be a positive integer or zero'],
    ['maxIdleSockets', -1, 'maxIdleSockets must be a positive integer or zero'],
    ['transport', 'tcp', "transport must be 'native' or 'net'"],
    ['tlsTransport', 'openssl', "tlsTransport must be 'native' or 'node'"],
    ['factory', () => {}, "unsupported factory, give RecyclingPool to the factory of undici's Agent instead"],
  ])('refuses %s: %s', (name, value, message) => {
    const options = { [name]: value } as RecyclingAgentOptions
    expect(thrownBy(() => new RecyclingAgent(options))).toEqual([
      'InvalidArgumentError',
      'UND_ERR_INVALID_ARG',
      message,
    ])
  })

  it.each([
    {},
    { connections: 0 },
    { connections: null },
    { maxResponseSize: -1 },
    { headersTimeout: 0 },
    { expectContinueTimeout: 0 },
  ])('takes %j', async (options) => {
    recyclingAgent(options as RecyclingAgentOptions)
  })
})

const invalid: [what: string, options: Record<string, unknown>][] = [
  ['a path that is no string', { path: 1 }],
  ['a path without a slash', { path: 'x' }],
  ['a path with a space', { path: '/a b' }],
  ['a path with CR LF', { path: '/ HTTP/1.1\r\nx: y' }],
  ['a path with NUL', { path: '/\0' }],
  ['a path beyond latin1', { path: '/\u0101' }],
  ['a method that is no string', { method: 1 }],
  ['a method with CR LF', { method: 'GET / HTTP/1.1\r\n' }],
  ['a query on a path that has one', { path: '/?a=b', query: { c: 'd' } }],
  ['a headersTimeout below zero', { headersTimeout: -1 }],
  ['a bodyTimeout that is no number', { bodyTimeout: '1' }],
  ['a reset that is no boolean', { reset: 1 }],
  ['an expectContinue that is no boolean', { expectContinue: 1 }],
  ['throwOnError', { throwOnError: false }],
  ['maxRedirections', { maxRedirections: 1 }],
  ['a typeOfService of 256', { typeOfService: 256 }],
  ['headers that are a string', { headers: 'a: b' }],
  ['headers of odd length', { headers: ['a'] }],
  ['headers that are not pairs', { headers: new Set(['ab']) }],
  ['a name with CR LF', { headers: { 'a\r\nb': 'c' } }],
  ['a name with a colon', { headers: { 'a:b': 'c' } }],
  ['an empty name', { headers: { '': 'c' } }],
  ['a name beyond ASCII', { headers: { ä: 'c' } }],
  ['a value with CR LF', { headers: { a: 'b\r\nc: d' } }],
  ['a value with a bare LF', { headers: { a: 'b\nc' } }],
  ['a value with NUL', { headers: { a: 'b\0' } }],
  ['a value beyond latin1', { headers: { a: '\u0101' } }],
  ['a value with CR in an array', { headers: { a: ['b', 'c\r'] } }],
  ['a value that is an object', { headers: { a: {} } }],
  ['a host with CR LF', { headers: { host: 'a\r\nb: c' } }],
  ['two hosts', { headers: ['host', 'a', 'Host', 'b'] }],
  ['a content-length that is no number', { headers: { 'content-length': 'x' } }],
  ['two content-lengths that differ', { headers: ['content-length', '1', 'content-length', '2'] }],
  ['transfer-encoding', { headers: { 'Transfer-Encoding': 'chunked' } }],
  ['keep-alive', { headers: { 'keep-alive': 'timeout=1' } }],
  ['upgrade as a header', { headers: { upgrade: 'x' } }],
  ['a connection that is no list of tokens', { headers: { connection: 'a b' } }],
  ['expect', { headers: { expect: '100-continue' } }],
  ['a body that is a number', { method: 'POST', body: 1 }],
  ['a body that is a plain object', { method: 'POST', body: {} }],
]

describe.each(dispatchers)('dispatch of %s', (name, make) => {
  // As undici 8.13: no 'drain' follows a request that has failed within dispatch().
  const isAccepted = name === 'RecyclingAgent' || undiciMajor === 8
  it.each(invalid)("refuses %s with undici's words, and sends nothing", async (_what, options) => {
    const { origin, peers } = await rawServer(answering(ok()))
    for (const style of styles) {
      const undici = new ReferenceClient(origin)
      const words = recording(style)
      undici.dispatch({ path: '/', method: 'GET', ...options } as never, words.handler)
      const said = recording(style)
      make().dispatch({ origin, path: '/', method: 'GET', ...options } as never, said.handler)
      // Before dispatch() returns.
      expect(said.events).toEqual(words.events)
      expect(said.events.map(([event]) => event)).toEqual(['error'])
      await undici.destroy()
    }
    expect(peers).toEqual([])
  })

  it.each([
    ['no origin', {}],
    ['an empty origin', { origin: '' }],
    ['an origin that is a number', { origin: 1 }],
    ['an origin with a path', { origin: 'http://a.test/path' }],
    ['an origin with a query', { origin: 'http://a.test/?q' }],
    ['an origin of another protocol', { origin: 'ftp://a.test' }],
  ])('refuses %s', (_what, options) => {
    const { handler, events } = recording('legacy')
    expect(make().dispatch({ path: '/', method: 'GET', ...options } as never, handler)).toBe(isAccepted)
    expect(events).toMatchObject([['error', 'InvalidArgumentError', 'UND_ERR_INVALID_ARG', expect.any(String)]])
  })

  it.each([null, undefined, 'x'])('throws for the handler %j, and refuses options that are no object', (handler) => {
    const agent = make()
    expect(
      thrownBy(() => agent.dispatch({ origin: 'http://a.test', path: '/', method: 'GET' }, handler as never)),
    ).toEqual(['InvalidArgumentError', 'UND_ERR_INVALID_ARG', 'handler must be an object'])
    const { handler: good, events } = recording('legacy')
    expect(agent.dispatch(null as never, good)).toBe(isAccepted)
    expect(events).toEqual([['error', 'InvalidArgumentError', 'UND_ERR_INVALID_ARG', 'opts must be an object.']])
  })

  const whyNoLegacyHandlers =
    name === 'RecyclingAgent' || undiciMajor === 7 ? null : 'undici 8 looks at no methods of legacy handlers'

  it.runIf(isTried(whyNoLegacyHandlers)).each(['onConnect', 'onHeaders', 'onData', 'onComplete', 'onBodySent'])(
    'refuses a legacy handler whose %s is no function',
    (method) => {
      const { handler, events } = recording('legacy')
      Object.assign(handler, { [method]: 'x' })
      make().dispatch({ origin: 'http://a.test', path: '/', method: 'GET' }, handler)
      expect(events).toEqual([['error', 'InvalidArgumentError', 'UND_ERR_INVALID_ARG', `invalid ${method} method`]])
    },
  )
})
