/** How connections over TLS end, and what a request hears of it. */
import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { Authority, type Certificate } from '../support/certificates.js'
import {
  expectNoDescriptorLeft,
  type MakeDispatcher,
  recyclingAgent,
  secureDispatchers,
} from '../support/dispatchers.js'
import { type Flow, recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1'])
})

expectNoDescriptorLeft()

const everybody: [string, MakeDispatcher][] = [
  ...secureDispatchers,
  ['RecyclingAgent over net', (options) => recyclingAgent({ ...options, transport: 'net' })],
]

const serverOf = (serve: (peer: RawPeer) => unknown) => rawServer(serve, { secure: certificate })

const half = 'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf'

/** Sends the bytes and then goes: how, is up to the caller. */
const sends = (bytes: string, end: (peer: RawPeer) => void) => async (peer: RawPeer) => {
  await peer.request()
  peer.socket.write(bytes, () => end(peer))
}

/** The TCP socket below, whose end says nothing of TLS. */
const below = ({ socket }: RawPeer) => (socket as TLSSocket & { _parent: import('node:net').Socket })._parent

const closeNotify = ({ socket }: RawPeer): void => void socket.end()
const bareFin = (peer: RawPeer): void => void below(peer).end()
const reset = (peer: RawPeer): void => void below(peer).resetAndDestroy()

describe.each(everybody)('%s', (_name, make) => {
  const begin = (origin: string, hooks = {}, agent = make({ connect: { ca } })) => {
    const recorded = recording('new', hooks)
    agent.dispatch({ origin, path: '/', method: 'GET' }, recorded.handler)
    return { ...recorded, agent }
  }

  it.each([
    ['close_notify', closeNotify],
    ['a FIN alone', bareFin],
  ])('ends a close-delimited body with %s', async (_how, end) => {
    const { origin } = await serverOf(sends('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwhole', end))
    expect((await begin(origin).done).slice(-2)).toEqual([
      ['data', 'whole'],
      ['end', []],
    ])
  })

  it.each([
    ['close_notify', closeNotify],
    ['a FIN alone', bareFin],
    ['a reset', reset],
  ])('does not take %s for the end of a body of known length (RFC 9112 8)', async (_how, end) => {
    const { origin } = await serverOf(sends(half, end))
    const events = await begin(origin).done
    expect(events.map(([event]) => event)).toEqual(expect.arrayContaining(['head', 'error']))
    // Node takes a reset for a FIN when it finds both data and the reset at once (libuv, uv__stream_io).
    const messages = end === reset ? ['other side closed', 'read ECONNRESET'] : ['other side closed']
    expect(messages).toContain(events.at(-1)![3])
  })

  it.each([
    ['close_notify', closeNotify],
    ['a FIN alone', bareFin],
    ['a reset', reset],
  ])('does not take %s for the end of a chunked body', async (_how, end) => {
    const { origin } = await serverOf(sends('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n', end))
    expect((await begin(origin).done).at(-1)![0]).toBe('error')
  })

  it.each([
    ['close_notify', closeNotify, 'other side closed'],
    ['a FIN alone', bareFin, 'other side closed'],
    ['a reset', reset, 'read ECONNRESET'],
  ])('fails a request that gets %s instead of an answer', async (_how, end, message) => {
    const { origin } = await serverOf(async (peer) => {
      await peer.request()
      end(peer)
    })
    expect((await begin(origin).done).at(-1)).toMatchObject(['error', expect.any(String), expect.any(String), message])
  })

  it('tells of a reset that came while the response was paused, when it goes on', async () => {
    let flow: Flow | undefined
    const { origin, peer } = await serverOf(sends(half, () => {}))
    const { done } = begin(origin, {
      head(control: Flow) {
        flow = control
        control.pause()
      },
    })
    const server = await peer(0)
    while (flow === undefined) await new Promise((resolve) => setImmediate(resolve))
    reset(server)
    await once(below(server), 'close')
    // As long as nobody reads, the reset is not seen by some; but it is not forgotten by any.
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
    flow.resume()
    expect((await done).at(-1)).toMatchObject(['error', expect.any(String), 'ECONNRESET', expect.any(String)])
  })

  it('fails an upload whose peer resets the connection', async () => {
    const { origin } = await serverOf(async (peer) => {
      await peer.received(/begin/)
      reset(peer)
    })
    async function* body(): AsyncGenerator<string> {
      yield 'begin'
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve))
        yield 'more'
      }
    }
    const recorded = recording('new')
    make({ connect: { ca } }).dispatch({ origin, path: '/', method: 'POST', body: body() as never }, recorded.handler)
    const [, , code] = (await recorded.done).at(-1)!
    expect(code).toMatch(/^(ECONNRESET|EPIPE)$/)
  })

  it('uses a connection again while it is kept alive', async () => {
    const { origin, peers } = await serverOf(answering(ok()))
    const agent = make({ connections: 1, connect: { ca } })
    for (let i = 0; i < 5; i++) expect((await begin(origin, {}, agent).done).at(-1)).toEqual(['end', []])
    expect(peers).toHaveLength(1)
  })

  it('ends a connection that was idle for too long', async () => {
    const { origin, peers } = await serverOf(answering(ok()))
    const agent = make({ keepAliveTimeout: 20, connect: { ca } })
    const disconnected = new Promise<Error>((resolve) => agent.once('disconnect', (_o, _t, error) => resolve(error)))
    await begin(origin, {}, agent).done
    expect(await disconnected).toMatchObject({ code: 'UND_ERR_INFO', message: 'socket idle timeout' })
    await peers[0]!.ended()
    expect((await begin(origin, {}, agent).done).at(-1)).toEqual(['end', []])
    expect(peers).toHaveLength(2)
  })

  it('opens another connection when the server has ended the idle one', async () => {
    const { origin, peers } = await serverOf(answering(ok()))
    const agent = make({ connections: 1, connect: { ca } })
    const disconnected = new Promise<Error>((resolve) => agent.once('disconnect', (_o, _t, error) => resolve(error)))
    await begin(origin, {}, agent).done
    peers[0]!.socket.end()
    expect(await disconnected).toMatchObject({ code: 'UND_ERR_SOCKET', message: 'other side closed' })
    expect((await begin(origin, {}, agent).done).at(-1)).toEqual(['end', []])
    expect(peers).toHaveLength(2)
  })

  it('takes no response that nobody has asked for (RFC 9112 9.2)', async () => {
    const { origin, peers } = await serverOf(answering(ok()))
    const agent = make({ connections: 1, connect: { ca } })
    const disconnected = new Promise<Error>((resolve) => agent.once('disconnect', (_o, _t, error) => resolve(error)))
    await begin(origin, {}, agent).done
    peers[0]!.write(ok('poison'))
    expect(await disconnected).toMatchObject({ code: 'UND_ERR_SOCKET', message: 'bad response' })
    expect((await begin(origin, {}, agent).done).slice(-2)).toEqual([
      ['data', 'ok'],
      ['end', []],
    ])
    expect(peers).toHaveLength(2)
  })

  it('goes when the handler aborts in mid body', async () => {
    const { origin, peer } = await serverOf(sends(half, () => {}))
    const reason = new Error('enough')
    const { done, agent } = begin(origin, { data: (flow: Flow) => flow.abort(reason) })
    expect((await done).at(-1)).toEqual(['error', 'Error', undefined, 'enough'])
    await (await peer(0)).ended()
    await agent.close()
  })

  it('close() lets the response end, then the connection', async () => {
    const { origin, peer } = await serverOf(sends(half, () => {}))
    let closing: Promise<unknown> | undefined
    const agent = make({ connect: { ca } })
    const { done } = begin(
      origin,
      {
        data() {
          closing ??= agent.close()
        },
      },
      agent,
    )
    const server = await peer(0)
    while (closing === undefined) await new Promise((resolve) => setImmediate(resolve))
    server.write('full')
    expect((await done).at(-1)).toEqual(['end', []])
    await closing
    await server.ended()
  })

  it('destroy() fails what is in mid body', async () => {
    const { origin, peer } = await serverOf(sends(half, () => {}))
    let destroyed: Promise<unknown> | undefined
    const reason = new Error('over')
    const agent = make({ connect: { ca } })
    const { done } = begin(
      origin,
      {
        data() {
          destroyed = agent.destroy(reason)
        },
      },
      agent,
    )
    expect((await done).at(-1)).toEqual(['error', 'Error', undefined, 'over'])
    await destroyed
    await (await peer(0)).ended()
  })

  it.each(['close', 'destroy'] as const)('%s() in mid handshake', async (method) => {
    // No TLS: the handshake does not end.
    const { port, peer } = await rawServer(() => {})
    const agent = make({ connectTimeout: method === 'close' ? 40 : 0 })
    const { done } = begin(`https://127.0.0.1:${port}`, {}, agent)
    const server = await peer(0)
    await server.received(/./s)
    const over = agent[method]()
    const code = method === 'close' ? 'UND_ERR_CONNECT_TIMEOUT' : 'UND_ERR_DESTROYED'
    expect(await done).toMatchObject([['error', expect.any(String), code, expect.any(String)]])
    await over
    // undici's lets the handshake go on, and ends the connection when it is there.
    if (agent instanceof RecyclingAgent) await server.ended()
  })
})
