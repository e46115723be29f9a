/** close() and destroy() as peers see them, and that neither waits for peers: next to undici's Agent, plain and over TLS. */
import type { Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'
import { isNative, itNative } from '../support/transport.js'

let authority: Authority
let certificate: Certificate
let program: Program

beforeAll(async () => {
  program = await Program.from(new URL('./programs/closed.ts', import.meta.url))
  authority = await Authority.create()
  certificate = await authority.issue(['127.0.0.1'])
})

afterAll(() => program.delete())

// After the first child process, for which Node opens descriptors of its own.
expectNoDescriptorLeft()

/** How the other side has ended the TCP connection. */
const endOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    socket.once('end', () => resolve('FIN'))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code!))
  })

/** Resolves when the first piece of a response is there. */
function began(dispatcher: Dispatcher, { origin }: RawServer): Promise<unknown> {
  return new Promise((resolve) => {
    const { handler } = recording('new', { data: resolve })
    dispatcher.dispatch({ origin, path: '/', method: 'GET' }, handler)
  })
}

/** It answers once, and does not close its side. */
const keepingOpen =
  (fields = '') =>
  async (peer: RawPeer): Promise<void> => {
    await peer.request()
    peer.socket.removeAllListeners('end')
    peer.write(ok('ok', fields))
  }

describe.each(['http', 'https'] as const)('over %s,', (protocol) => {
  const serve = (behaviour: (peer: RawPeer) => unknown): Promise<RawServer> =>
    rawServer(behaviour, protocol === 'https' ? { secure: certificate } : {})
  const options = (more = {}) => ({ connect: { ca: authority.ca }, ...more })

  describe.each(dispatchers)('destroy() of %s', (_name, make) => {
    it('ends a connection whose response is being received with a FIN', async () => {
      const server = await serve(async (peer) => {
        await peer.request()
        peer.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n')
      })
      const agent = make(options())
      await began(agent, server)
      const end = endOf((await server.peer(0)).socket)
      await agent.destroy()
      expect(await end).toBe('FIN')
    })

    it('ends a connection whose response was not begun with a FIN', async () => {
      const server = await serve(() => {})
      const agent = make(options())
      agent.dispatch({ origin: server.origin, path: '/', method: 'GET' }, recording('new').handler)
      const peer = await server.peer(0)
      await peer.request()
      const end = endOf(peer.socket)
      await agent.destroy()
      expect(await end).toBe('FIN')
    })
  })

  it.each(['dissolve', 'graceful', 'off'] as const)('destroy() ends it so in mode %s, too', async (recycle) => {
    const server = await serve(async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n')
    })
    const agent = recyclingAgent(options({ recycle }))
    await began(agent, server)
    const end = endOf((await server.peer(0)).socket)
    await agent.destroy()
    expect(await end).toBe('FIN')
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0, closed: 1, aborted: 1 })
  })

  const endings = [
    ['is idle', ''],
    ['was to be closed by the peer', 'connection: close\r\n'],
    ['was closed by ourselves', 'keep-alive: timeout=1\r\n'],
  ] as const

  describe.each(dispatchers)('close() of %s', (name, make) => {
    it.each(endings)('does not wait for a peer that does not close, when its connection %s', async (_which, fields) => {
      let end: Promise<string> | null = null
      const server = await serve(async (peer) => {
        await keepingOpen(fields)(peer)
        end = endOf(peer.socket)
      })
      const agent = make(options())
      const { handler, done } = recording('new')
      agent.dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
      expect((await done).at(-1)?.[0]).toBe('end')
      await agent.close()
      // The peer's FIN is awaited still, behind close().
      if (name === 'RecyclingAgent') expect((agent as RecyclingAgent).stats.sockets.leased).toBe(isNative ? 1 : 0)
      expect(await end).toBe('FIN')
      if (name === 'RecyclingAgent') await quiet(agent as RecyclingAgent)
    })
  })

  it('close() resolves when nothing is left, where the peer closes at once', async () => {
    const server = await serve(async (peer) => {
      while ((await peer.request()) !== null) peer.write(ok())
    })
    const agent = recyclingAgent(options())
    await Promise.all([1, 2, 3].map(() => get(agent, server.origin)))
    await agent.close()
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0, fresh: 3, closed: 3 })
  })

  itNative('close() leaves no descriptor behind of peers that never close', async () => {
    const server = await serve(keepingOpen())
    const agent = recyclingAgent(options())
    await Promise.all([1, 2, 3].map(() => get(agent, server.origin)))
    await agent.close()
    expect(agent.stats.sockets).toMatchObject({ leased: 3, idle: 0 })
    await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0, closed: 3, aborted: 3 })
  })

  itNative('destroy() closes at once what close() has left behind', async () => {
    const server = await serve(keepingOpen())
    const agent = recyclingAgent(options())
    await get(agent, server.origin)
    await agent.close()
    expect(agent.stats.sockets.leased).toBe(1)
    await agent.destroy()
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0, closed: 1 })
  })

  it('close() holds no process whose peers never close', async () => {
    const server = await serve(keepingOpen())
    const result = await program.run({ args: [server.origin, authority.ca] })
    const left = isNative ? '1' : '0'
    expect(result).toMatchObject({ code: 0, signal: null, stdout: `in use at the end: ${left}\n`, stderr: '' })
  })
})
