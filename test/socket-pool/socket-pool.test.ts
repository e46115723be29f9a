import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { unlinkSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { threadReactor } from '../../src/reactor/reactor.js'
import type { Descriptor } from '../../src/socket-pool/descriptor.js'
import { Peer } from '../../src/socket-pool/peer.js'
import { type RecycleMode, SocketPool, type SocketPoolOptions } from '../../src/socket-pool/socket-pool.js'
import {
  AF_UNSPEC,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_NODELAY,
} from '../../src/sys/constants.js'
import { type Native, native } from '../../src/sys/native.js'
import { ownedDescriptors } from '../../src/sys/owned-descriptors.js'
import { EINPROGRESS, type SystemError } from '../../src/sys/system-error.js'
import { Program } from '../support/child.js'
import { countDescriptors, descriptorFlags, socketsBetween } from '../support/descriptors.js'
import { connected, connectedUntilFin, readiness, startServer, type TestServer } from '../support/leases.js'

const { ECONNREFUSED, EADDRNOTAVAIL, EINVAL, EBADF } = constants.errno
// Its epoll descriptor stays open as long as the thread lives.
const reactor = threadReactor()

let before = 0
let pools: SocketPool[] = []
let servers: TestServer[] = []
const loopback = { address: '127.0.0.1', port: 9 }

function createPool(options?: SocketPoolOptions): SocketPool {
  const pool = new SocketPool(options, reactor)
  pools.push(pool)
  return pool
}

async function serve(...args: Parameters<typeof startServer>): Promise<TestServer> {
  const server = await startServer(...args)
  servers.push(server)
  return server
}

/** A server that closes each connection as soon as it is there. */
const serveFin = (): Promise<TestServer> => serve((socket) => socket.end())

/** The error that `fn` throws. */
function thrownBy(fn: () => unknown): SystemError {
  try {
    fn()
  } catch (error) {
    return error as SystemError
  }
  throw new Error('nothing was thrown')
}

/** Makes the kernel refuse to dissolve, as some sandboxes do. */
function refuseToDissolve(): void {
  const table = native() as Native
  const { connect } = table
  vi.spyOn(table, 'connect').mockImplementation((fd, address, length) =>
    address[0] === AF_UNSPEC && address[1] === 0 ? -1 : connect(fd, address, length),
  )
}

function intOption(descriptor: Descriptor, level: number, name: number): number {
  const value = Buffer.alloc(4)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(4)
  expect(native().getsockopt(descriptor.fd, level, name, value, length)).toBe(0)
  return value.readInt32LE()
}

/** Every socket is in one state, and every lease has ended in one way. */
function expectConsistent({ stats }: SocketPool): void {
  expect(stats.fresh).toBe(stats.closed + stats.idle + stats.leased)
  expect(stats.dissolved).toBeGreaterThanOrEqual(stats.recycled + stats.idle)
  expect(stats.graceful).toBeLessThanOrEqual(stats.dissolved)
}

beforeEach(() => {
  before = countDescriptors()
})

afterEach(async () => {
  vi.restoreAllMocks()
  const [endedPools, endedServers] = [pools, servers]
  pools = []
  servers = []
  await Promise.all(endedServers.map((server) => server.close()))
  for (const pool of endedPools) {
    expectConsistent(pool)
    pool.close()
    expect(pool.stats).toMatchObject({ idle: 0, leased: 0, closed: pool.stats.fresh })
  }
  expect(countDescriptors()).toBe(before)
})

describe('a socket of the pool', () => {
  it.each([
    ['tcp', '127.0.0.1'],
    ['tcp', '::1'],
    ['udp', '127.0.0.1'],
    ['udp', '::1'],
  ] as const)('for %s to %s is non-blocking and close-on-exec from birth', (type, address) => {
    const pool = createPool({ type })
    const descriptor = pool.lease({ address, port: 9 })
    const flags = SOCK_NONBLOCK | SOCK_CLOEXEC
    expect(descriptorFlags(descriptor.fd) & flags).toBe(flags)
    pool.release(descriptor)
    expect(descriptorFlags(descriptor.fd) & flags).toBe(flags)
  })

  it.each([
    ['by default', {}, { keepAlive: 1, idleSeconds: 60 }],
    ['without keep-alive', { keepAlive: false }, { keepAlive: 0, idleSeconds: 7200 }],
    ['with a delay', { keepAliveInitialDelay: 5999 }, { keepAlive: 1, idleSeconds: 5 }],
    ['with a delay below a second', { keepAliveInitialDelay: 999 }, { keepAlive: 1, idleSeconds: 7200 }],
  ])('has its options once and for all: %s', (_what, options, expected) => {
    const pool = createPool(options)
    const descriptor = pool.lease(loopback)
    for (const use of ['first', 'second']) {
      expect(use && intOption(descriptor, IPPROTO_TCP, TCP_NODELAY)).not.toBe(0)
      expect(intOption(descriptor, SOL_SOCKET, SO_KEEPALIVE)).toBe(expected.keepAlive)
      expect(intOption(descriptor, IPPROTO_TCP, TCP_KEEPIDLE)).toBe(expected.idleSeconds)
      pool.release(descriptor)
      expect(pool.lease(loopback)).toBe(descriptor)
    }
    pool.release(descriptor)
  })

  it('is refused a peer that is no address', () => {
    const pool = createPool()
    expect(() => pool.lease({ address: 'localhost', port: 80 })).toThrow(RangeError)
    expect(pool.stats).toMatchObject({ fresh: 0, leased: 0 })
  })

  it.each([
    [{ type: 'sctp' }],
    [{ recycle: 'always' }],
    [{ maxIdleSockets: -1 }],
    [{ maxIdleSockets: 1.5 }],
    [{ idleSocketTimeout: -1 }],
    [{ idleSocketTimeout: Number.NaN }],
  ])('is refused the option %j', (options) => {
    expect(() => new SocketPool(options as SocketPoolOptions)).toThrow(RangeError)
  })
})

describe('a TCP socket, one connection after the other', () => {
  const CYCLES = 20

  it('keeps its descriptor, takes a new local port, and leaves nothing on either side', async () => {
    const server = await serveFin()
    const pool = createPool()
    const fds = new Set<number>()
    const ports = new Set<number>()
    for (let i = 0; i < CYCLES; i++) {
      const descriptor = pool.lease(server)
      fds.add(descriptor.fd)
      const port = await connectedUntilFin(pool, descriptor)
      ports.add(port)
      pool.release(descriptor)
      expect(socketsBetween(port, server.port)).toEqual([])
    }
    expect(fds.size).toBe(1)
    expect(ports.size).toBe(CYCLES)
    const counted = { fresh: 1, recycled: CYCLES - 1, dissolved: CYCLES, idle: 1, leased: 0 }
    expect(pool.stats).toEqual({ ...counted, graceful: 0, closed: 0, refused: 0, aborted: 0 })
  })

  it('goes over IPv6 as well', async () => {
    const server = await serve((socket) => socket.end(), { host: '::1' })
    const pool = createPool()
    for (let i = 0; i < 3; i++) {
      const descriptor = pool.lease(server)
      await connectedUntilFin(pool, descriptor)
      expect(pool.localEndpoint(descriptor)).toMatchObject({ address: '::1', family: 6 })
      pool.release(descriptor)
    }
    expect(pool.stats).toMatchObject({ fresh: 1, recycled: 2 })
  })

  it('reads of each connection what belongs to it', async () => {
    let count = 0
    const server = await serve((socket) => socket.end(`connection ${count++}`))
    const pool = createPool()
    const bytes = Buffer.alloc(64)
    for (let i = 0; i < 3; i++) {
      const descriptor = pool.lease(server)
      const readable = readiness(descriptor, (flags) => (flags & 1) !== 0)
      pool.connect(descriptor)
      await readable
      // Of the first connection nothing is read at all.
      if (i > 0) {
        const length = native().recv(descriptor.fd, bytes, bytes.length, 0)
        expect(bytes.toString('latin1', 0, length)).toBe(`connection ${i}`)
      }
      pool.release(descriptor)
    }
    expect(pool.stats.fresh).toBe(1)
  })

  it('shows the peer a clean end of stream when shut down first', async () => {
    const ends: string[] = []
    const server = await serve(
      (socket) => {
        socket.on('error', (error: SystemError) => ends.push(error.code))
        socket.on('end', () => ends.push('end')).resume()
        // Half-closed: it goes on reading.
        socket.end()
      },
      { allowHalfOpen: true },
    )
    for (const [recycle, end] of [
      ['graceful', 'end'],
      ['dissolve', 'ECONNRESET'],
    ] as const) {
      const pool = createPool({ recycle })
      const descriptor = pool.lease(server)
      await connectedUntilFin(pool, descriptor)
      const [socket] = server.sockets
      const closed = new Promise((resolve) => socket!.once('close', resolve))
      pool.release(descriptor)
      await closed
      expect(ends.splice(0)).toEqual([end])
    }
  })

  it.each<[RecycleMode, object]>([
    ['dissolve', { fresh: 1, recycled: 2, dissolved: 3, graceful: 0, closed: 0, idle: 1 }],
    ['graceful', { fresh: 1, recycled: 2, dissolved: 3, graceful: 3, closed: 0, idle: 1 }],
    ['off', { fresh: 3, recycled: 0, dissolved: 0, graceful: 0, closed: 3, idle: 0 }],
  ])('is counted when released in mode %s', async (recycle, counters) => {
    const server = await serveFin()
    const pool = createPool({ recycle })
    for (let i = 0; i < 3; i++) {
      const descriptor = pool.lease(server)
      await connectedUntilFin(pool, descriptor)
      pool.release(descriptor)
    }
    expect(pool.stats).toMatchObject({ ...counters, refused: 0, aborted: 0, leased: 0 })
  })

  it('resets a peer that is still there when aborted (RFC 9293 3.10.5), and is kept', async () => {
    const resets: string[] = []
    const server = await serve((socket) => {
      socket.on('error', (error: SystemError) => resets.push(error.code)).resume()
    })
    const pool = createPool()
    for (let i = 0; i < 2; i++) {
      const accepted = once(server.server, 'connection')
      const descriptor = pool.lease(server)
      await connected(pool, descriptor)
      const { port } = pool.localEndpoint(descriptor)!
      const [socket] = await accepted
      const closed = new Promise((resolve) => socket.once('close', resolve))
      pool.abort(descriptor)
      await closed
      expect(socketsBetween(port, server.port)).toEqual([])
    }
    expect(resets).toEqual(['ECONNRESET', 'ECONNRESET'])
    expect(pool.stats).toMatchObject({ fresh: 1, recycled: 1, dissolved: 2, aborted: 2 })
  })

  it('can be given back while it connects', async () => {
    const server = await serveFin()
    const pool = createPool()
    const descriptor = pool.lease(server)
    expect(pool.connect(descriptor)).toBe(EINPROGRESS)
    pool.abort(descriptor)
    await connectedUntilFin(pool, pool.lease(server))
    expect(pool.stats).toMatchObject({ fresh: 1, recycled: 1 })
    pool.release(descriptor)
  })

  it('is closed when discarded, as after a refused connection', async () => {
    const server = await serveFin()
    await server.close()
    servers = []
    const pool = createPool()
    const descriptor = pool.lease(server)
    const failed = readiness(descriptor, () => true)
    expect(pool.connect(descriptor)).toBe(EINPROGRESS)
    await failed
    expect(pool.connect(descriptor)).toBe(ECONNREFUSED)
    pool.discard(descriptor)
    expect(pool.stats).toMatchObject({ fresh: 1, dissolved: 0, closed: 1, aborted: 0, idle: 0 })
  })
})

describe('a Unix socket', () => {
  it.each<RecycleMode>(['dissolve', 'graceful'])(
    'is closed in mode %s, since the kernel dissolves none',
    async (recycle) => {
      const path = join(tmpdir(), `socket-pool-${process.pid}.sock`)
      await serve((socket) => socket.end(), { path })
      const pool = createPool({ recycle })
      const descriptor = pool.lease(Peer.unix(path))
      expect(pool.connect(descriptor)).toBe(0)
      expect(pool.localEndpoint(descriptor)).toBeNull()
      pool.release(descriptor)
      expect(pool.stats).toMatchObject({ fresh: 1, dissolved: 0, graceful: 0, refused: 0, closed: 1 })
    },
  )

  it('reaches an abstract name (unix(7))', async () => {
    // All of sun_path: Node 20 pads shorter names with NUL, later ones do not.
    const path = `\0socket-pool-${process.pid}`.padEnd(108, 'x')
    await serve((socket) => socket.end(), { path })
    const pool = createPool()
    const descriptor = pool.lease(Peer.unix(path))
    expect(pool.connect(descriptor)).toBe(0)
    pool.release(descriptor)
  })

  afterAll(() => {
    try {
      unlinkSync(join(tmpdir(), `socket-pool-${process.pid}.sock`))
    } catch {
      // The server has removed it.
    }
  })
})

describe('a UDP socket', () => {
  let receiver: UdpSocket
  let port = 0

  beforeAll(async () => {
    receiver = createSocket('udp4').bind(0, '127.0.0.1')
    await once(receiver, 'listening')
    port = receiver.address().port
  })

  afterAll(() => {
    receiver.close()
  })

  it('loses its peer and its local port when released, and connects again', async () => {
    const pool = createPool({ type: 'udp' })
    const fds = new Set<number>()
    for (let i = 0; i < 3; i++) {
      const descriptor = pool.lease({ address: '127.0.0.1', port })
      fds.add(descriptor.fd)
      expect(pool.connect(descriptor)).toBe(0)
      const local = pool.localEndpoint(descriptor)!
      expect(socketsBetween(local.port, port, 'udp')).toHaveLength(1)
      const message = once(receiver, 'message')
      native().send(descriptor.fd, Buffer.from('hello'), 5, 0)
      const [bytes, from] = await message
      expect(String(bytes)).toBe('hello')
      expect(from.port).toBe(local.port)
      pool.release(descriptor)
      expect(socketsBetween(local.port, port, 'udp')).toEqual([])
      expect(pool.localEndpoint(descriptor)?.port).toBe(0)
    }
    expect(fds.size).toBe(1)
    expect(pool.stats).toMatchObject({ fresh: 1, recycled: 2, dissolved: 3 })
  })

  it('is not shut down in mode graceful', () => {
    const pool = createPool({ type: 'udp', recycle: 'graceful' })
    const descriptor = pool.lease({ address: '127.0.0.1', port })
    pool.connect(descriptor)
    pool.release(descriptor)
    expect(pool.stats).toMatchObject({ dissolved: 1, graceful: 0 })
  })

  it('is leased by one at a time, and counted right, whatever is done in whatever order', () => {
    const action = fc.oneof(
      { weight: 3, arbitrary: fc.record({ type: fc.constant('lease' as const), peer: fc.nat({ max: 3 }) }) },
      {
        weight: 3,
        arbitrary: fc.record({
          type: fc.constantFrom('release', 'abort', 'discard'),
          which: fc.nat(),
        }),
      },
    )
    const modes = fc.constantFrom<RecycleMode>('dissolve', 'graceful', 'off')
    const open = countDescriptors()
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 60 }),
        modes,
        fc.nat({ max: 4 }),
        (actions, recycle, maxIdleSockets) => {
          const pool = new SocketPool({ type: 'udp', recycle, maxIdleSockets }, reactor)
          const leases: Descriptor[] = []
          const peerOfSocket = new Map<Descriptor, string>()
          const counted = { leases: 0, aborted: 0 }
          for (const step of actions) {
            if (step.type === 'lease') {
              const descriptor = pool.lease({ address: `127.0.0.${step.peer + 1}`, port })
              expect(pool.connect(descriptor)).toBe(0)
              expect(leases.some(({ fd }) => fd === descriptor.fd)).toBe(false)
              // The ISN rule: one remote end in a socket's life.
              expect(peerOfSocket.get(descriptor) ?? descriptor.peer.key).toBe(descriptor.peer.key)
              peerOfSocket.set(descriptor, descriptor.peer.key)
              leases.push(descriptor)
              counted.leases++
            } else if (leases.length > 0) {
              const [descriptor] = leases.splice(step.which % leases.length, 1)
              pool[step.type](descriptor!)
              if (step.type === 'abort') counted.aborted++
            }
            expectConsistent(pool)
            const { stats } = pool
            expect(stats.leased).toBe(leases.length)
            expect(stats.idle).toBeLessThanOrEqual(recycle === 'off' ? 0 : maxIdleSockets)
            expect(stats.fresh + stats.recycled).toBe(counted.leases)
            expect(stats.aborted).toBe(counted.aborted)
            expect(countDescriptors()).toBe(open + stats.leased + stats.idle)
          }
          for (const descriptor of leases) pool.release(descriptor)
          pool.close()
          expect(countDescriptors()).toBe(open)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('the descriptors that wait', () => {
  it('never serve another peer: it could compute the next sequence numbers', () => {
    const pool = createPool()
    const peers = [
      { address: '127.0.0.1', port: 9 },
      { address: '127.0.0.1', port: 10 },
      { address: '127.0.0.2', port: 9 },
      { address: '::1', port: 9 },
    ]
    const first = peers.map((peer) => pool.lease(peer))
    for (const descriptor of first) pool.release(descriptor)
    const second = peers.map((peer) => pool.lease(peer))
    expect(second).toEqual(first)
    expect(new Set(second).size).toBe(peers.length)
    for (const descriptor of second) pool.release(descriptor)
    const stranger = pool.lease({ address: '127.0.0.3', port: 9 })
    expect(first).not.toContain(stranger)
    expect(pool.stats).toMatchObject({ fresh: 5, recycled: 4 })
    pool.release(stranger)
  })

  it('serve the most recently released first', () => {
    const pool = createPool()
    const [a, b] = [pool.lease(loopback), pool.lease(loopback)]
    pool.release(b)
    pool.release(a)
    expect([pool.lease(loopback), pool.lease(loopback)]).toEqual([a, b])
    pool.release(a)
    pool.release(b)
  })

  it('are at most maxIdleSockets: the least recently used is closed', () => {
    const pool = createPool({ maxIdleSockets: 2 })
    const leases = [1, 2, 3].map((port) => pool.lease({ address: '127.0.0.1', port }))
    for (const descriptor of leases) pool.release(descriptor)
    expect(leases.map(({ state }) => state)).toEqual(['closed', 'idle', 'idle'])
    pool.release(pool.lease({ address: '127.0.0.1', port: 2 }))
    pool.release(pool.lease({ address: '127.0.0.1', port: 1 }))
    expect(leases.map(({ state }) => state)).toEqual(['closed', 'idle', 'closed'])
    expect(pool.stats).toMatchObject({ fresh: 4, recycled: 1, closed: 2, idle: 2 })
  })

  it('keep the local address that they are bound to, hence are kept apart by it', async () => {
    const server = await serveFin()
    const pool = createPool()
    const fds = new Map<string, number>()
    for (const localAddress of ['127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.3']) {
      const descriptor = pool.lease({ ...loopback, port: server.port, localAddress })
      const port = await connectedUntilFin(pool, descriptor)
      expect(pool.localEndpoint(descriptor)?.address).toBe(localAddress)
      pool.release(descriptor)
      expect(socketsBetween(port, server.port)).toEqual([])
      expect(fds.get(localAddress) ?? descriptor.fd).toBe(descriptor.fd)
      fds.set(localAddress, descriptor.fd)
    }
    const unbound = pool.lease({ address: '127.0.0.1', port: server.port })
    expect([...fds.values()]).not.toContain(unbound.fd)
    pool.release(unbound)
    expect(pool.stats).toMatchObject({ fresh: 3, recycled: 2 })
  })

  it('keep the local port that they are bound to', async () => {
    const server = await serveFin()
    // A port that nobody uses: the kernel has just given it back.
    const probe = await serveFin()
    const localPort = probe.port
    await probe.close()
    servers.pop()
    const pool = createPool()
    for (let i = 0; i < 3; i++) {
      const descriptor = pool.lease({ address: '127.0.0.1', port: server.port, localPort })
      expect(await connectedUntilFin(pool, descriptor)).toBe(localPort)
      pool.release(descriptor)
    }
    expect(pool.stats).toMatchObject({ fresh: 1, recycled: 2 })
  })

  it('go when the pool is closed, and what is leased goes when its lease ends', () => {
    const pool = createPool()
    const [idle, leased] = [pool.lease(loopback), pool.lease(loopback)]
    pool.release(idle)
    pool.close()
    expect([idle.state, leased.state]).toEqual(['closed', 'leased'])
    pool.release(leased)
    expect(leased.state).toBe('closed')
    pool.close()
    expect(pool.stats).toMatchObject({ fresh: 2, closed: 2, idle: 0, leased: 0 })
  })
})

describe('a lease', () => {
  const ends = ['release', 'abort', 'discard'] as const
  const pairs = ends.flatMap((first) => ends.map((second) => [first, second] as const))

  it.each(pairs)('that ended with %s throws on %s, and nothing is counted or closed', (first, second) => {
    const pool = createPool({ recycle: 'graceful' })
    const descriptor = pool.lease(loopback)
    pool[first](descriptor)
    const { stats } = pool
    const shutdown = vi.spyOn(native() as Native, 'shutdown')
    expect(() => pool[second](descriptor)).toThrow(`descriptor ${descriptor.fd} is ${descriptor.state}`)
    expect(pool.stats).toEqual(stats)
    expect(shutdown).not.toHaveBeenCalled()
  })

  it('that is lent ends only after it was taken back, or with close(2)', () => {
    const pool = createPool()
    const [one, other] = [pool.lease(loopback), pool.lease(loopback)]
    for (const descriptor of [one, other]) ownedDescriptors().close(pool.lend(descriptor))
    expect(() => pool.release(one)).toThrow(`descriptor ${one.fd} is lent`)
    expect(() => pool.abort(one)).toThrow(`descriptor ${one.fd} is lent`)
    pool.takeBack(one)
    expect(() => pool.takeBack(one)).toThrow(`descriptor ${one.fd} is leased`)
    pool.release(one)
    pool.discard(other)
    expect(pool.stats).toMatchObject({ dissolved: 1, closed: 1, idle: 1, leased: 0 })
  })

  it('lends a duplicate that is non-blocking and close-on-exec', () => {
    const pool = createPool()
    const descriptor = pool.lease(loopback)
    const duplicate = pool.lend(descriptor)
    expect(duplicate).not.toBe(descriptor.fd)
    expect(descriptorFlags(duplicate) & (SOCK_NONBLOCK | SOCK_CLOEXEC)).toBe(SOCK_NONBLOCK | SOCK_CLOEXEC)
    ownedDescriptors().close(duplicate)
    pool.discard(descriptor)
  })

  it('that is handed over leaves the descriptor open', () => {
    const pool = createPool()
    const descriptor = pool.lease(loopback)
    const fd = pool.handOver(descriptor)
    expect(fd).toBe(descriptor.fd)
    expect(descriptorFlags(fd) & SOCK_NONBLOCK).toBe(SOCK_NONBLOCK)
    expect(pool.stats).toMatchObject({ closed: 1, leased: 0 })
    ownedDescriptors().close(fd)
  })

  it('keeps no type of service of the lease before', () => {
    const pool = createPool()
    const typeOfService = (): number => {
      const value = Buffer.alloc(4)
      native().getsockopt(descriptor.fd, IPPROTO_IP, IP_TOS, value, Buffer.from(new Uint32Array([4]).buffer))
      return value[0]!
    }
    let descriptor = pool.lease(loopback)
    pool.setTypeOfService(descriptor, 0x28)
    expect(typeOfService()).toBe(0x28)
    const { fd } = descriptor
    pool.release(descriptor)
    descriptor = pool.lease(loopback)
    expect(descriptor.fd).toBe(fd)
    expect(typeOfService()).toBe(0)
    pool.release(descriptor)
  })

  it('of an address that is not ours fails as bind(2) does, without a socket left behind', () => {
    const pool = createPool()
    const error = thrownBy(() => pool.lease({ ...loopback, localAddress: '203.0.113.9' }))
    expect(error.message).toBe('bind EADDRNOTAVAIL 203.0.113.9')
    expect(error).toMatchObject({ errno: -EADDRNOTAVAIL, syscall: 'bind', address: '203.0.113.9' })
    expect(pool.stats).toMatchObject({ fresh: 1, closed: 1, leased: 0 })
  })

  it('of a local address of the other family fails as bind(2) does', () => {
    const pool = createPool()
    const error = thrownBy(() => pool.lease({ address: '::1', port: 9, localAddress: '127.0.0.1' }))
    expect(error).toMatchObject({ errno: -EINVAL, syscall: 'bind' })
  })

  it('tells an observer of birth, leases and end, each in its turn', () => {
    const told: string[] = []
    const tell = (what: string) => (descriptor: Descriptor) => void told.push(`${what} ${descriptor.state}`)
    const pool = new SocketPool(
      {},
      {
        opened: tell('opened'),
        leased: tell('leased'),
        released: tell('released'),
        lent: tell('lent'),
        takenBack: tell('taken back'),
        closing: tell('closing'),
      },
    )
    pool.release(pool.lease(loopback))
    pool.discard(pool.lease(loopback))
    expect(told).toEqual(['opened leased', 'leased leased', 'released idle', 'leased leased', 'closing leased'])
  })

  it('whose observer fails leaves no socket behind', () => {
    const observer = { ...reactor, opened: () => expect.unreachable() }
    const pool = new SocketPool({}, observer as unknown as typeof reactor)
    expect(() => pool.lease(loopback)).toThrow()
    expect(pool.stats).toMatchObject({ fresh: 1, closed: 1, leased: 0 })
  })

  it('of which the kernel says no local end fails as getsockname(2) does', () => {
    const pool = createPool()
    const descriptor = pool.lease(loopback)
    vi.spyOn(native() as Native, 'getsockname').mockReturnValue(-1)
    vi.spyOn(native() as Native, 'errno').mockReturnValue(EBADF)
    expect(() => pool.localEndpoint(descriptor)).toThrow('getsockname EBADF')
    pool.release(descriptor)
  })
})

describe('a kernel that refuses to dissolve', () => {
  it.each(['release', 'abort'] as const)('has its sockets closed on %s, and counted', (end) => {
    const pool = createPool({ recycle: 'graceful' })
    const descriptor = pool.lease(loopback)
    refuseToDissolve()
    pool[end](descriptor)
    expect(descriptor.state).toBe('closed')
    expect(pool.stats).toMatchObject({ refused: 1, dissolved: 0, graceful: 0, closed: 1 })
  })

  it('is asked once, on a fresh socket', () => {
    refuseToDissolve()
    const pool = createPool()
    for (let i = 0; i < 3; i++) pool.release(pool.lease(loopback))
    expect(pool.stats).toMatchObject({ fresh: 3, refused: 1, dissolved: 0, closed: 3 })
  })
})

describe('a process out of descriptors', () => {
  let program: Program

  beforeAll(async () => {
    program = await Program.from(new URL('./programs/out-of-descriptors.ts', import.meta.url))
  })

  afterAll(() => {
    program.delete()
  })

  it('closes idle descriptors of other peers for a lease, and throws EMFILE when there are none', async () => {
    const { stdout, stderr } = await program.run({ descriptorLimit: 64 })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'EMFILE', syscall: 'socket', message: 'socket EMFILE' },
      hasIdleBefore: true,
      evicted: 2,
      idle: 0,
      survivesWithRoom: true,
    })
  })
})
