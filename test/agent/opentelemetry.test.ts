/** OpenTelemetry's instrumentation of undici sees the agent's requests as it sees those of undici's Agent. */
import { context, SpanStatusCode, trace } from '@opentelemetry/api'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici'
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node'
import { Agent, type Dispatcher, fetch, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { onMessage } from '../support/channels.js'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
let unregister: () => void

beforeAll(() => {
  provider.register()
  const instrumentation = new UndiciInstrumentation({
    headersToSpanAttributes: { requestHeaders: ['x-sent'], responseHeaders: ['x-received'] },
  })
  unregister = registerInstrumentations({ instrumentations: [instrumentation] })
})

afterEach(() => exporter.reset())

afterAll(async () => {
  unregister()
  await provider.shutdown()
})

const shown = ({ name, kind, status, attributes, events }: ReadableSpan) => ({
  name,
  kind,
  status,
  attributes,
  exceptions: events.map(({ attributes: said }) => [said?.['exception.type'], said?.['exception.message']]),
})

/** The one span that the exchange left behind. */
async function spanOf(exchange: () => Promise<unknown>): Promise<ReturnType<typeof shown>> {
  await exchange()
  const spans = exporter.getFinishedSpans().map(shown)
  exporter.reset()
  expect(spans).toHaveLength(1)
  return spans[0]!
}

const failing = async (peer: RawPeer): Promise<void> => {
  await peer.request()
  peer.socket.end()
}

describe.each(dispatchers)('%s', (name, make) => {
  it('leaves a complete span', async () => {
    const { origin, port } = await rawServer(answering(ok('ok', 'X-Received: r\r\n')))
    const span = await spanOf(async () => {
      const headers = { 'User-Agent': 'test/1', 'X-Sent': 's' }
      const { body } = await request(`${origin}/path?query`, { dispatcher: make(), headers })
      await body.dump()
    })
    expect(span).toMatchObject({
      name: 'GET',
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        'http.request.method': 'GET',
        'url.full': `${origin}/path?query`,
        'server.address': '127.0.0.1',
        'server.port': port,
        'user_agent.original': 'test/1',
        'network.peer.address': '127.0.0.1',
        'network.peer.port': port,
        'network.protocol.version': '1.1',
        'http.response.status_code': 200,
        'http.request.header.x-sent': ['s'],
        'http.response.header.x-received': ['r'],
      },
      exceptions: [],
    })
  })

  it("sends the span's context to the server, as a child of the span in whose context it was dispatched", async () => {
    const server = await rawServer(answering(ok()))
    // undici 7 creates a request that has to wait in the context of the one before.
    const dispatcher = make(name === 'RecyclingAgent' ? { connections: 2 } : {})
    const tracer = trace.getTracer('test')
    const parents = [0, 1, 2].map((i) => tracer.startSpan(`parent ${i}`))
    await Promise.all(
      parents.map((parent, i) =>
        context.with(trace.setSpan(context.active(), parent), async () => {
          const response = await fetch(`${server.origin}/${i}`, { dispatcher })
          expect(await response.text()).toBe('ok')
        }),
      ),
    )
    for (const [i, parent] of parents.entries()) {
      parent.end()
      const span = exporter.getFinishedSpans().find(({ attributes }) => attributes['url.path'] === `/${i}`)!
      const { traceId, spanId } = span.spanContext()
      expect(span.parentSpanContext?.spanId).toBe(parent.spanContext().spanId)
      const received = server.requests.find(({ head }) => head.startsWith(`GET /${i} `))!
      expect(received.fields.traceparent).toBe(`00-${traceId}-${spanId}-01`)
    }
  })
})

describe('the span is that of undici for', () => {
  type Options = Partial<Dispatcher.RequestOptions> & { isAborted?: boolean }
  const unavailable = 'HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n'
  const silent = (): void => {}

  /** With what is to be found in `error.type`. */
  const exchanges: [what: string, serve: (peer: RawPeer) => unknown, options: Options, errorType?: string][] = [
    ['a response', answering(ok()), {}],
    ['an error status', answering(unavailable), { method: 'PUT', body: 'x' }, '503'],
    ['a method of its own', answering(ok()), { method: 'PURGE' as 'GET' }],
    ['a connection that is lost', failing, {}, 'UND_ERR_SOCKET'],
    ['a timeout', silent, { headersTimeout: 10 }, 'UND_ERR_HEADERS_TIMEOUT'],
    ['an abort', silent, { isAborted: true }],
    ['a refused connection', silent, { origin: 'http://127.0.0.1:1' }, 'ECONNREFUSED'],
    ['a Unix socket that is not there', silent, { origin: 'http://a.test' }, 'ENOENT'],
  ]

  it.each(exchanges)('%s', async (what, serve, { isAborted = false, ...options }, errorType) => {
    const { origin } = await rawServer(serve)
    const run = async (dispatcher: Dispatcher): Promise<void> => {
      const controller = new AbortController()
      const { signal } = controller
      if (isAborted) onMessage('undici:request:bodySent', () => controller.abort())
      await dispatcher
        .request({ origin, path: '/', method: 'GET', signal, ...options } as Dispatcher.RequestOptions)
        .then(({ body }) => body.dump())
        .catch(() => {})
      await dispatcher.destroy()
    }
    const agentOptions = what.startsWith('a Unix') ? { socketPath: '/nowhere' } : {}
    const expected = await spanOf(() => run(new Agent(agentOptions)))
    expect(expected.attributes['error.type']).toBe(errorType)
    expect(await spanOf(() => run(recyclingAgent(agentOptions)))).toEqual(expected)
  })
})
