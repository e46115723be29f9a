/** The places where programs plug a dispatcher in: global, per call, per Request, under undici 7 and 8 and built in. */
import { constants } from 'node:buffer'
import { PassThrough } from 'node:stream'
import type { Dispatcher } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { isTried } from '../support/gate.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import {
  globalDispatchers,
  restoreGlobalDispatchers,
  type Undici,
  type Undici8,
  undici8,
  undicis,
  whyNoUndici8,
} from '../support/undicis.js'

expectNoDescriptorLeft()

type Fetch = (resource: unknown, init?: Record<string, unknown>) => Promise<globalThis.Response>
type MakeRequest = new (url: string, init: Record<string, unknown>) => unknown

const builtIn = globalThis.fetch as unknown as Fetch
const fetches: [name: string, fetch: Fetch, Request: MakeRequest][] = [
  ['the built-in fetch', builtIn, globalThis.Request as unknown as MakeRequest],
]
for (const [name, { fetch, Request }] of undicis) {
  fetches.push([`the fetch of ${name}`, fetch as unknown as Fetch, Request as unknown as MakeRequest])
}

let saved: unknown[]
beforeEach(() => {
  saved = globalDispatchers()
})
afterEach(() => {
  restoreGlobalDispatchers(saved)
})

async function echo(peer: RawPeer): Promise<void> {
  for (;;) {
    const received = await peer.request()
    if (received === null) return
    peer.write('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n')
    peer.write(ok(`${received.head.split(' ')[0]} ${received.body}`, 'X-A: 1\r\nset-cookie: b\r\nset-cookie: c\r\n'))
  }
}

describe.each(undicis)('setGlobalDispatcher of %s', (_name, undici) => {
  it('gives the agent to getGlobalDispatcher', () => {
    const agent = recyclingAgent()
    undici.setGlobalDispatcher(agent)
    expect(undici.getGlobalDispatcher()).toBe(agent)
  })

  it.each([
    ['the built-in fetch', builtIn],
    ['its own fetch', undici.fetch as unknown as Fetch],
  ])('leads %s through the agent', async (_which, fetch) => {
    const { origin } = await rawServer(echo)
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    undici.setGlobalDispatcher(agent)
    const response = await fetch(origin, { method: 'POST', body: 'sent' })
    expect(await response.text()).toBe('POST sent')
    expect(response.headers.getSetCookie()).toEqual(['b', 'c'])
    expect(connections()).toBe(1)
  })

  it('leads its request() through the agent', async () => {
    const { origin } = await rawServer(echo)
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    undici.setGlobalDispatcher(agent)
    const { body, headers } = await undici.request(origin)
    expect(await body.text()).toBe('GET ')
    expect(headers['set-cookie']).toEqual(['b', 'c'])
    expect(connections()).toBe(1)
  })
})

describe.each(fetches)('%s', (_name, fetch) => {
  // The built-in one of Node.js 20 and 22 adds its own length to it: 4, 4.
  it('takes a content-length of the caller', async () => {
    const { origin, peer } = await rawServer(echo)
    const init = { method: 'POST', body: 'sent', headers: { 'Content-Length': '4' }, dispatcher: recyclingAgent() }
    expect(await (await fetch(origin, init)).text()).toBe('POST sent')
    expect((await peer(0)).requests[0]!.fields['content-length']).toBe('4')
  })
})

describe.each(undicis)('the functions of %s', (_name, undici) => {
  it.each([
    ['request', readRequest],
    ['stream', readStream],
    ['pipeline', readPipeline],
  ])('%s goes through the agent of the call', async (_function, get) => {
    const { origin } = await rawServer(echo)
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    expect(await get(undici, origin, agent)).toBe('GET ')
    expect(connections()).toBe(1)
  })

  it('EventSource goes through the agent of its options', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n'
    const { origin } = await rawServer(answering(`${head}data: told\n\n`))
    const agent = recyclingAgent({ eventSource: { maxEventSize: 1000 } } as never)
    const connections = countConnections(agent)
    const source = new undici.EventSource(origin, { node: { dispatcher: agent } } as never)
    const data = await new Promise((resolve, reject) => {
      source.onmessage = (event) => resolve(event.data)
      source.onerror = reject
    })
    source.close()
    expect(data).toBe('told')
    expect(connections()).toBe(1)
  })
})

async function readRequest(undici: Undici, origin: string, dispatcher: Dispatcher): Promise<string> {
  return (await undici.request(origin, { dispatcher })).body.text()
}

async function readStream(undici: Undici, origin: string, dispatcher: Dispatcher): Promise<string> {
  const collected = new PassThrough()
  await undici.stream(origin, { dispatcher, method: 'GET' }, () => collected)
  return String(collected.read())
}

async function readPipeline(undici: Undici, origin: string, dispatcher: Dispatcher): Promise<string> {
  const duplex = undici.pipeline(origin, { dispatcher, method: 'GET' }, ({ body }) => body)
  duplex.end()
  let text = ''
  for await (const chunk of duplex) text += String(chunk)
  return text
}

describe.each(fetches)('%s', (_name, fetch, Request) => {
  it('goes through the agent of the call', async () => {
    const { origin } = await rawServer(echo)
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    const response = await fetch(origin, { dispatcher: agent })
    expect(await response.text()).toBe('GET ')
    // Node.js 26 takes them from the controller's rawHeaders.
    expect([response.headers.get('x-a'), response.headers.getSetCookie()]).toEqual(['1', ['b', 'c']])
    expect(connections()).toBe(1)
  })

  it('goes through the agent of its Request', async () => {
    const { origin } = await rawServer(echo)
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    const request = new Request(origin, { dispatcher: agent, method: 'POST', body: new Blob(['sent']) })
    expect(await (await fetch(request)).text()).toBe('POST sent')
    expect(connections()).toBe(1)
  })

  it('prefers the agent of the call to the global one', async () => {
    const { origin } = await rawServer(echo)
    const [ofCall, globally] = [recyclingAgent(), recyclingAgent()]
    const [connections, others] = [countConnections(ofCall), countConnections(globally)]
    undicis.at(-1)![1].setGlobalDispatcher(globally)
    expect(await (await fetch(origin, { dispatcher: ofCall })).text()).toBe('GET ')
    expect([connections(), others()]).toEqual([1, 0])
  })

  it('reads a large body at its own pace', async () => {
    const { origin } = await rawServer(answering(ok('x'.repeat(2_000_000))))
    const { body } = await fetch(origin, { dispatcher: recyclingAgent() })
    let length = 0
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      length += chunk.length
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(length).toBe(2_000_000)
  })
})

describe('dispatch', () => {
  it('takes a handler for a new one exactly when it has onRequestStart, whatever else it has', async () => {
    const { origin } = await rawServer(echo)
    const [modern, legacy] = [recording('new'), recording('legacy')]
    const agent = recyclingAgent()
    // As undici's own WrapHandler is.
    agent.dispatch({ origin, path: '/', method: 'GET' }, { ...legacy.handler, ...modern.handler })
    expect((await modern.done).at(-1)).toEqual(['end', []])
    expect(legacy.events).toEqual([])
  })

  it('takes a handler for a legacy one although it has a method of the new kind', async () => {
    const { origin } = await rawServer(echo)
    const { handler, done } = recording('legacy')
    // As that of the fetch of Node.js 24 is.
    recyclingAgent().dispatch({ origin, path: '/', method: 'GET' }, { ...handler, onRequestUpgrade() {} })
    expect((await done).at(-1)).toEqual(['end', []])
  })

  it('asks a new handler for no method but onRequestStart, as undici 7 does', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    agent.dispatch({ origin, path: '/first', method: 'GET' }, { onRequestStart() {} })
    const { handler, done } = recording('new')
    agent.dispatch({ origin, path: '/second', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    await agent.close()
    expect(peers.flatMap(({ requests }) => requests)).toHaveLength(2)
  })

  it('ignores options that are not for it', async () => {
    const { origin } = await rawServer(echo)
    const options = {
      allowH2: false,
      __mockAgentBodyForDispatch: null,
      signal: new AbortController().signal,
      opaque: {},
      onInfo() {},
      responseHeaders: 'raw',
      highWaterMark: 1,
      dispatcher: recyclingAgent(),
      context: {},
      maxRedirections: 0,
    }
    const { handler, done } = recording('new')
    recyclingAgent().dispatch({ origin, path: '/', method: 'GET', ...options } as never, handler)
    expect((await done).at(-1)).toEqual(['end', []])
  })
})

describe.runIf(isTried(whyNoUndici8))("undici 8's Dispatcher1Wrapper", () => {
  const wrap = (agent: RecyclingAgent): Dispatcher => new (undici8 as Undici8).Dispatcher1Wrapper(agent)

  it.each(['new', 'legacy'] as const)('passes a handler of the %s kind on to the agent', async (style) => {
    const { origin } = await rawServer(echo)
    const { handler, done } = recording(style)
    wrap(recyclingAgent()).dispatch({ origin, path: '/', method: 'POST', body: 'sent' }, handler)
    const events = await done
    expect(events[0]).toEqual(['start'])
    expect(events.slice(-2)).toEqual([
      ['data', 'POST sent'],
      ['end', []],
    ])
  })

  it.each(fetches)('serves %s', async (_fetch, fetch) => {
    const { origin } = await rawServer(echo)
    const response = await fetch(origin, { dispatcher: wrap(recyclingAgent()), method: 'POST', body: 'sent' })
    expect(await response.text()).toBe('POST sent')
    expect(response.headers.getSetCookie()).toEqual(['b', 'c'])
  })

  it("passes the agent's limits on, and closes it", async () => {
    const agent = recyclingAgent({ webSocket: { maxFragments: 7 } } as never)
    const wrapper = wrap(agent) as unknown as RecyclingAgent
    expect(wrapper.webSocketOptions).toEqual(agent.webSocketOptions)
    expect(wrapper.eventSourceOptions).toEqual(agent.eventSourceOptions)
    await wrapper.close()
    expect(agent.closed).toBe(true)
  })
})

describe('what WebSocket and EventSource read off the agent', () => {
  const defaults = { maxFragments: 131_072, maxPayloadSize: 128 * 1024 * 1024 }

  it("has undici's defaults", () => {
    const agent = recyclingAgent()
    expect(agent.webSocketOptions).toEqual(defaults)
    expect(agent.eventSourceOptions).toEqual({ maxEventSize: constants.MAX_STRING_LENGTH })
  })

  it.each(undicis)('has the defaults of %s', (_name, undici) => {
    const agent = recyclingAgent()
    const reference = new undici.Agent() as unknown as RecyclingAgent
    expect(agent.webSocketOptions).toEqual(reference.webSocketOptions)
    expect(agent.eventSourceOptions).toEqual(reference.eventSourceOptions)
  })

  it('is set by options, one by one', () => {
    const options = { webSocket: { maxPayloadSize: 1 }, eventSource: { maxEventSize: 2 } }
    const agent = recyclingAgent(options as never)
    expect(agent.webSocketOptions).toEqual({ ...defaults, maxPayloadSize: 1 })
    expect(agent.eventSourceOptions).toEqual({ maxEventSize: 2 })
  })

  it('is there through compose(), too', () => {
    const composed = recyclingAgent().compose((dispatch) => dispatch) as unknown as RecyclingAgent
    expect(composed.webSocketOptions).toEqual(defaults)
  })

  it('is no mock', () => {
    expect((recyclingAgent() as unknown as { isMockActive?: boolean }).isMockActive).toBeFalsy()
  })
})
