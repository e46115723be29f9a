/** Requests whose server answers before it asks for their body, or does not know of asking: RFC 9110 10.1.1, 15.5.18. */
import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import {
  bodies,
  ended,
  pieces,
  REFUSAL,
  refusing,
  send,
  UNKNOWN,
  untilHead,
  watchedStream,
} from '../support/expecting.js'
import { styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

describe.each(styles)('a final response before that (%s handlers)', (style) => {
  it.each([
    ['of known length', REFUSAL],
    ['in chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
    ['that announces the close', 'HTTP/1.1 403 No\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno'],
    ['behind other 1xx', `HTTP/1.1 102 Processing\r\n\r\n${REFUSAL}`],
  ])('%s ends the request and its connection, and the body is not sent', async (_name, response) => {
    const server = await rawServer((peer) => (peer.index === 0 ? refusing(response)(peer) : answering(ok())(peer)))
    const agent = recyclingAgent()
    const reasons: string[] = []
    agent.on('disconnect', (_origin, _targets, error) => reasons.push(error.message))
    const sent = send(agent, { origin: server.origin, body: 'piece' }, style)
    expect((await sent.done).slice(-2)).toEqual([['data', 'no'], ended])
    expect(sent.told).not.toContain('bodySent')
    expect(sent.told).not.toContain('requestSent')
    const peer = server.peers[0]!
    await peer.ended()
    expect(peer.pending).toMatch(/^POST [^\n]*\r\n([^\n]+\r\n)*\r\n$/)
    expect(await get(agent, server.origin)).toBe('ok')
    expect(reasons).toEqual(['reset'])
    expect(server.peers).toHaveLength(2)
  })

  it('destroys a stream that was not read from, as soon as its head is there', async () => {
    const server = await rawServer(refusing(REFUSAL.slice(0, -1)))
    const { stream, seen } = watchedStream()
    const sent = send(recyclingAgent(), { origin: server.origin, body: stream }, style)
    await new Promise((resolve) => stream.on('close', resolve))
    expect(seen).toEqual(['destroyed'])
    ;(await server.peer(0)).write('o')
    expect((await sent.done).slice(-2)).toEqual([['data', 'no'], ended])
  })

  it('leaves an iterable and a Blob alone', async () => {
    const server = await rawServer(refusing(REFUSAL))
    const asked = vi.fn()
    const iterable = { [Symbol.asyncIterator]: asked }
    const blob = Object.assign(new Blob(['piece']), { stream: asked })
    for (const body of [iterable, blob]) {
      expect((await send(recyclingAgent(), { origin: server.origin, body }, style).done).at(-1)).toEqual(ended)
    }
    expect(asked).not.toHaveBeenCalled()
  })

  it('may be paused, and then goes on', async () => {
    const server = await rawServer(refusing(REFUSAL))
    const { stream, seen } = watchedStream()
    const sent = send(recyclingAgent(), { origin: server.origin, body: stream }, style, {
      head(flow) {
        flow.pause()
        setImmediate(() => flow.resume())
      },
    })
    expect((await sent.done).slice(-2)).toEqual([['data', 'no'], ended])
    expect(seen).toEqual(['destroyed'])
  })

  it('that stalls runs into the bodyTimeout', async () => {
    const server = await rawServer(refusing(REFUSAL.slice(0, -1)))
    const agent = recyclingAgent({ bodyTimeout: 30, expectContinueTimeout: 10 })
    const sent = send(agent, { origin: server.origin, body: 'piece' }, style)
    expect((await sent.done).at(-1)).toMatchObject([
      'error',
      'BodyTimeoutError',
      'UND_ERR_BODY_TIMEOUT',
      expect.anything(),
    ])
    expect(sent.told).not.toContain('bodySent')
  })

  it('is the end also for a body that destroys the agent as it is destroyed', async () => {
    const server = await rawServer(refusing(REFUSAL))
    const agent = recyclingAgent()
    const body = new Readable({
      read() {},
      destroy(_error, done) {
        void agent.destroy()
        done(null)
      },
    })
    const sent = send(agent, { origin: server.origin, body }, style)
    expect((await sent.done).at(-1)).toMatchObject([
      'error',
      'ClientDestroyedError',
      'UND_ERR_DESTROYED',
      expect.anything(),
    ])
  })
})

describe.each(styles)('417 (Expectation Failed) (%s handlers)', (style) => {
  const unknowing = async (peer: RawPeer): Promise<void> => {
    await untilHead(peer)
    if (/^expect:/m.test(peer.pending)) peer.write(UNKNOWN)
    else await answering(ok('answer'))(peer)
  }

  it.each(bodies)('has the request sent once more without Expect: %s', async (_name, body, received, headers = {}) => {
    const server = await rawServer(unknowing)
    const agent = recyclingAgent({ connections: 1 })
    const sent = send(agent, { origin: server.origin, body: body(), headers }, style)
    expect((await sent.done).slice(-2)).toEqual([['data', 'answer'], ended])
    expect(sent.told.filter((name) => name === 'start')).toHaveLength(2)
    expect(sent.told.filter((name) => typeof name === 'number')).toEqual([200])
    expect(server.requests).toHaveLength(1)
    const { fields, body: got } = server.requests[0]!
    expect(received.test(got)).toBe(true)
    expect(fields).not.toHaveProperty('expect')
    const boundary = /boundary=(.+)/.exec(fields['content-type'] ?? '')?.[1]
    if (boundary !== undefined) expect(got).toContain(`--${boundary}--`)
    // What the server has not read of it has no place on the connection.
    await server.peers[0]!.ended()
  })

  it('is told when it comes again', async () => {
    const server = await rawServer(async (peer) => {
      await untilHead(peer)
      peer.write(UNKNOWN)
    })
    const sent = send(recyclingAgent(), { origin: server.origin, body: 'piece' }, style)
    expect((await sent.done).slice(-2)).toEqual([['data', 'what'], ended])
    expect(server.peers).toHaveLength(2)
  })

  it('is told to whoever did not ask', async () => {
    const server = await rawServer(answering(UNKNOWN))
    for (const options of [{ expectContinue: false, body: 'piece' }, { body: null }]) {
      const sent = send(recyclingAgent(), { origin: server.origin, ...options }, style)
      expect((await sent.done).slice(-2)).toEqual([['data', 'what'], ended])
    }
    expect(server.peers).toHaveLength(2)
  })

  it.each([
    ['sent once more: bytes', () => 'piece', 2, 'answer'],
    ['sent once more: a Blob', () => new Blob(['piece']), 2, 'answer'],
    ['told: a stream', () => Readable.from(['piece']), 1, 'what'],
    ['told: a generator', () => pieces('piece'), 1, 'what'],
  ])('behind a body that was not asked for is %s', async (_name, body, times, answer) => {
    const server = await rawServer(async (peer) => {
      const request = await peer.request()
      peer.write(request?.fields.expect === undefined ? ok('answer') : UNKNOWN)
    })
    const agent = recyclingAgent({ expectContinueTimeout: 1 })
    const sent = send(agent, { origin: server.origin, body: body() }, style)
    expect((await sent.done).slice(-2)).toEqual([['data', answer], ended])
    expect(server.requests.map(({ body }) => body)).toEqual(Array(times).fill('piece'))
  })

  it('does not keep an abort from being one', async () => {
    const server = await rawServer(unknowing)
    const agent = recyclingAgent({ connections: 1 })
    let starts = 0
    const { stream, seen } = watchedStream()
    const sent = send(agent, { origin: server.origin, body: stream }, style, {
      start(flow) {
        if (++starts === 2) flow.abort(new Error('no more'))
      },
    })
    expect((await sent.done).at(-1)).toEqual(['error', 'Error', undefined, 'no more'])
    expect(seen.at(-1)).toBe('destroyed')
    expect(await get(agent, server.origin)).toBe('answer')
  })
})
