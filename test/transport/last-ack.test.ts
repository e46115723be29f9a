/** Whether the ACK that ends a handshake is sent at once, or goes along with a request. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SocketPool } from '../../src/socket-pool/socket-pool.js'
import { IPPROTO_TCP, TCP_DEFER_ACCEPT } from '../../src/sys/constants.js'
import { native } from '../../src/sys/native.js'
import { selfSigned } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'
import { clientDescriptor, socketOption } from '../support/socket-options.js'
import { socketsOn } from '../support/socket-table.js'
import { describeNative } from '../support/transport.js'

const SYN_RECV = '03'
const ESTABLISHED = '01'

expectNoDescriptorLeft()

function createPool(): SocketPool {
  const pool = new SocketPool()
  onTestFinished(() => pool.close())
  return pool
}

/** Of the server's end of the one connection that there is. */
const serverState = ({ port }: RawServer): string | undefined =>
  socketsOn(port).find(({ localPort }) => localPort === port)?.state

describe('a descriptor of the pool', () => {
  it('ends its handshake at once', async () => {
    const server = await rawServer(() => {})
    const pool = createPool()
    const descriptor = pool.lease({ address: '127.0.0.1', port: server.port })
    pool.connect(descriptor)
    expect(serverState(server)).toBe(ESTABLISHED)
    pool.abort(descriptor)
  })

  it('that defers the ACK ends it with its first data', async () => {
    const server = await rawServer(() => {})
    const pool = createPool()
    const states: (string | undefined)[][] = []
    // On a busy machine the 200 ms may be over before the table is read.
    for (let i = 0; i < 5 && states.at(-1)?.[0] !== SYN_RECV; i++) {
      const descriptor = pool.lease({ address: '127.0.0.1', port: server.port })
      pool.connect(descriptor, true)
      const before = serverState(server)
      native().send(descriptor.fd, Buffer.from('G'), 1, 0)
      states.push([before, serverState(server)])
      pool.abort(descriptor)
    }
    expect(states.at(-1)).toEqual([SYN_RECV, ESTABLISHED])
  })

  it('that defers the ACK ends it after a while without data', async () => {
    const server = await rawServer(() => {})
    const pool = createPool()
    const descriptor = pool.lease({ address: '127.0.0.1', port: server.port })
    pool.connect(descriptor, true)
    while (server.peers.length === 0) await sleep(10)
    expect(serverState(server)).toBe(ESTABLISHED)
    pool.abort(descriptor)
  })

  it('that is reset before it ends its handshake was no connection for the server', async () => {
    const server = await rawServer(() => {})
    const pool = createPool()
    let wasDeferred = false
    let aborted = 0
    while (!wasDeferred && aborted++ < 5) {
      const descriptor = pool.lease({ address: '127.0.0.1', port: server.port })
      pool.connect(descriptor, true)
      wasDeferred = serverState(server) === SYN_RECV
      pool.abort(descriptor)
    }
    expect(wasDeferred).toBe(true)
    expect(socketsOn(server.port)).toEqual([])
    const descriptor = pool.lease({ address: '127.0.0.1', port: server.port })
    pool.connect(descriptor)
    while (server.peers.length < aborted) await sleep(10)
    expect(server.peers).toHaveLength(aborted)
    pool.abort(descriptor)
  })

  it('defers it for one connection only', async () => {
    const server = await rawServer(() => {})
    const pool = createPool()
    for (const defers of [false, true, true, false]) {
      const descriptor = pool.lease({ address: '127.0.0.1', port: server.port })
      pool.connect(descriptor, defers)
      expect(socketOption(descriptor.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0).toBe(defers)
      pool.abort(descriptor)
    }
    expect(pool.stats.fresh).toBe(1)
  })
})

describeNative('an agent', () => {
  /** @returns a server that answers when it has so many requests, and notes who defers the ACK, by connection */
  async function gathering(
    count: number,
    secure?: Awaited<ReturnType<typeof selfSigned>>,
  ): Promise<{ server: RawServer; defers: boolean[] }> {
    const defers: boolean[] = []
    let waiting: RawPeer[] = []
    const server = await rawServer(async (peer) => {
      defers[peer.index] = socketOption(clientDescriptor(peer), IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0
      while ((await peer.request()) !== null) {
        waiting.push(peer)
        if (waiting.length < count) continue
        for (const one of waiting) one.socket.end(ok('ok', 'connection: close\r\n'))
        waiting = []
      }
    }, secure && { secure })
    return { server, defers }
  }

  const requests = (count: number, agent: ReturnType<typeof recyclingAgent>, { origin }: RawServer) =>
    Promise.all(Array.from({ length: count }, () => get(agent, origin)))

  it.each([1, 2])('that has %i connections ends all handshakes at once', async (count) => {
    const { server, defers } = await gathering(count)
    const agent = recyclingAgent()
    for (let i = 0; i < 3; i++) await requests(count, agent, server)
    expect(defers).toEqual(new Array(3 * count).fill(false))
  })

  it.each(['http', 'https'])('that has three connections of %s or more defers the ACKs', async (scheme) => {
    const certificate = scheme === 'https' ? await selfSigned('127.0.0.1') : undefined
    const { server, defers } = await gathering(5, certificate)
    const agent = recyclingAgent({ connect: { ca: certificate?.cert } })
    await requests(5, agent, server)
    expect(defers.toSorted()).toEqual([false, false, true, true, true])
  })

  it('defers none of connections that no request waits for', async () => {
    const { server, defers } = await gathering(5)
    const agent = recyclingAgent()
    await agent.preconnect(server.origin, { connections: 5 })
    while (defers.length < 5) await sleep(5)
    expect(defers).toEqual(new Array(5).fill(false))
    await agent.destroy()
  })
})
