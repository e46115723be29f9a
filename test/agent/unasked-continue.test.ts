/** A 100 (Continue) that no request asked for (RFC 9110 15.2.1), as each of the interfaces over the dispatcher sees it. */
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type Dispatcher, fetch, interceptors } from 'undici'
import { describe, expect, it } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { switching } from '../support/upgrades.js'

expectNoDescriptorLeft()

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const anyFetch = fetch as (url: string, init: object) => Promise<{ text(): Promise<string> }>
const builtInFetch = globalThis.fetch as unknown as typeof anyFetch

const ways: [name: string, ask: (dispatcher: Dispatcher, origin: string) => Promise<string>][] = [
  ['request', async (agent, origin) => (await agent.request({ origin, path: '/', method: 'GET' })).body.text()],
  [
    'stream',
    async (agent, origin) => {
      let answer = ''
      const sink = new Writable({
        write(chunk, _encoding, done) {
          answer += chunk
          done()
        },
      })
      await agent.stream({ origin, path: '/', method: 'GET' }, () => sink)
      return answer
    },
  ],
  [
    'pipeline',
    (agent, origin) =>
      text(Readable.from(['a']).pipe(agent.pipeline({ origin, path: '/', method: 'POST' }, ({ body }) => body))),
  ],
  ["undici's fetch", async (dispatcher, origin) => (await anyFetch(origin, { dispatcher })).text()],
]
const composed: [name: string, interceptor: Dispatcher.DispatcherComposeInterceptor | null][] = [
  ['no interceptor', null],
  ['retry', interceptors.retry()],
  ['redirect', interceptors.redirect({ maxRedirections: 2 })],
  ['cache', interceptors.cache()],
]

describe.each(composed)('a 100 that nobody asked for, with %s', (_name, interceptor) => {
  it.each(ways)('is read over by %s', async (_way, ask) => {
    const { origin } = await rawServer(answering(`${CONTINUE}${CONTINUE}${ok('answer')}`))
    const agent = recyclingAgent()
    expect(await ask(interceptor === null ? agent : agent.compose(interceptor), origin)).toBe('answer')
  })
})

describe('a 100 that nobody asked for', () => {
  it('is read over by the built-in fetch', async () => {
    const { origin } = await rawServer(answering(`${CONTINUE}${ok('answer')}`))
    const response = await builtInFetch(origin, { dispatcher: recyclingAgent(), method: 'POST', body: 'a' })
    expect(await response.text()).toBe('answer')
  })

  it('is not told as other 1xx are', async () => {
    const { origin } = await rawServer(answering(`${CONTINUE}HTTP/1.1 103 X\r\n\r\n${CONTINUE}${ok('answer')}`))
    const statuses: number[] = []
    const onInfo = ({ statusCode }: { statusCode: number }): number => statuses.push(statusCode)
    const { body } = await recyclingAgent().request({ origin, path: '/', method: 'GET', onInfo } as never)
    expect([await body.text(), statuses]).toEqual(['answer', [103]])
  })

  it.each([
    ['upgrade', switching()],
    ['connect', 'HTTP/1.1 200 OK\r\n\r\n'],
  ] as const)('is read over by %s', async (method, agreed) => {
    const { origin } = await rawServer(answering(`${CONTINUE}${agreed}`))
    const agent = recyclingAgent()
    const options = { origin, path: '/', protocol: 'chat' } as const
    const { socket } = await (method === 'upgrade' ? agent.upgrade(options) : agent.connect(options))
    expect(socket.destroyed).toBe(false)
    socket.destroy()
  })

  it('leaves the connection to the next request', async () => {
    const { origin, peers } = await rawServer(answering(`${CONTINUE}${ok('answer')}`))
    const agent = recyclingAgent()
    for (let i = 0; i < 3; i++) {
      expect(await (await agent.request({ origin, path: '/', method: 'GET' })).body.text()).toBe('answer')
    }
    expect(peers).toHaveLength(1)
  })

  it('on an idle connection ends it', async () => {
    const { origin, peer } = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    const disconnected = new Promise<unknown[]>((resolve) =>
      agent.on('disconnect', (_origin, _targets, error) => resolve([error.name, error.message])),
    )
    await (await agent.request({ origin, path: '/', method: 'GET' })).body.dump()
    ;(await peer(0)).write(CONTINUE)
    expect(await disconnected).toEqual(['SocketError', 'bad response'])
  })
})
