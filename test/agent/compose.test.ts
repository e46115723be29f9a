/** undici's interceptors around the agent, whose methods are then called through a Proxy. */
import { type Dispatcher, interceptors, RetryAgent, request } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const passing = (dispatch: Dispatcher['dispatch']): Dispatcher['dispatch'] => {
  return (options, handler) => dispatch(options, handler)
}

describe.each(dispatchers)('%s', (_name, make) => {
  it('follows redirects', async () => {
    const { origin } = await rawServer(async (peer) => {
      for (;;) {
        const received = await peer.request()
        if (received === null) return
        const isFirst = received.head.startsWith('GET /first ')
        peer.write(isFirst ? 'HTTP/1.1 302 Found\r\nlocation: /second\r\ncontent-length: 0\r\n\r\n' : ok('second'))
      }
    })
    const dispatcher = make().compose(interceptors.redirect({ maxRedirections: 2 }))
    const { body, statusCode } = await request(`${origin}/first`, { dispatcher })
    expect([statusCode, await body.text()]).toEqual([200, 'second'])
  })

  it('retries', async () => {
    const { origin, peers } = await rawServer(async (peer) => {
      if (peer.index === 2) return answering(ok('third'))(peer)
      await peer.request()
      peer.socket.resetAndDestroy()
    })
    const dispatcher = make().compose(interceptors.retry({ minTimeout: 1, maxTimeout: 1 }))
    const { body } = await request(origin, { dispatcher })
    expect(await body.text()).toBe('third')
    expect(peers).toHaveLength(3)
  })

  it('continues a response that broke off', async () => {
    const { origin } = await rawServer(async (peer) => {
      const received = await peer.request()
      const range = received?.fields.range
      if (range === undefined) {
        peer.write('HTTP/1.1 200 OK\r\netag: "e"\r\ncontent-length: 6\r\n\r\nabc')
        peer.socket.end()
      } else {
        peer.write(`HTTP/1.1 206 Partial\r\netag: "e"\r\ncontent-range: bytes 3-5/6\r\ncontent-length: 3\r\n\r\ndef`)
      }
    })
    const dispatcher = new RetryAgent(make(), { minTimeout: 1, maxTimeout: 1 })
    const { body } = await request(origin, { dispatcher })
    expect(await body.text()).toBe('abcdef')
  })

  it('dumps bodies', async () => {
    const { origin } = await rawServer(answering(ok('unwanted')))
    const { body } = await request(origin, { dispatcher: make().compose(interceptors.dump()) })
    expect(await body.text()).toBe('')
  })

  it('makes errors of status codes', async () => {
    const { origin } = await rawServer(answering('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'))
    const dispatcher = make().compose(interceptors.responseError())
    await expect(request(origin, { dispatcher })).rejects.toMatchObject({ statusCode: 404 })
  })

  it('resolves names before the agent does', async () => {
    const { port, peers } = await rawServer(answering(ok()))
    const dispatcher = make().compose(interceptors.dns())
    const { body } = await request(`http://localhost:${port}`, { dispatcher })
    await body.dump()
    expect(peers[0]!.requests[0]!.fields.host).toBe(`localhost:${port}`)
  })
})

it('has every method and getter through the Proxy', async () => {
  const { origin } = await rawServer(answering(ok('through')))
  const agent = recyclingAgent()
  const composed = agent.compose(passing, passing) as typeof agent
  const connected = new Promise((resolve) => composed.once('connect', (_origin, targets) => resolve(targets[0])))
  const { body } = await composed.request({ origin, path: '/', method: 'GET' })
  expect(await body.text()).toBe('through')
  expect(await connected).toBe(agent)
  expect(composed.listenerCount('connect')).toBe(0)
  expect(composed).toMatchObject({ closed: false, destroyed: false })
  expect(Object.keys(composed.stats)).toEqual([origin])
  expect(composed.stats.sockets).toEqual(agent.stats.sockets)
  expect(composed.webSocketOptions).toEqual({ maxFragments: 131_072, maxPayloadSize: 134_217_728 })
  expect(composed.eventSourceOptions.maxEventSize).toBeGreaterThan(0)
  const { handler, done } = recording('legacy')
  expect(composed.dispatch({ origin, path: '/', method: 'GET' }, handler)).toBe(true)
  await done
  await composed.close()
  expect(agent.destroyed).toBe(true)
  await composed.destroy()
})
