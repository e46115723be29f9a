/** How long a dispatcher waits: for a connection, for a head, for the next piece of a body, for another request. */
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { type Event, recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const headersTimeout: Event = ['error', 'HeadersTimeoutError', 'UND_ERR_HEADERS_TIMEOUT', 'Headers Timeout Error']
const bodyTimeout: Event = ['error', 'BodyTimeoutError', 'UND_ERR_BODY_TIMEOUT', 'Body Timeout Error']

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A head at once, then two halves of a body. */
async function slowBody(peer: RawPeer): Promise<void> {
  while ((await peer.request()) !== null) {
    peer.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab')
    await after(120)
    peer.write('cd')
  }
}

// undici's timers are up to a second late.
describe.each(dispatchers)('%s', (_name, make) => {
  it('gives up on a head after headersTimeout, of the agent or of the request', async () => {
    const { origin, peers } = await rawServer(() => {})
    const byAgent = recording('new')
    make({ headersTimeout: 50 }).dispatch({ origin, path: '/', method: 'GET' }, byAgent.handler)
    const byRequest = recording('legacy')
    make().dispatch({ origin, path: '/', method: 'GET', headersTimeout: 50 }, byRequest.handler)
    expect((await byAgent.done).at(-1)).toEqual(headersTimeout)
    expect((await byRequest.done).at(-1)).toEqual(headersTimeout)
    for (const peer of peers) await peer.ended()
  })

  it('gives up on a body after bodyTimeout, of the agent or of the request', async () => {
    const { origin } = await rawServer((peer) => peer.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab'))
    const byAgent = recording('new')
    make({ bodyTimeout: 50 }).dispatch({ origin, path: '/', method: 'GET' }, byAgent.handler)
    const byRequest = recording('legacy')
    make().dispatch({ origin, path: '/', method: 'GET', bodyTimeout: 50 }, byRequest.handler)
    expect((await byAgent.done).slice(-2)).toEqual([['data', 'ab'], bodyTimeout])
    expect((await byRequest.done).at(-1)).toEqual(bodyTimeout)
  })

  it('gives up on connecting after connectTimeout, the resolver included', async () => {
    const { handler, done } = recording('new')
    const agent = make({ connect: { timeout: 50, lookup: () => {} } })
    agent.dispatch({ origin: 'http://slow.test:81', path: '/', method: 'GET' }, handler)
    expect(await done).toEqual([
      [
        'error',
        'ConnectTimeoutError',
        'UND_ERR_CONNECT_TIMEOUT',
        'Connect Timeout Error (attempted address: slow.test:81, timeout: 50ms)',
      ],
    ])
  })
})

it('waits without end for 0', async () => {
  const { origin } = await rawServer(slowBody)
  const { handler, done } = recording('new')
  const agent = recyclingAgent({ headersTimeout: 1, bodyTimeout: 1 })
  agent.dispatch({ origin, path: '/', method: 'GET', headersTimeout: 0, bodyTimeout: 0 }, handler)
  expect((await done).at(-1)).toEqual(['end', []])
})

it('begins anew with each piece of a body, and with each informational response', async () => {
  const { origin } = await rawServer(async (peer) => {
    await peer.request()
    for (let i = 0; i < 4; i++) {
      await after(40)
      peer.write('HTTP/1.1 103 Early Hints\r\n\r\n')
    }
    peer.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n')
    for (const piece of 'abcd') {
      await after(40)
      peer.write(piece)
    }
  })
  const { handler, done } = recording('new')
  recyclingAgent({ headersTimeout: 120, bodyTimeout: 120 }).dispatch({ origin, path: '/', method: 'GET' }, handler)
  expect((await done).slice(-2)).toEqual([
    ['data', 'abcd'],
    ['end', []],
  ])
})

it('does not count the time for which a response is paused', async () => {
  const { origin } = await rawServer(slowBody)
  const { handler, done } = recording('new', {
    head(flow) {
      flow.pause()
      // After three times the timeout.
      setTimeout(() => flow.resume(), 180)
    },
  })
  recyclingAgent({ bodyTimeout: 60 }).dispatch({ origin, path: '/', method: 'GET' }, handler)
  expect((await done).at(-1)).toEqual(['end', []])
})

it('does not count the time that the body takes to be sent', async () => {
  const { origin } = await rawServer(answering(ok()))
  async function* body(): AsyncGenerator<string> {
    yield 'a'
    await after(150)
    yield 'b'
  }
  const { handler, done } = recording('new')
  recyclingAgent({ headersTimeout: 50 }).dispatch(
    { origin, path: '/', method: 'POST', body: body() as unknown as Buffer },
    handler,
  )
  expect((await done).at(-1)).toEqual(['end', []])
})

/** [options, field of the response, whether the connection ends at once] */
const keepAlive: [what: string, options: object, hint: string, least: number, most: number][] = [
  ['after keepAliveTimeout', { keepAliveTimeout: 100 }, '', 90, 600],
  ['after the hint less the threshold', { keepAliveTimeoutThreshold: 900 }, 'keep-alive: timeout=1\r\n', 90, 600],
  ['after keepAliveMaxTimeout at the latest', { keepAliveMaxTimeout: 100 }, 'keep-alive: timeout=60\r\n', 90, 600],
  ['at once for a hint within the threshold', {}, 'keep-alive: timeout=2\r\n', 0, 80],
]

describe.each(dispatchers)('an idle connection of %s', (_name, make) => {
  it.each(keepAlive)('ends %s', async (_what, options, hint, least, most) => {
    const { origin } = await rawServer(answering(ok('', hint)))
    const agent = make(options)
    const disconnected = new Promise<Error>((resolve) => {
      agent.once('disconnect', (_origin, _targets, error) => resolve(error))
    })
    const { handler, done } = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await done
    const since = performance.now()
    const error = await disconnected
    const waited = performance.now() - since
    expect(waited).toBeGreaterThanOrEqual(least)
    expect(waited).toBeLessThan(most)
    expect(error).toMatchObject({
      code: 'UND_ERR_INFO',
      message: least === 0 ? 'reset' : 'socket idle timeout',
    })
  })
})
