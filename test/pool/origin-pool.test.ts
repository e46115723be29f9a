/** One origin: who serves whom, and who fails with whom. */
import { errors } from 'undici'
import { expect, it } from 'vitest'
import { Authority } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { duplexPeer } from '../support/duplex-peer.js'
import { type Hooks, recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const ended = ['end', []]

it.each([
  ['UND_ERR_SOCKET', new errors.SocketError('gone')],
  ['UND_ERR_INFO', new errors.InformationalError('gone')],
])(
  'fails with %s of a connect function the request that it was called for, and tries again for the others',
  async (code, error) => {
    let calls = 0
    const connect = (_options: object, done: (error: Error | null, socket: unknown) => void): void => {
      if (calls++ === 0) done(error, null)
      else done(null, duplexPeer(ok()).stream)
    }
    const agent = recyclingAgent({ connections: 1, connect: connect as never })
    const recorded = [recording('new'), recording('new')]
    for (const { handler } of recorded) agent.dispatch({ origin: 'http://a.test', path: '/', method: 'GET' }, handler)
    expect(await recorded[0]!.done).toMatchObject([['error', expect.any(String), code, 'gone']])
    expect((await recorded[1]!.done).at(-1)).toEqual(ended)
    expect(calls).toBe(2)
  },
)

it('lets a request of another name wait until the only connection, which has room behind others, is idle', async () => {
  const authority = await Authority.create()
  const certificate = await authority.issue(['localhost', 'a.test', 'b.test'])
  const server = await rawServer(
    async (peer) => {
      if (peer.index > 0) return answering(ok('b'))(peer)
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na')
    },
    { secure: certificate },
  )
  const agent = recyclingAgent({ connections: 1, pipelining: 2, connect: { ca: authority.ca } })
  const begin = (servername: string, hooks: Hooks = {}) => {
    const recorded = recording('new', hooks)
    agent.dispatch({ origin: server.origin, path: '/', method: 'GET', servername } as never, recorded.handler)
    return recorded
  }
  // The rest of the first response comes only when its head was read, and a place behind it was offered.
  const first = begin('a.test', { data: () => server.peers[0]!.write('a') })
  const second = begin('b.test')
  expect((await first.done).slice(-2)).toEqual([['data', 'aa'], ended])
  expect((await second.done).slice(-2)).toEqual([['data', 'b'], ended])
  expect(server.peers).toHaveLength(2)
})
