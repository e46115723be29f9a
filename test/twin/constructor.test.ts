/**
 * Options of the constructor. undici's Agent tells of most invalid ones at the first dispatch; RecyclingAgent throws at
 * once: what is compared is the error, wherever it comes.
 */
import { describe } from 'vitest'
import { answering, ok } from '../support/raw-server.js'
import { exchange, HEAD } from './answers.js'
import { describeError } from './recorder.js'
import { type AnyOptions, type Play, turns, twin } from './twin.js'

const refusing =
  (options: AnyOptions): Play =>
  async (stage) => {
    const words = await new Promise<unknown[]>((resolve) => {
      const fail = (error: unknown): void => resolve(describeError(error))
      try {
        const handler = stage.exchange({ error: (_flow, [, , ...said]) => resolve(said) }).handler
        stage.agent(options).dispatch({ origin: 'http://127.0.0.1:1', path: '/', method: 'GET' }, handler as never)
      } catch (error) {
        fail(error)
      }
    })
    stage.log.length = 0
    stage.note('options', 'refused', ...words)
  }

const FINITE = [-1, Number.NaN, Number.POSITIVE_INFINITY, 'x', {}]
const INTEGER = [-1, 1.5, 'x', Number.NaN]
const INVALID: Record<string, unknown[]> = {
  connections: FINITE,
  connectTimeout: FINITE,
  keepAliveTimeout: [...FINITE, 0],
  keepAliveMaxTimeout: [...FINITE, 0],
  keepAliveTimeoutThreshold: [Number.NaN, 'x', {}],
  headersTimeout: INTEGER,
  bodyTimeout: INTEGER,
  maxHeaderSize: [0, ...INTEGER],
  maxResponseSize: [-2, 1.5, 'x'],
  maxRequestsPerClient: INTEGER,
  maxOrigins: [0, -1, Number.NaN, 'x', {}],
  maxCachedSessions: INTEGER,
  connect: ['x', 5, true],
  localAddress: [5, 'x', '300.0.0.1', {}],
  socketPath: [5, true, {}],
  autoSelectFamilyAttemptTimeout: [-2, 1.5, 'x'],
  allowH2: ['x', 1, {}],
  factory: ['x', 5, {}],
  keepAlive: [true, false, null],
  socketTimeout: [1, null],
  requestTimeout: [1],
  idleTimeout: [1],
  maxKeepAliveTimeout: [1],
}

const VALID: Record<string, unknown[]> = {
  connections: [null, 0, 1, 2, 1.5],
  connectTimeout: [null, 0, 1000],
  keepAliveTimeout: [null, 5000, 5000.5],
  keepAliveMaxTimeout: [null, 5000],
  keepAliveTimeoutThreshold: [null, 0, -1],
  headersTimeout: [null, 0, 1000],
  bodyTimeout: [null, 0, 1000],
  maxHeaderSize: [null, 1000],
  maxResponseSize: [null, -1, 0, 2],
  maxRequestsPerClient: [null, 0, 5],
  maxOrigins: [undefined, 1, 1.5],
  maxCachedSessions: [null, 0],
  connect: [null, {}, { timeout: 100 }],
  localAddress: [null, '127.0.0.1', '127.0.0.5'],
  autoSelectFamily: [true, false, null, undefined],
  autoSelectFamilyAttemptTimeout: [null, 100],
  allowH2: [true, false, null],
  pipelining: [null, 0, 1, 2, 1.5, true, false, '2', '', 'x', Number.NaN, Number.POSITIVE_INFINITY],
  strictContentLength: [null, true, false],
  clientTtl: [null, 0, 1000],
  webSocket: [undefined, {}],
  eventSource: [undefined, {}],
  maxConcurrentStreams: [1],
  keepAlive: [undefined],
  unknown: [1],
}

const shown = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))

describe('refuses', () => {
  for (const [option, values] of Object.entries(INVALID)) {
    for (const value of values)
      twin(`constructor: ${option} ${shown(value)}`, refusing({ [option]: value }), { styles: ['new'] })
  }
  twin('the first of two invalid options', refusing({ headersTimeout: -1, maxHeaderSize: 0 }), { styles: ['new'] })
})

describe('takes', () => {
  for (const [option, values] of Object.entries(VALID)) {
    for (const value of values) {
      const agent = { [option]: value }
      twin(`constructor: ${option} ${shown(value)}`, exchange({ bytes: ok() }, { agent }), { styles: ['new'] })
    }
  }
})

describe('limits', () => {
  const fields = 'a: 123456789\r\nbb: 2\r\n'
  const size = 'a123456789bb2content-length0'.length
  for (const maxHeaderSize of [1, size - 1, size, size + 1]) {
    const bytes = `${HEAD}${fields}content-length: 0\r\n\r\n`
    twin(
      `a head of ${size} bytes with maxHeaderSize ${maxHeaderSize}`,
      exchange({ bytes }, { agent: { maxHeaderSize } }),
      {
        abandons: true,
      },
    )
  }
  for (const maxHeaderSize of [27, 28, 29, 60]) {
    const trailer = 'x: 0123456789012345678901234'
    const bytes = `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${trailer}\r\n\r\n`
    twin(`trailers with maxHeaderSize ${maxHeaderSize}`, exchange({ bytes }, { agent: { maxHeaderSize } }), {
      abandons: true,
    })
  }
  twin(
    'a head of Node\u2019s default size',
    exchange({ bytes: `${HEAD}x: ${'x'.repeat(16_400)}\r\ncontent-length: 0\r\n\r\n` }),
  )
  for (const maxResponseSize of [0, 4, 5, 6]) {
    const sized = ok('12345')
    const chunked = `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\n12\r\n3\r\n345\r\n0\r\n\r\n`
    for (const [what, bytes] of [
      ['sized', sized],
      ['chunked', chunked],
    ] as const) {
      twin(
        `a ${what} body of 5 bytes with maxResponseSize ${maxResponseSize}`,
        exchange({ bytes }, { agent: { maxResponseSize } }),
      )
    }
  }
  for (const maxOrigins of [1, 2]) {
    twin(
      `origins with maxOrigins ${maxOrigins}`,
      async (stage) => {
        const servers = [await stage.server(answering(ok())), await stage.server(answering(ok()))]
        const agent = stage.agent({ maxOrigins })
        for (const { origin } of [...servers, ...servers]) {
          await stage.send(agent, { origin }).done
          await turns()
        }
      },
      { free: true },
    )
  }
})
