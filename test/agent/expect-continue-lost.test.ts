/** What may happen while a body waits to be asked for: timeouts, aborts, the end of the connection. */
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { asking, bodies, CONTINUE, ended, type Sent, send, untilHead, watchedStream } from '../support/expecting.js'
import { styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

describe('headersTimeout', () => {
  it.each(styles)('does not run while the body waits, but behind it (%s handlers)', async (style) => {
    const server = await rawServer((peer) => void peer.request())
    const agent = recyclingAgent({ headersTimeout: 30, expectContinueTimeout: 150 })
    const sent = send(agent, { origin: server.origin, body: 'piece' }, style)
    expect((await sent.done).at(-1)).toMatchObject([
      'error',
      'HeadersTimeoutError',
      'UND_ERR_HEADERS_TIMEOUT',
      expect.anything(),
    ])
    expect(sent.told).toEqual(['start', 'bodySent', 'requestSent', 'error'])
    expect((await server.peer(0)).requests[0]!.body).toBe('piece')
  })
})

describe.each(styles)('while the body waits (%s handlers)', (style) => {
  const wait = async (body: unknown = Buffer.from('piece'), options: Record<string, unknown> = {}) => {
    const server = await rawServer((peer) => (peer.index === 0 ? undefined : answering(ok())(peer)))
    const agent = recyclingAgent({ expectContinueTimeout: 60_000 })
    let abort = (_reason: Error): void => {}
    const sent = send(agent, { origin: server.origin, body, ...options }, style, {
      start(flow) {
        abort = (reason) => flow.abort(reason)
      },
    })
    const peer = await server.peer(0)
    await untilHead(peer)
    const unsent = async (): Promise<void> => {
      await peer.ended()
      expect(peer.pending).toMatch(/\r\n\r\n$/)
      expect(sent.told).not.toContain('bodySent')
    }
    return { server, agent, peer, sent, unsent, abort: (reason: Error) => abort(reason) }
  }

  it('the request can be aborted', async () => {
    const { stream, seen } = watchedStream()
    const { abort, sent, unsent, agent, server } = await wait(stream)
    abort(new Error('changed my mind'))
    expect((await sent.done).at(-1)).toEqual(['error', 'Error', undefined, 'changed my mind'])
    await unsent()
    expect(seen).toEqual(['destroyed'])
    expect(await get(agent, server.origin)).toBe('ok')
  })

  it('the agent can be destroyed', async () => {
    const { stream, seen } = watchedStream()
    const { agent, sent, unsent } = await wait(stream)
    await agent.destroy()
    expect((await sent.done).at(-1)).toMatchObject([
      'error',
      'ClientDestroyedError',
      'UND_ERR_DESTROYED',
      expect.anything(),
    ])
    await unsent()
    expect(seen[0]).toMatch(/^destroyed/)
    expect(seen).toHaveLength(1)
  })

  it('the agent can be closed, which waits for the answer', async () => {
    const { agent, peer, sent } = await wait()
    const closed = agent.close()
    peer.write(CONTINUE)
    await peer.request()
    peer.write(ok())
    await closed
    expect((await sent.done).at(-1)).toEqual(ended)
  })

  it('its source can fail', async () => {
    const { stream } = watchedStream()
    const { sent, unsent } = await wait(stream)
    stream.destroy(new Error('no source'))
    expect((await sent.done).at(-1)).toEqual(['error', 'Error', undefined, 'no source'])
    await unsent()
  })

  it.each([
    ['FIN', (peer: RawPeer) => void peer.socket.end()],
    ['reset', (peer: RawPeer) => void peer.socket.resetAndDestroy()],
    ['response that is none', (peer: RawPeer) => peer.write('nonsense')],
  ])('a %s fails the request', async (_name, act) => {
    const { stream, seen } = watchedStream()
    const { peer, sent } = await wait(stream)
    act(peer)
    expect((await sent.done).at(-1)![0]).toBe('error')
    expect(sent.told).not.toContain('bodySent')
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatch(/^destroyed/)
  })
})

describe('a connection that had been used before and is lost while the body waits', () => {
  const losing = async (peer: RawPeer): Promise<void> => {
    if (peer.index > 0) return asking(ok('again'))(peer)
    await peer.request()
    peer.write(ok())
    await untilHead(peer)
    peer.socket.end()
  }
  const sendSecond = async (agent: RecyclingAgent, options: Record<string, unknown>): Promise<Sent> => {
    const server = await rawServer(losing)
    await get(agent, server.origin)
    const sent = send(agent, { origin: server.origin, ...options })
    await sent.done
    return sent
  }

  it.each(bodies)(
    'has an idempotent request sent once more, with its body: %s',
    async (_name, body, received, headers = {}) => {
      const server = await rawServer(losing)
      const agent = recyclingAgent({ expectContinueTimeout: 60_000 })
      await get(agent, server.origin)
      const sent = send(agent, { origin: server.origin, body: body(), headers, method: 'PUT', idempotent: true })
      expect((await sent.done).slice(-2)).toEqual([['data', 'again'], ended])
      expect(agent.stats.sentAgain).toBe(1)
      const { body: got, fields } = server.peers[1]!.requests[0]!
      expect(received.test(got)).toBe(true)
      expect(fields.expect).toBe('100-continue')
    },
  )

  it.each([
    ['that is not idempotent', {}, {}],
    ['with retryStale: false', { retryStale: false }, { idempotent: true }],
  ])('fails a request %s', async (_name, agentOptions, options) => {
    const { stream, seen } = watchedStream()
    const sent = await sendSecond(recyclingAgent(agentOptions), { body: stream, ...options })
    expect(sent.events.at(-1)![0]).toBe('error')
    expect(seen).toHaveLength(1)
  })

  it('fails one whose stream has begun', async () => {
    const server = await rawServer(async (peer) => {
      await peer.request()
      peer.write(ok())
      await peer.request()
      peer.socket.end()
    })
    const agent = recyclingAgent({ expectContinueTimeout: 1 })
    await get(agent, server.origin)
    const body = Readable.from(['piece'])
    const sent = send(agent, { origin: server.origin, body, method: 'PUT', idempotent: true })
    expect((await sent.done).at(-1)![0]).toBe('error')
    expect(agent.stats.sentAgain).toBe(0)
  })
})
