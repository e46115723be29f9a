/** `expectContinue: true`: the body of a request waits until its server asks for it (RFC 9110 10.1.1). */
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Authority } from '../support/certificates.js'
import { onMessage } from '../support/channels.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import {
  asking,
  bodies,
  CONTINUE,
  ended,
  pieces,
  REFUSAL,
  refusing,
  send,
  untilHead,
  watchedStream,
} from '../support/expecting.js'
import { type Hooks, styles } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { switching } from '../support/upgrades.js'

expectNoDescriptorLeft()

afterEach(() => void vi.useRealTimers())

describe.each(styles)('a body that is asked for (%s handlers)', (style) => {
  it.each(bodies)('is sent then: %s', async (_name, body, received, headers = {}) => {
    const server = await rawServer(asking(ok('answer')))
    const agent = recyclingAgent()
    const connections = countConnections(agent)
    for (let i = 0; i < 2; i++) {
      const sent = send(agent, { origin: server.origin, body: body(), headers }, style)
      expect((await sent.done).at(-1)).toEqual(ended)
      const { body: got, fields } = server.requests[i]!
      // A long text is not to be printed.
      expect(received.test(got)).toBe(true)
      expect(fields.expect).toBe('100-continue')
      expect(new Set(sent.told.slice(0, -5))).toEqual(new Set(['start', 'started', 'bodySent']))
      expect(sent.told.slice(-5)).toEqual(['requestSent', 'started', 200, 'data', 'end'])
    }
    expect(connections()).toBe(1)
  })

  it.each(bodies)(
    'waits until then, behind a head that goes alone: %s',
    async (_name, body, _received, headers = {}) => {
      const server = await rawServer(() => {})
      const agent = recyclingAgent({ expectContinueTimeout: 60_000 })
      let tellHint = (): void => {}
      const hinted = new Promise<void>((resolve) => {
        tellHint = resolve
      })
      const hooks: Hooks = { head: (_flow, [, status]) => status === 103 && tellHint() }
      const sent = send(agent, { origin: server.origin, body: body(), headers }, style, hooks)
      const peer = await server.peer(0)
      await untilHead(peer)
      peer.write('HTTP/1.1 103 Early Hints\r\n\r\n')
      await hinted
      expect(peer.pending).toMatch(
        /^POST [\s\S]*\r\nexpect: 100-continue\r\n(content-length: [1-9]\d*|transfer-encoding: chunked)\r\n\r\n$/,
      )
      expect(sent.told).toEqual(['start', 'started', 103])
      peer.write(CONTINUE)
      await peer.request()
      peer.write(ok())
      expect((await sent.done).at(-1)).toEqual(ended)
      expect(sent.told.filter((name) => typeof name === 'number')).toEqual([103, 200])
    },
  )

  it('is sent once, however often it is asked for', async () => {
    const server = await rawServer(async (peer) => {
      await untilHead(peer)
      peer.write(CONTINUE + CONTINUE)
      await peer.request()
      peer.write(CONTINUE + ok())
      await answering(ok())(peer)
    })
    const agent = recyclingAgent()
    expect((await send(agent, { origin: server.origin, body: 'piece' }, style).done).at(-1)).toEqual(ended)
    expect(await get(agent, server.origin)).toBe('ok')
    expect(server.requests.map(({ body }) => body)).toEqual(['piece', ''])
  })

  it('may turn out to be empty', async () => {
    const server = await rawServer(asking(ok()))
    const agent = recyclingAgent()
    for (const method of ['POST', 'GET']) {
      const body = Readable.from([])
      expect((await send(agent, { origin: server.origin, method, body }, style).done).at(-1)).toEqual(ended)
    }
    expect(server.requests.map(({ body }) => body)).toEqual(['', ''])
    expect(server.requests[1]!.fields).toMatchObject({ expect: '100-continue', 'transfer-encoding': 'chunked' })
  })

  it('that is not as long as was said fails', async () => {
    const server = await rawServer((peer) => refusing(CONTINUE)(peer))
    const headers = { 'content-length': '5' }
    for (const body of [pieces('pie'), pieces(), pieces('pieces')]) {
      const sent = send(recyclingAgent(), { origin: server.origin, headers, body }, style)
      expect((await sent.done).at(-1)).toMatchObject([
        'error',
        'RequestContentLengthMismatchError',
        expect.anything(),
        expect.anything(),
      ])
    }
  })
})

describe('a body that nobody asks for', () => {
  const whenSent = async (options: object, start = performance.now()): Promise<number> => {
    const server = await rawServer(answering(ok()))
    let sentAt = 0
    const hooks: Hooks = {
      start() {
        start = performance.now()
      },
      bodySent() {
        sentAt = performance.now()
      },
    }
    const { done } = send(recyclingAgent(options), { origin: server.origin, body: 'piece' }, 'new', hooks)
    expect((await done).at(-1)).toEqual(ended)
    expect(server.requests[0]).toMatchObject({ body: 'piece', fields: { expect: '100-continue' } })
    return sentAt - start
  }

  it('follows after a second', async () => {
    expect(await whenSent({})).toBeGreaterThan(990)
  })

  it('follows after expectContinueTimeout', async () => {
    const elapsedMs = await whenSent({ expectContinueTimeout: 60 })
    expect(elapsedMs).toBeGreaterThan(55)
    expect(elapsedMs).toBeLessThan(900)
  })

  it('follows at once with expectContinueTimeout: 0', async () => {
    expect(await whenSent({ expectContinueTimeout: 0 })).toBeLessThan(50)
  })

  it('follows by the real clock, whatever a fake one says', async () => {
    vi.useFakeTimers()
    expect(await whenSent({ expectContinueTimeout: 20 }, 0)).toBeDefined()
  })

  it.each(bodies)('follows as it would have gone: %s', async (_name, body, received, headers = {}) => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent({ expectContinueTimeout: 1 })
    const { done } = send(agent, { origin: server.origin, body: body(), headers })
    expect((await done).at(-1)).toEqual(ended)
    expect(received.test(server.requests[0]!.body)).toBe(true)
    expect(await get(agent, server.origin)).toBe('ok')
    expect(server.peers).toHaveLength(1)
  })
})

describe('expectContinue has no effect', () => {
  it.each([
    ['without a body', { body: null }],
    ['with an empty string', { body: '' }],
    ['with an empty Buffer', { body: Buffer.alloc(0) }],
    ['with an empty Blob', { body: new Blob([]) }],
    ['with a stream whose length is said to be 0', { headers: { 'content-length': '0' }, body: Readable.from([]) }],
    ['when it is false', { expectContinue: false, body: 'piece' }],
    ['when it is null', { expectContinue: null, body: 'piece' }],
  ])('%s', async (_name, options) => {
    const server = await rawServer(answering(ok()))
    expect((await send(recyclingAgent(), { origin: server.origin, ...options }).done).at(-1)).toEqual(ended)
    expect(server.requests[0]!.fields).not.toHaveProperty('expect')
  })

  it.each([
    ['an upgrade', 'upgrade', switching()],
    ['CONNECT', 'connect', 'HTTP/1.1 200 OK\r\n\r\n'],
  ] as const)('on %s', async (_name, method, agreed) => {
    const server = await rawServer(answering(agreed))
    const options = { origin: server.origin, path: '/', protocol: 'chat', body: 'piece', expectContinue: true }
    const agent = recyclingAgent()
    const { socket } = await (method === 'upgrade' ? agent.upgrade(options) : agent.connect(options))
    socket.destroy()
    expect(server.requests[0]).toMatchObject({ body: 'piece' })
    expect(server.requests[0]!.fields).not.toHaveProperty('expect')
  })

  it('on what is refused: a field Expect of the caller', async () => {
    const sent = send(recyclingAgent(), {
      origin: 'http://127.0.0.1:1',
      body: 'x',
      headers: { expect: '100-continue' },
    })
    expect(await sent.done).toEqual([
      ['error', 'NotSupportedError', 'UND_ERR_NOT_SUPPORTED', 'expect header not supported'],
    ])
  })
})

describe('in a pipeline', () => {
  it('it waits for the others, and others for it', async () => {
    const server = await rawServer(() => {})
    const agent = recyclingAgent({ connections: 1, pipelining: 3, expectContinueTimeout: 60_000 })
    const hints: string[] = []
    let wake = (): void => {}
    const hooks = (name: string): Hooks => ({
      head(_flow, [, status]) {
        if (status === 103) hints.push(name)
        wake()
      },
    })
    const hinted = async (...names: string[]): Promise<void> => {
      while (hints.length < names.length) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      expect(hints).toEqual(names)
    }
    const { origin } = server
    const get1 = { origin, path: '/1', method: 'GET', blocking: false }
    const put = { origin, path: '/2', method: 'PUT', idempotent: true, blocking: false, body: 'piece' }
    const first = send(agent, get1, 'new', hooks('first'))
    const peer = await server.peer(0)
    await untilHead(peer)
    const second = send(agent, put, 'new', hooks('second'))
    const third = send(agent, { ...get1, path: '/3' })
    peer.write('HTTP/1.1 103 X\r\n\r\n')
    await hinted('first')
    expect(peer.pending).not.toContain('/2')
    await peer.request()
    peer.write(ok('1'))
    await first.done
    await untilHead(peer)
    peer.write('HTTP/1.1 103 X\r\n\r\n')
    await hinted('first', 'second')
    expect(peer.pending).toMatch(/^PUT \/2 [\s\S]*\r\n\r\n$/)
    expect(peer.pending).not.toContain('/3')
    peer.write(CONTINUE)
    expect(await peer.request()).toMatchObject({ body: 'piece' })
    // It does not want others to wait for its answer.
    expect((await peer.request())!.head).toMatch(/^GET \/3 /)
    peer.write(ok('2') + ok('3'))
    for (const { done } of [second, third]) expect((await done).at(-1)).toEqual(ended)
    expect(server.peers).toHaveLength(1)
  })
})

it('the diagnostics channel shows the head with Expect', async () => {
  const server = await rawServer(asking(ok()))
  const heads: string[] = []
  onMessage('undici:client:sendHeaders', ({ headers }) => heads.push(headers))
  await send(recyclingAgent(), { origin: server.origin, body: 'piece', headers: { a: 'b' } }).done
  expect(heads).toEqual([expect.stringMatching(/^POST [\s\S]*\r\na: b\r\nexpect: 100-continue\r\n$/)])
})

describe('by way of', () => {
  it('request, over TLS', async () => {
    const authority = await Authority.create()
    const { cert, key } = await authority.issue(['localhost'])
    const server = await rawServer(asking(ok('answer')), { host: 'localhost', secure: { cert, key } })
    const agent = recyclingAgent({ connect: { ca: authority.ca } })
    const options = {
      origin: server.origin,
      path: '/',
      method: 'PUT',
      body: Readable.from(['piece']),
      expectContinue: true,
    } as const
    expect(await (await agent.request(options)).body.text()).toBe('answer')
    expect(server.requests[0]).toMatchObject({ body: 'piece', fields: { expect: '100-continue' } })
  })

  it('stream, refused', async () => {
    const server = await rawServer(refusing(REFUSAL))
    const sink = new PassThrough()
    const { stream, seen } = watchedStream()
    const options = { origin: server.origin, path: '/', method: 'PUT', body: stream, expectContinue: true } as const
    await recyclingAgent().stream(options, () => sink)
    expect([await text(sink), seen]).toEqual(['no', ['destroyed']])
  })

  it('pipeline', async () => {
    const server = await rawServer(asking(ok('answer')))
    const options = { origin: server.origin, path: '/', method: 'POST', expectContinue: true } as const
    const through = recyclingAgent().pipeline(options, ({ body }) => body)
    expect(await text(Readable.from(['piece']).pipe(through))).toBe('answer')
    expect(server.requests[0]).toMatchObject({ body: 'piece', fields: { expect: '100-continue' } })
  })
})
