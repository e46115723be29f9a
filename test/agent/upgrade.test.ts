/** Connections that stop being HTTP: Upgrade and CONNECT, whose sockets become the caller's (RFC 9110 7.8 and 9.3.6). */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createServer, TLSSocket } from 'node:tls'
import { buildConnector, connect, upgrade } from 'undici'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_KEEPIDLE, TCP_NODELAY } from '../../src/sys/constants.js'
import { native } from '../../src/sys/native.js'
import { Program } from '../support/child.js'
import { countDescriptors } from '../support/descriptors.js'
import { dispatchers, expectNoDescriptorLeft, type MakeDispatcher, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording, styles } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { type SelfSigned, selfSigned } from '../support/self-signed.js'
import { itNative } from '../support/transport.js'
import { readText, switching, upgradeRecording } from '../support/upgrades.js'

let certificate: SelfSigned
let program: Program

beforeAll(async () => {
  certificate = await selfSigned()
  program = await Program.from(new URL('./programs/upgraded.ts', import.meta.url))
  // For the first child process Node opens descriptors of its own.
  await program.run()
})

afterAll(() => program.delete())

expectNoDescriptorLeft()

const FIELDS = ['Connection', 'upgrade', 'Upgrade', 'chat']

const UPGRADE = { path: '/', method: 'GET', upgrade: 'chat' } as const

/** Agrees to the upgrade; what the client says then is left in `pending`. */
const agreeing =
  (rest = '') =>
  async (peer: RawPeer): Promise<void> => {
    if ((await peer.request()) !== null) peer.write(switching(rest))
  }

/** Answers the first bytes of each connection with `answer`. */
async function tlsServer(answer: (socket: Socket) => void): Promise<{ origin: string; sockets: Socket[] }> {
  const sockets: Socket[] = []
  const server = createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

function optionOf(fd: number, level: number, name: number): number {
  const value = new Int32Array(1)
  const length = Buffer.from(new Uint32Array([4]).buffer)
  expect(native().getsockopt(fd, level, name, Buffer.from(value.buffer), length)).toBe(0)
  return value[0]!
}

/** The same kinds of connection that a RecyclingAgent can live on, and undici's. */
const variants: [name: string, make: MakeDispatcher][] = [
  ...dispatchers,
  ['RecyclingAgent over node:net', (options) => recyclingAgent({ ...options, transport: 'net' })],
  ['RecyclingAgent with a connect function', (options) => recyclingAgent({ ...options, connect: buildConnector({}) })],
]

const cases = variants.flatMap(([name, make]) => styles.map((style) => [name, style, make] as const))

describe.each(cases)('%s with a handler of the %s kind', (name, style, make) => {
  const withoutSent = (events: unknown[][]): unknown[][] =>
    events.filter(([event]) => event !== 'requestSent' && event !== 'bodySent')

  it('hands over a socket, and first what came with the response', async () => {
    const { origin, peer } = await rawServer(agreeing('first '))
    const { handler, events, socket } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect(withoutSent(events)).toEqual([['start'], ['started'], ['upgrade', 101, FIELDS]])
    expect(taken).toBeInstanceOf(Socket)
    const other = await peer(0)
    expect(other.requests[0]!.fields).toMatchObject({ connection: 'upgrade', upgrade: 'chat' })
    other.write('second')
    expect(await readText(taken, 12)).toBe('first second')
    taken.write('answer')
    await other.received(/^answer$/)
    expect(events.at(-1)?.[0]).toBe('upgrade')
    taken.destroy()
  })

  it('leaves the socket paused for the callback, and as undici makes its sockets', async () => {
    const { origin, port } = await rawServer(agreeing('rest'))
    let seen: unknown
    const { handler, socket } = upgradeRecording(style, (taken) => {
      const { readableFlowing, readableLength, destroyed, connecting, pending, readyState, allowHalfOpen } = taken
      const { readableHighWaterMark, writableHighWaterMark, writableLength, writableNeedDrain } = taken
      const { remoteAddress, remoteFamily, remotePort, localAddress } = taken
      seen = {
        ...{ isPaused: taken.isPaused(), readableFlowing, readableLength, destroyed, connecting, pending, readyState },
        ...{ allowHalfOpen, readableHighWaterMark, writableHighWaterMark, writableLength, writableNeedDrain },
        ...{ remoteAddress, remoteFamily, remotePort, localAddress },
        listensForErrors: taken.listenerCount('error') > 0,
      }
    })
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect(seen).toEqual({
      isPaused: true,
      readableFlowing: false,
      readableLength: 4,
      destroyed: false,
      connecting: false,
      pending: false,
      readyState: 'open',
      allowHalfOpen: false,
      readableHighWaterMark: 65_536,
      writableHighWaterMark: 65_536,
      writableLength: 0,
      writableNeedDrain: false,
      remoteAddress: '127.0.0.1',
      remoteFamily: 'IPv4',
      remotePort: port,
      localAddress: '127.0.0.1',
      listensForErrors: true,
    })
    expect(taken.localPort).toBeGreaterThan(0)
    taken.destroy()
  })

  it('keeps the order of bytes however they arrive', async () => {
    const whole = switching('abcdefgh')
    const cuts = [0, 1, 20, whole.length - 9, whole.length - 7, whole.length]
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.setNoDelay(true)
      for (let i = 1; i < cuts.length; i++) {
        peer.write(whole.slice(cuts[i - 1], cuts[i]))
        // The other side has its turn.
        await setImmediate()
        await setImmediate()
      }
    })
    const { handler, socket } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect(await readText(taken, 8)).toBe('abcdefgh')
    taken.destroy()
  })

  it('carries much, in both directions, behind a response with much behind it', async () => {
    const much = Buffer.alloc(1 << 20, 'much and more ').toString('latin1')
    const { origin, peer } = await rawServer(agreeing(much.slice(0, 300_000)))
    const { handler, socket } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    const other = await peer(0)
    other.write(much.slice(300_000))
    taken.write(much)
    expect(await readText(taken, much.length)).toBe(much)
    while (other.pending.length < much.length) await once(other.socket, 'data')
    expect(other.pending).toBe(much)
    taken.destroy()
  })

  it('emits disconnect before the callback, when the connection no longer counts', async () => {
    const { origin } = await rawServer(agreeing())
    const agent = make() as ReturnType<typeof recyclingAgent>
    const seen: unknown[][] = []
    agent.on('disconnect', (url, targets, error) => {
      seen.push([url.origin, targets[0] === agent, error.constructor.name, error.message, error.code])
    })
    const { handler, socket } = upgradeRecording(style, () => {
      const { connected = 0, size = 0 } = agent.stats[origin as `http:${string}`] ?? {}
      // undici takes a request off its books when its callback returns.
      seen.push([connected, name.startsWith('undici') ? 0 : size])
    })
    agent.dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect(seen).toEqual([
      [origin, true, 'InformationalError', 'upgrade', 'UND_ERR_INFO'],
      [0, 0],
    ])
    taken.destroy()
  })

  it('leaves the socket alone when it is closed and destroyed', async () => {
    const { origin, peer } = await rawServer(agreeing())
    const agent = make()
    const { handler, socket } = upgradeRecording(style)
    agent.dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    await agent.close()
    await agent.destroy()
    const other = await peer(0)
    other.write('still there')
    expect(await readText(taken, 11)).toBe('still there')
    taken.write('yes')
    await other.received(/^yes$/)
    taken.destroy()
  })

  it.each([
    ['200 Connection Established', ''],
    ['204 No Content', ''],
    ['299 Whatever', 'content-length: 4\r\n'],
    ['302 Found', 'transfer-encoding: chunked\r\n'],
    ['407 Proxy Authentication Required', 'content-length: 4\r\n'],
    ['500 Internal Server Error', 'connection: close\r\n'],
  ])('hands over the socket of a CONNECT that is answered %s', async (status, fields) => {
    const { origin, peer } = await rawServer(async (peer) => {
      await peer.request()
      peer.write(`HTTP/1.1 ${status}\r\n${fields}\r\nbody`)
    })
    const { handler, events, socket } = upgradeRecording(style)
    make().dispatch({ origin, path: 'origin.test:443', method: 'CONNECT' }, handler)
    const taken = await socket
    expect(events.at(-1)).toEqual(['upgrade', Number(status.slice(0, 3)), fields.split(/: |\r\n/).filter(Boolean)])
    expect((await peer(0)).requests[0]!.head).toMatch(
      /^CONNECT origin\.test:443 HTTP\/1\.1\r\nhost: .*\r\nconnection: close$/s,
    )
    expect(await readText(taken, 4)).toBe('body')
    taken.destroy()
  })

  it("calls an upgrade that nobody asked for 'bad upgrade'", async () => {
    const { origin, peer } = await rawServer(agreeing())
    const { handler, done } = recording(style)
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['error', 'SocketError', 'UND_ERR_SOCKET', 'bad upgrade'])
    await (await peer(0)).ended()
  })

  it('delivers an ordinary response where an upgrade was refused', async () => {
    const { origin } = await rawServer(answering(ok('no')))
    const { handler, done, events } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    await done
    expect(withoutSent(events)).toEqual([
      ['start'],
      ['started'],
      ['head', 200, ['content-length', '2'], 'OK'],
      ['data', 'no'],
      ['end', []],
    ])
  })

  // undici fails an assertion of its own.
  if (!name.startsWith('undici')) {
    it('refuses a 101 that names no protocol (RFC 9110 15.2.2)', async () => {
      const { origin } = await rawServer(answering(`HTTP/1.1 101 Switching Protocols\r\n\r\n${ok('no')}`))
      const { handler, done, events } = upgradeRecording(style)
      make().dispatch({ origin, ...UPGRADE }, handler)
      await done
      expect(withoutSent(events)).toEqual([
        ['start'],
        ['started'],
        ['error', 'SocketError', 'UND_ERR_SOCKET', 'bad upgrade'],
      ])
    })
  }

  it('hands over after informational responses', async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.write(`HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${switching('rest')}`)
    })
    const { handler, events, socket } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect(withoutSent(events).filter(([event]) => event !== 'started')).toEqual([
      ['start'],
      ['head', 103, ['link', 'x'], 'Early Hints'],
      ['upgrade', 101, FIELDS],
    ])
    expect(await readText(taken, 4)).toBe('rest')
    taken.destroy()
  })

  it('destroys the socket with what its callback throws, and tells the error callback', async () => {
    const { origin, peer } = await rawServer(agreeing())
    const thrown = new Error('not now')
    const order: unknown[] = []
    const recorded = upgradeRecording(
      style,
      (socket) => {
        socket.on('error', (error) => order.push(error)).on('close', () => order.push('closed'))
        throw thrown
      },
      { error: () => order.push('error callback') },
    )
    const agent = make()
    agent.dispatch({ origin, ...UPGRADE }, recorded.handler)
    const taken = await recorded.socket
    await recorded.done
    expect(recorded.error).toBe(thrown)
    expect(taken.destroyed).toBe(true)
    await (await peer(0)).ended()
    await vi.waitUntil(() => order.includes('closed'))
    expect(order).toEqual(['error callback', thrown, 'closed'])
    await agent.close()
  })

  it('survives a callback that throws and has left the socket to itself', async () => {
    const { origin, peer } = await rawServer(agreeing())
    const recorded = upgradeRecording(style, () => {
      throw new Error('not now')
    })
    const agent = make()
    agent.dispatch({ origin, ...UPGRADE }, recorded.handler)
    const taken = await recorded.socket
    if (!taken.closed) await once(taken, 'close').catch(() => {})
    expect(taken.closed).toBe(true)
    await (await peer(0)).ended()
    await agent.close()
  })

  it('is aborted within its callback, and not after it', async () => {
    const { origin, peer } = await rawServer(agreeing())
    const reason = new Error('aborted')
    const agent = make()
    const within = upgradeRecording(style, (_socket, flow) => {
      flow.abort(reason)
      flow.abort(new Error('again'))
    })
    agent.dispatch({ origin, ...UPGRADE }, within.handler)
    await within.done
    expect(within.error).toBe(reason)
    await (await peer(0)).ended()
    let abort = (): void => {}
    const after = upgradeRecording(style, (_socket, flow) => {
      abort = () => flow.abort(reason)
    })
    agent.dispatch({ origin, ...UPGRADE }, after.handler)
    const taken = await after.socket
    abort()
    expect(after.error).toBe(undefined)
    ;(await peer(1)).write('alive')
    expect(await readText(taken, 5)).toBe('alive')
    taken.destroy()
    await agent.close()
  })

  it('takes over a connection that has served other requests', async () => {
    const { origin, peers } = await rawServer(async (peer) => {
      for (;;) {
        const received = await peer.request()
        if (received === null) return
        peer.write(received.fields.upgrade === undefined ? ok() : switching('rest'))
      }
    })
    const agent = make()
    for (let i = 0; i < 2; i++) {
      const { handler, done } = recording(style)
      agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
      await done
      await setImmediate()
    }
    const { handler, socket } = upgradeRecording(style)
    agent.dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect(await readText(taken, 4)).toBe('rest')
    expect(peers).toHaveLength(1)
    taken.destroy()
  })

  it('serves requests that waited behind an upgrade on another connection', async () => {
    const { origin, peers } = await rawServer(async (peer) => {
      for (;;) {
        const received = await peer.request()
        if (received === null) return
        peer.write(received.fields.upgrade === undefined ? ok() : switching())
        if (received.fields.upgrade !== undefined) return
      }
    })
    const agent = make({ connections: 1, pipelining: 3 })
    const { handler, socket } = upgradeRecording(style)
    agent.dispatch({ origin, ...UPGRADE }, handler)
    const behind = [recording(style), recording(style)]
    for (const { handler } of behind) agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    const taken = await socket
    for (const { done } of behind) expect((await done).at(-1)).toEqual(['end', []])
    expect(peers.map(({ requests }) => requests.length)).toEqual([1, 2])
    expect(peers[0]!.pending).toBe('')
    taken.destroy()
  })

  it('waits with an upgrade for the responses before it', async () => {
    const { origin, peers } = await rawServer(async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no')
      await setImmediate()
      expect(peer.pending).toBe('')
      peer.write('k')
      await peer.request()
      peer.write(switching())
    })
    const agent = make({ connections: 1, pipelining: 3 })
    const first = recording(style)
    agent.dispatch({ origin, path: '/', method: 'GET' }, first.handler)
    const { handler, socket } = upgradeRecording(style)
    agent.dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect((await first.done).at(-1)).toEqual(['end', []])
    expect(peers).toHaveLength(1)
    taken.destroy()
  })

  it.each([
    ['text', 'body', 'content-length'],
    ['a stream', () => Readable.from(['bo', 'dy']), 'transfer-encoding'],
  ])('sends %s as its body', async (_what, body, field) => {
    const { origin, peers } = await rawServer(agreeing())
    const { handler, socket } = upgradeRecording(style)
    const given = typeof body === 'function' ? body() : body
    make().dispatch({ origin, path: '/', method: 'POST', upgrade: 'chat', body: given }, handler)
    const taken = await socket
    expect(peers[0]!.requests[0]).toMatchObject({ body: 'body', fields: { [field]: expect.anything() } })
    taken.destroy()
  })

  it('ends when the peer ends, with what it said before', async () => {
    const { origin, peer } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.end(switching('last words'), 'latin1')
    })
    const { handler, socket } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    const closed = once(taken, 'close')
    let text = ''
    for await (const chunk of taken) text += chunk
    expect(text).toBe('last words')
    await closed
    await (await peer(0)).ended()
  })

  it('writes to a peer that has ended its half', async () => {
    const { origin, peer } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.end(switching(), 'latin1')
    })
    const { handler, socket } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    // Nobody reads: the end goes unnoticed.
    taken.end('still talking')
    const other = await peer(0)
    await other.ended()
    expect(other.pending).toBe('still talking')
    taken.destroy()
  })

  it('survives a reset that nobody listens for', async () => {
    const { origin, peer } = await rawServer(agreeing())
    const { handler, socket } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    const closed = new Promise<boolean>((resolve) => taken.once('close', resolve))
    taken.resume()
    ;(await peer(0)).socket.resetAndDestroy()
    expect(await closed).toBe(true)
  })

  it("fails with 'other side closed' when the peer ends before it answers", async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.end()
    })
    const { handler, done } = upgradeRecording(style)
    make().dispatch({ origin, ...UPGRADE }, handler)
    expect((await done).at(-1)).toEqual(['error', 'SocketError', 'UND_ERR_SOCKET', 'other side closed'])
  })
})

describe.each(dispatchers)('%s over TLS', (_name, make) => {
  it.each(styles)(
    'hands over the TLS socket to a handler of the %s kind, and keeps the order of bytes',
    async (style) => {
      const much = Buffer.alloc(200_000, 'much and more ').toString('latin1')
      const { origin, sockets } = await tlsServer((socket) => socket.write(switching(much)))
      const agent = make({ connect: { ca: certificate.cert } })
      const { handler, events, socket } = upgradeRecording(style)
      agent.dispatch({ origin, ...UPGRADE }, handler)
      const taken = await socket
      expect(events.at(-1)).toEqual(['upgrade', 101, FIELDS])
      expect(taken).toBeInstanceOf(TLSSocket)
      const { authorized, alpnProtocol, remoteAddress } = taken as TLSSocket
      expect([authorized, alpnProtocol, remoteAddress]).toEqual([true, 'http/1.1', '127.0.0.1'])
      expect(await readText(taken, much.length)).toBe(much)
      await agent.close()
      await agent.destroy()
      taken.write('answer')
      expect(await readText(sockets[0]!, 6)).toBe('answer')
      const closed = once(taken, 'close')
      sockets[0]!.end()
      await closed
    },
  )

  it('hands over the TLS socket of a CONNECT', async () => {
    const { origin } = await tlsServer((socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nrest'))
    const dispatcher = make({ connect: { ca: certificate.cert } })
    const { socket, statusCode } = await dispatcher.connect({ origin, path: 'origin.test:443' })
    expect(statusCode).toBe(200)
    expect(await readText(socket as Socket, 4)).toBe('rest')
    socket.destroy()
  })
})

describe.each(variants)("undici's functions through %s", (_name, make) => {
  it('upgrade', async () => {
    const { origin } = await rawServer(agreeing('rest'))
    const { socket, headers } = await upgrade(origin, { dispatcher: make(), protocol: 'chat' })
    expect(headers).toEqual({ connection: 'upgrade', upgrade: 'chat' })
    expect(await readText(socket as Socket, 4)).toBe('rest')
    socket.destroy()
  })

  it('upgrade, refused', async () => {
    const { origin } = await rawServer(answering(ok()))
    const dispatcher = make()
    await expect(upgrade(origin, { dispatcher })).rejects.toMatchObject({
      code: 'UND_ERR_SOCKET',
      message: 'bad upgrade',
    })
  })

  it('upgrade, aborted by a signal before the answer', async () => {
    const { origin, peer } = await rawServer(() => {})
    const controller = new AbortController()
    const upgraded = upgrade(origin, { dispatcher: make(), signal: controller.signal })
    await (await peer(0)).request()
    controller.abort()
    await expect(upgraded).rejects.toMatchObject({ name: 'AbortError' })
    await (await peer(0)).ended()
  })

  it('connect', async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\n\r\nrest')
    })
    const { socket, statusCode, headers } = await connect(origin, { dispatcher: make() })
    expect([statusCode, headers]).toEqual([407, { 'proxy-authenticate': 'Basic' }])
    expect(await readText(socket as Socket, 4)).toBe('rest')
    socket.destroy()
  })
})

describe('RecyclingAgent', () => {
  it('gives the descriptor away for good', async () => {
    const { origin } = await rawServer(agreeing())
    const agent = recyclingAgent()
    const before = countDescriptors()
    const { socket } = await upgrade(origin, { dispatcher: agent, protocol: 'chat' })
    // This end and the server's.
    expect(countDescriptors()).toBe(before + 2)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 1, leased: 0, idle: 0, dissolved: 0, aborted: 0 })
    expect(agent.stats).toEqual({})
    const closed = once(socket, 'close')
    socket.destroy()
    await closed
    await agent.request({ origin, path: '/', method: 'GET' }).catch(() => {})
    expect(agent.stats.sockets).toMatchObject({ fresh: 2, recycled: 0 })
  })

  itNative('gives away a descriptor that was recycled before', async () => {
    const { origin } = await rawServer(async (peer) => {
      const received = await peer.request()
      if (received?.fields.upgrade !== undefined) return peer.write(switching('rest'))
      peer.write(ok('', 'connection: close\r\n'))
      peer.socket.end()
    })
    const agent = recyclingAgent()
    expect(await get(agent, origin)).toBe('')
    await quiet(agent)
    const { socket } = await upgrade(origin, { dispatcher: agent, protocol: 'chat' })
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 1, closed: 1, leased: 0 })
    expect(await readText(socket as Socket, 4)).toBe('rest')
    socket.destroy()
  })

  it('counts the same over TLS, and closes both descriptors', async () => {
    const { origin } = await tlsServer((socket) => socket.write(switching()))
    const agent = recyclingAgent({ connect: { ca: certificate.cert } })
    const before = countDescriptors()
    const { socket } = await upgrade(origin, { dispatcher: agent, protocol: 'chat' })
    expect(countDescriptors()).toBe(before + 2)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 1, leased: 0, idle: 0, dissolved: 0, aborted: 0 })
    socket.destroy()
  })

  it('knows what its sockets have been told, so that it can be taken back', async () => {
    const { origin } = await rawServer(agreeing())
    const agent = recyclingAgent()
    const { socket } = await upgrade(origin, { dispatcher: agent, protocol: 'chat' })
    const taken = socket as Socket
    const { fd } = (taken as unknown as { _handle: { fd: number } })._handle
    const options = (): number[] => [
      optionOf(fd, IPPROTO_TCP, TCP_NODELAY),
      optionOf(fd, SOL_SOCKET, SO_KEEPALIVE),
      optionOf(fd, IPPROTO_TCP, TCP_KEEPIDLE),
    ]
    expect(options()).toEqual([1, 1, 60])
    taken.setNoDelay(false).setKeepAlive(false)
    expect(options().slice(0, 2)).toEqual([0, 0])
    taken.setNoDelay().setKeepAlive(true, 5000)
    expect(options()).toEqual([1, 1, 5])
    taken.destroy()
    const without = recyclingAgent({ connect: { keepAlive: false } })
    const second = await upgrade(origin, { dispatcher: without, protocol: 'chat' })
    const handle = (second.socket as unknown as { _handle: { fd: number } })._handle
    expect(optionOf(handle.fd, SOL_SOCKET, SO_KEEPALIVE)).toBe(0)
    second.socket.destroy()
  })

  it('hands over a Unix socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const path = join(directory, 'socket')
    const { peer } = await rawServer(agreeing('rest'), { path })
    const agent = recyclingAgent({ socketPath: path })
    const { socket } = await upgrade('http://a.test', { dispatcher: agent, protocol: 'chat' })
    const taken = socket as Socket
    expect(taken.setNoDelay().setKeepAlive(true)).toBe(taken)
    expect(await readText(taken, 4)).toBe('rest')
    taken.write('answer')
    await (await peer(0)).received(/^answer$/)
    taken.destroy()
  })

  it('sends again what was pipelined behind an upgrade, for the new protocol cannot answer it', async () => {
    const { origin, peers } = await rawServer(async (peer) => {
      const received = await peer.request()
      if (received?.fields.upgrade === undefined) return peer.write(ok())
      await peer.received(/GET \/behind /)
      peer.write(switching())
    })
    const agent = recyclingAgent({ connections: 1, pipelining: 3 })
    const { handler, socket } = upgradeRecording('new')
    agent.dispatch({ origin, ...UPGRADE, blocking: false, reset: false }, handler)
    const behind = recording('new')
    agent.dispatch({ origin, path: '/behind', method: 'GET' }, behind.handler)
    const taken = await socket
    const events = (await behind.done).map(([event]) => event)
    expect(events).toEqual(['start', 'requestSent', 'start', 'requestSent', 'started', 'head', 'data', 'end'])
    expect(peers[1]!.requests).toHaveLength(1)
    taken.destroy()
  })

  it('destroys the socket of an upgrade that is aborted while its end is told', async () => {
    const { origin, peer } = await rawServer(agreeing())
    const agent = recyclingAgent()
    let abort = (): void => {}
    const recorded = upgradeRecording('new', () => {}, {
      start: (flow) => {
        abort = () => flow.abort()
      },
    })
    agent.once('disconnect', () => abort())
    agent.dispatch({ origin, ...UPGRADE }, recorded.handler)
    expect((await recorded.done).map(([event]) => event)).toEqual(['start', 'requestSent', 'started', 'error'])
    await (await peer(0)).ended()
    await agent.close()
  })

  it('hands over the socket though the agent is destroyed while the end is told', async () => {
    const { origin } = await rawServer(agreeing('rest'))
    const agent = recyclingAgent()
    const destroyed = new Promise((resolve) => agent.once('disconnect', () => resolve(agent.destroy())))
    const { handler, socket } = upgradeRecording('new')
    agent.dispatch({ origin, ...UPGRADE }, handler)
    const taken = await socket
    expect(await readText(taken, 4)).toBe('rest')
    expect(await destroyed).toBe(null)
    taken.destroy()
  })
})

describe.each([
  ['TCP', false],
  ['TLS', true],
])('a process with an upgraded socket over %s', (_name, isSecure) => {
  it.each(['peer', 'own'])('lives as long as the socket is open, here until its %s end', async (ending) => {
    const agree = async (socket: Socket): Promise<void> => {
      socket.write(switching())
      // For so long nothing but the socket keeps the process alive.
      await new Promise((resolve) => setTimeout(resolve, 300))
      if (ending === 'peer') socket.end()
    }
    const { origin } = isSecure
      ? await tlsServer(agree)
      : await rawServer(async (peer) => {
          await peer.request()
          await agree(peer.socket)
        })
    const result = await program.run({ args: [origin, certificate.cert, ending] })
    expect(result).toEqual({ code: 0, signal: null, stdout: 'upgraded\nclosed\nexit\n', stderr: '' })
  })
})
