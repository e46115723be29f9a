/** What becomes of the connection, and of its descriptor, when the caller's code goes wrong on it. */
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { type Flow, type Hooks, recording, styles } from '../support/handlers.js'
import { answering, ok, type RawServer, rawServer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'

expectNoDescriptorLeft()

/** The callback in which it happens, and whether the exchange is in the middle then. */
const moments = [
  ['start', false],
  ['bodySent', true],
  ['requestSent', true],
  ['started', true],
  ['head', true],
  ['data', true],
  ['end', false],
] as const

const deeds: [deed: string, act: (flow: Flow) => void][] = [
  ['throws', () => misbehave()],
  ['aborts', (flow) => flow.abort()],
]

function misbehave(): never {
  throw new Error('thrown')
}

async function put(agent: RecyclingAgent, { origin }: RawServer, hooks: Hooks, style = styles[0]!): Promise<void> {
  const { handler, done } = recording(style, hooks)
  agent.dispatch({ origin, path: '/', method: 'PUT', body: 'sent' }, handler)
  await done
  // What is thrown in the end callback comes after it.
  await new Promise((resolve) => setImmediate(resolve))
}

describeNative.each(styles)('the connection of a handler of the %s kind', (style) => {
  describe.each(deeds)('that %s', (_deed, act) => {
    it.each(moments)(
      'in its %s callback is reset if the exchange is in the middle: %s',
      async (callback, isInTheMiddle) => {
        const server = await rawServer(answering(ok()))
        const agent = recyclingAgent({ connections: 1 })
        await put(agent, server, { [callback]: act }, style)
        if (isInTheMiddle) {
          await quiet(agent)
          expect(agent.stats.sockets).toMatchObject({
            fresh: 1,
            dissolved: 1,
            aborted: 1,
            idle: 1,
            leased: 0,
            closed: 0,
          })
        } else {
          expect(agent.stats.sockets).toMatchObject({
            fresh: 1,
            dissolved: 0,
            aborted: 0,
            idle: 0,
            leased: 1,
            closed: 0,
          })
        }
        await put(agent, server, {}, style)
        expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: isInTheMiddle ? 1 : 0, leased: 1 })
        expect(server.peers).toHaveLength(isInTheMiddle ? 2 : 1)
      },
    )

    it('in its end callback is dissolved if the peer closes it', async () => {
      const server = await rawServer(async (peer) => {
        await peer.request()
        peer.write(ok('ok', 'connection: close\r\n'))
        peer.socket.end()
      })
      const agent = recyclingAgent({ connections: 1 })
      await put(agent, server, { end: act }, style)
      await quiet(agent)
      expect(agent.stats.sockets).toMatchObject({ fresh: 1, dissolved: 1, aborted: 0, idle: 1 })
    })
  })
})

describeNative('the connection of a request', () => {
  it('whose handler pauses and never resumes is kept until the agent is destroyed, and is then closed', async () => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent({ bodyTimeout: 1 })
    await new Promise<void>((resolve) => {
      const { handler } = recording('new', {
        head(flow) {
          flow.pause()
          resolve()
        },
      })
      agent.dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
    })
    expect(agent.stats.sockets).toMatchObject({ leased: 1, aborted: 0 })
    await agent.destroy()
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, leased: 0, idle: 0, closed: 1, aborted: 1 })
    await (await server.peer(0)).ended()
  })

  it.each([
    [
      'throws',
      {},
      (function* () {
        yield 'a'
        misbehave()
      })(),
    ],
    ['is longer than announced', { 'content-length': '1' }, Readable.from(['a', 'b'])],
    ['is shorter than announced', { 'content-length': '3' }, Readable.from(['a', 'b'])],
  ])('whose body %s is reset', async (_what, headers, body) => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    const { handler, done } = recording('new')
    const options = {
      origin: server.origin,
      path: '/',
      method: 'PUT' as const,
      headers,
      body: body as unknown as Readable,
    }
    agent.dispatch(options, handler)
    expect((await done).at(-1)?.[0]).toBe('error')
    await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, dissolved: 1, aborted: 1, idle: 1, closed: 0 })
  })

  it('whose body stalls is reset when it is aborted, and closed when the agent is destroyed', async () => {
    for (const end of ['abort', 'destroy'] as const) {
      const server = await rawServer(() => {})
      const agent = recyclingAgent()
      let control: Flow | undefined
      const { handler, done } = recording('new', {
        start: (flow) => {
          control = flow
        },
      })
      const body = new Readable({ read() {} })
      body.push('a')
      agent.dispatch({ origin: server.origin, path: '/', method: 'PUT', body }, handler)
      await (await server.peer(0)).received(/\ba\b/)
      if (end === 'abort') control!.abort()
      else await agent.destroy()
      await done
      await quiet(agent)
      const left = end === 'abort' ? { idle: 1, closed: 0 } : { idle: 0, closed: 1 }
      expect(agent.stats.sockets).toMatchObject({ fresh: 1, aborted: 1, ...left })
    }
  })
})

describeNative('the connection of a request that a signal aborts', () => {
  it.each([
    // No connection is opened for it, as with undici 8.13.
    ['before it', { fresh: 0, aborted: 0, leased: 0 }],
    ['after its head', { fresh: 1, aborted: 1, leased: 0 }],
    ['after its end', { fresh: 1, aborted: 0, leased: 1 }],
  ])('%s', async (when, expected) => {
    const { origin } = await rawServer(
      answering(when === 'after its head' ? 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf' : ok()),
    )
    const agent = recyclingAgent()
    const controller = new AbortController()
    if (when === 'before it') controller.abort()
    const requested = agent.request({ origin, path: '/', method: 'GET', signal: controller.signal })
    if (when === 'before it') {
      await expect(requested).rejects.toMatchObject({ name: 'AbortError' })
    } else {
      const { body } = await requested
      if (when === 'after its end') await body.text()
      controller.abort()
      if (when === 'after its head') {
        await expect(body.text()).rejects.toMatchObject({ name: 'AbortError' })
        await quiet(agent)
      }
    }
    expect(agent.stats.sockets).toMatchObject(expected)
  })
})
