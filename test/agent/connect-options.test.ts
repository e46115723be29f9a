/** Options of `connect` that are about sockets: how they connect, and what is set on them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Dispatcher } from 'undici'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import {
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_TCLASS,
  SO_KEEPALIVE,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from '../../src/sys/constants.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { silentListener } from '../support/silent-listener.js'
import { clientDescriptor, socketOption } from '../support/socket-options.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1', 'name.test', '::1'])
  // What a thread keeps is opened, whatever the transport is that is asked for elsewhere.
  await new RecyclingAgent({ transport: 'native' }).close()
})

expectNoDescriptorLeft()

function begin(agent: Dispatcher, origin: string, options: object = {}) {
  const recorded = recording('new')
  agent.dispatch({ origin, path: '/', method: 'GET', ...options }, recorded.handler)
  return recorded
}

const ended = ['end', []]
const secureOf = (protocol: string) => (protocol === 'https' ? { secure: certificate } : {})

/** Answers any name with these addresses, and notes what it was asked for. */
function lookupOf(...addresses: string[]) {
  const asked: Record<string, unknown>[] = []
  const lookup = (_host: string, options: Record<string, unknown>, callback: (...answer: unknown[]) => void): void => {
    asked.push(options)
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all) callback(null, all)
    else callback(null, all[0]!.address, all[0]!.family)
  }
  return { asked, lookup: lookup as never }
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0)
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe.each(dispatchers)('%s', (_name, make) => {
  describe.each(['http', 'https'])('%s', (protocol) => {
    it.each<[string, object, object]>([
      ['60 s without options', {}, { keepAlive: 1, idle: 60 }],
      ['the delay that is given', { keepAliveInitialDelay: 5000 }, { keepAlive: 1, idle: 5 }],
      ['nothing where it is off', { keepAlive: false }, { keepAlive: 0, idle: 7200 }],
    ])('sets TCP_NODELAY, and probes a silent peer after %s', async (_case, connect, expected) => {
      const { origin, peers } = await rawServer(answering(ok()), secureOf(protocol))
      await begin(make({ connect: { ca, ...connect } }), origin).done
      const fd = clientDescriptor(peers[0]!)
      const idle = socketOption(fd, IPPROTO_TCP, TCP_KEEPIDLE)
      expect({ keepAlive: socketOption(fd, SOL_SOCKET, SO_KEEPALIVE), idle }).toEqual(expected)
      expect(socketOption(fd, IPPROTO_TCP, TCP_NODELAY)).toBe(1)
    })

    it('gives a peer up after 10 unanswered probes, a second apart, as libuv does', async () => {
      const { origin, peers } = await rawServer(answering(ok()), secureOf(protocol))
      await begin(make({ connect: { ca } }), origin).done
      const fd = clientDescriptor(peers[0]!)
      const options = [TCP_KEEPINTVL, TCP_KEEPCNT].map((name) => socketOption(fd, IPPROTO_TCP, name))
      expect(options).toEqual([1, 10])
    })

    it('connects from localAddress, of the agent or of connect', async () => {
      const { origin, peers } = await rawServer(answering(ok()), secureOf(protocol))
      await begin(make({ localAddress: '127.0.0.2', connect: { ca } }), origin).done
      await begin(make({ connect: { ca, localAddress: '127.0.0.3' } as object }), origin).done
      expect(peers[0]!.socket.remoteAddress).toBe('127.0.0.2')
    })

    it('connects from localPort, time and again', async () => {
      const localPort = await freePort()
      const ports: unknown[] = []
      const { origin, peers } = await rawServer(async (peer) => {
        ports.push(peer.socket.remotePort)
        await answering(ok())(peer)
      }, secureOf(protocol))
      for (let i = 0; i < 3; i++) {
        const agent = make({ connect: { ca, localPort } as object })
        const over = new Promise((resolve) => agent.once('disconnect', resolve))
        expect((await begin(agent, origin).done).at(-1)).toEqual(ended)
        peers[i]!.socket.end()
        await over
        await agent.close()
      }
      expect(ports).toEqual([localPort, localPort, localPort])
    })

    it('connects from localPort to several origins at a time', async () => {
      const localPort = await freePort()
      const agent = make({ connect: { ca, localPort } as object })
      for (let i = 0; i < 2; i++) {
        const { origin, peers } = await rawServer(answering(ok()), secureOf(protocol))
        expect((await begin(agent, origin).done).at(-1)).toEqual(ended)
        expect(peers[0]!.socket.remotePort).toBe(localPort)
      }
    })

    it.each([
      [4, '127.0.0.1'],
      [6, '::1'],
    ])('asks for addresses of family %i only, with the hints given', async (family, host) => {
      const { port } = await rawServer(answering(ok()), { ...secureOf(protocol), host })
      const { lookup, asked } = lookupOf(host)
      const agent = make({ connect: { ca, family, hints: 0, lookup } as object })
      expect((await begin(agent, `${protocol}://name.test:${port}`).done).at(-1)).toEqual(ended)
      expect(asked).toMatchObject([{ family, hints: 0 }])
    })

    it('asks for one address without autoSelectFamily', async () => {
      const { port } = await rawServer(answering(ok()), secureOf(protocol))
      const { lookup, asked } = lookupOf('127.0.0.1')
      const agent = make({ autoSelectFamily: false, connect: { ca, lookup } })
      expect((await begin(agent, `${protocol}://name.test:${port}`).done).at(-1)).toEqual(ended)
      expect(asked).toHaveLength(1)
      expect(asked[0]!.all).not.toBe(true)
    })

    it('goes to the next address when one is silent for autoSelectFamilyAttemptTimeout', async () => {
      const { port, peers } = await rawServer(answering(ok()), secureOf(protocol))
      await silentListener('127.0.0.2', port)
      const { lookup } = lookupOf('127.0.0.2', '127.0.0.1')
      const agent = make({ autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 20, connect: { ca, lookup } })
      expect((await begin(agent, `${protocol}://name.test:${port}`).done).at(-1)).toEqual(ended)
      expect(peers).toHaveLength(1)
    })

    it('gives up on a silent address after connectTimeout', async () => {
      const port = await freePort()
      await silentListener('127.0.0.2', port)
      const { done } = begin(make({ connectTimeout: 50 }), `${protocol}://127.0.0.2:${port}`)
      expect(await done).toEqual([
        [
          'error',
          'ConnectTimeoutError',
          'UND_ERR_CONNECT_TIMEOUT',
          `Connect Timeout Error (attempted address: 127.0.0.2:${port}, timeout: 50ms)`,
        ],
      ])
    })

    it('connects to connect.socketPath', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
      onTestFinished(() => rmSync(directory, { recursive: true }))
      const path = join(directory, 'socket')
      const { peers } = await rawServer(answering(ok()), { ...secureOf(protocol), path })
      const agent = make({ connect: { ca, socketPath: path } })
      expect((await begin(agent, `${protocol}://name.test`).done).at(-1)).toEqual(ended)
      expect(peers).toHaveLength(1)
    })
  })
})

// undici leaves this to sockets that can do it, which came with Node 25.
describe.each(['http', 'https'])('typeOfService, %s', (protocol) => {
  it.each([
    ['127.0.0.1', IPPROTO_IP, IP_TOS],
    ['::1', IPPROTO_IPV6, IPV6_TCLASS],
  ])('marks the packets to %s, as long as requests ask for it', async (host, level, option) => {
    const { origin, peers } = await rawServer(answering(ok()), { ...secureOf(protocol), host })
    const agent = recyclingAgent({ transport: 'native', connections: 1, connect: { ca } })
    const seen: number[] = []
    for (const typeOfService of [undefined, 0x28, 0x88]) {
      await begin(agent, origin, { typeOfService }).done
      seen.push(socketOption(clientDescriptor(peers[0]!), level, option))
    }
    expect(seen).toEqual([0, 0x28, 0x88])
    expect(peers).toHaveLength(1)
    peers[0]!.socket.end()
    await quiet(agent)
    // The same descriptor, but nobody asks this time.
    await begin(agent, origin).done
    expect(socketOption(clientDescriptor(peers[1]!), level, option)).toBe(0)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 1 })
  })
})
