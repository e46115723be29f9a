/** TLS on recycled descriptors, or over ones that are lent to Node: nothing is lost on any way out. */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { EPOLL_CTL_ADD } from '../../src/sys/constants.js'
import { native } from '../../src/sys/native.js'
import { ownedDescriptors } from '../../src/sys/owned-descriptors.js'
import { EMFILE } from '../../src/sys/system-error.js'
import { Authority, type Certificate, selfSigned } from '../support/certificates.js'
import { countDescriptors } from '../support/descriptors.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { clientInode, inodeOf } from '../support/socket-table.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['localhost', '127.0.0.1'])
  // What a thread keeps is opened, whatever the transport is that is asked for elsewhere.
  await new RecyclingAgent({ transport: 'native' }).close()
})

expectNoDescriptorLeft()

afterEach(() => {
  vi.restoreAllMocks()
})

const closing = async (peer: RawPeer): Promise<void> => {
  await peer.request()
  peer.socket.end(ok('secret', 'connection: close\r\n'))
}

/** Of this process's epoll instances. */
const epollDescriptors = (): number[] =>
  readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventpoll]'
      } catch {
        return false
      }
    })

/** What each epoll instance watches of the sockets with this inode (proc_pid_fdinfo(5)). */
function watchersOf(inode: number): { epollFd: number; fd: number }[] {
  return epollDescriptors().flatMap((epollFd) =>
    [...readFileSync(`/proc/self/fdinfo/${epollFd}`, 'latin1').matchAll(/^tfd:\s*(\d+)/gm)]
      .map(([, fd]) => Number(fd))
      .filter((fd) => inodeOf(fd) === inode)
      .map((fd) => ({ epollFd, fd })),
  )
}

/** The descriptors of this process that refer to the socket. */
const descriptorsOf = (inode: number): number[] =>
  readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => inodeOf(fd) === inode)

const secureTransports = ['native', 'node'] as const

describe.each(secureTransports)('a descriptor (tlsTransport: %s)', (tlsTransport) => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('serves one closing connection after the other (%s)', async (maxVersion) => {
    const { origin, peers } = await rawServer(closing, { secure: { ...certificate, maxVersion } })
    const agent = recyclingAgent({ transport: 'native', tlsTransport, connect: { ca } })
    for (let i = 0; i < 6; i++) {
      expect(await get(agent, origin)).toBe('secret')
      await quiet(agent)
    }
    expect(peers).toHaveLength(6)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 5, dissolved: 6, aborted: 0, leased: 0, idle: 1 })
  })

  it('serves as many connections as there are at once', async () => {
    const { origin } = await rawServer(closing, { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport, connect: { ca } })
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 8 }, () => get(agent, origin)))
      await quiet(agent)
    }
    expect(agent.stats.sockets).toMatchObject({ fresh: 8, recycled: 16, aborted: 0, idle: 8 })
  })

  it('is closed where nothing is to be recycled', async () => {
    const { origin } = await rawServer(closing, { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport, recycle: 'off', connect: { ca } })
    for (let i = 0; i < 3; i++) {
      await get(agent, origin)
      await quiet(agent)
    }
    expect(agent.stats.sockets).toMatchObject({ fresh: 3, recycled: 0, closed: 3, idle: 0 })
  })

  it('is shut down before it is dissolved where that is asked for', async () => {
    const { origin } = await rawServer(closing, { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport, recycle: 'graceful', connect: { ca } })
    for (let i = 0; i < 3; i++) {
      await get(agent, origin)
      await quiet(agent)
    }
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 2, graceful: 3 })
  })

  it('serves http and https by turns', async () => {
    const plain = await rawServer(async (peer) => {
      await peer.received(/./s)
      peer.socket.end(ok('', 'connection: close\r\n'))
    })
    const agent = recyclingAgent({ transport: 'native', tlsTransport, connect: { ca } })
    await get(agent, plain.origin)
    await quiet(agent)
    await expect(get(agent, plain.origin.replace('http:', 'https:'))).rejects.toThrow(/SSL/)
    await quiet(agent)
    await get(agent, plain.origin)
    await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({
      fresh: 1,
      // What fails natively is made again by Node.
      recycled: tlsTransport === 'native' ? 3 : 2,
      leased: 0,
    })
  })

  it('of a Unix socket is closed after its connection', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const path = join(directory, 'socket')
    const { peers } = await rawServer(closing, { path, secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport, connect: { ca }, socketPath: path })
    for (let i = 0; i < 2; i++) {
      expect(await get(agent, 'https://localhost')).toBe('secret')
      await quiet(agent)
    }
    expect(peers.map(({ requests }) => requests[0]!.fields.host)).toEqual(['localhost', 'localhost'])
    expect(agent.stats.sockets).toMatchObject({ fresh: 2, recycled: 0, closed: 2, idle: 0, leased: 0 })
  })
})

describe('a descriptor', () => {
  it('that is lent is in no epoll set but the one of Node, under the number of its duplicate', async () => {
    const { origin, port, peers } = await rawServer(answering(ok()), { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport: 'node', connect: { ca } })
    const before = countDescriptors()
    await get(agent, origin)
    const inode = clientInode(peers[0]!.socket.remotePort!, port)
    const descriptors = descriptorsOf(inode)
    expect(descriptors).toHaveLength(2)
    const watchers = watchersOf(inode)
    expect(watchers).toHaveLength(1)
    // Descriptor numbers are given from the lowest up: the duplicate is the younger one.
    expect(watchers[0]!.fd).toBe(Math.max(...descriptors))

    peers[0]!.socket.end()
    await quiet(agent)
    // The server's socket is closed, too.
    while (!peers[0]!.socket.closed) await setImmediate()
    expect(countDescriptors()).toBe(before + 1)
    expect(descriptorsOf(inode)).toHaveLength(1)
    const [watcher] = watchersOf(inode)
    expect(watcher).toEqual({ epollFd: expect.any(Number), fd: Math.min(...descriptors) })
    expect(watcher!.epollFd).not.toBe(watchers[0]!.epollFd)
  })

  it('is never duplicated, and in one epoll set for its life, where nothing is lent', async () => {
    const { origin, port, peers } = await rawServer(answering(ok()), { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport: 'native', connect: { ca } })
    await get(agent, origin)
    const inode = clientInode(peers[0]!.socket.remotePort!, port)
    const descriptors = descriptorsOf(inode)
    expect(descriptors).toHaveLength(1)
    const watchers = watchersOf(inode)
    expect(watchers).toHaveLength(1)
    peers[0]!.socket.end()
    await quiet(agent)
    expect(watchersOf(inode)).toEqual(watchers)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, dissolved: 1, idle: 1 })
  })
})

describe.each(secureTransports)('no descriptor is lost (tlsTransport: %s)', (tlsTransport) => {
  it('by handshakes that fail', async () => {
    const { origin } = await rawServer(closing, { secure: await selfSigned('other.test') })
    const agent = recyclingAgent({ transport: 'native', tlsTransport })
    const before = countDescriptors()
    for (let i = 0; i < 5; i++) {
      await expect(get(agent, origin)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
      await quiet(agent)
    }
    const { fresh, recycled, leased, idle } = agent.stats.sockets
    expect({ fresh, recycled, leased, idle }).toEqual({
      fresh: 1,
      // As long as Node fails, too, nobody asks twice.
      recycled: tlsTransport === 'native' ? 5 : 4,
      leased: 0,
      idle: 1,
    })
    // The server closes its ends in its own time.
    while (countDescriptors() > before + 1) await setImmediate()
  })

  it.each(['destroy', 'timeout'])('by handshakes that are given up: %s', async (how) => {
    const { port, peer } = await rawServer(() => {})
    const agent = recyclingAgent({ transport: 'native', tlsTransport, connectTimeout: how === 'timeout' ? 30 : 0 })
    const { handler, done } = recording('new')
    agent.dispatch({ origin: `https://127.0.0.1:${port}`, path: '/', method: 'GET' }, handler)
    // The client's hello: the handshake has begun.
    const server = await peer(0)
    await server.received(/./s)
    if (how === 'destroy') await agent.destroy()
    const code = how === 'destroy' ? 'UND_ERR_DESTROYED' : 'UND_ERR_CONNECT_TIMEOUT'
    expect(await done).toMatchObject([['error', expect.any(String), code, expect.any(String)]])
    await server.ended()
    await quiet(agent)
    const { leased, closed, fresh, idle } = agent.stats.sockets
    expect({ leased, open: fresh - closed }).toEqual({ leased: 0, open: idle })
  })

  it('by aborts in mid body', async () => {
    const { origin, peers } = await rawServer(
      async (peer) => {
        await peer.request()
        peer.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
      },
      { secure: certificate },
    )
    const agent = recyclingAgent({ transport: 'native', tlsTransport, connect: { ca } })
    for (let i = 0; i < 5; i++) {
      const { handler, done } = recording('new', { data: (flow) => flow.abort(new Error('enough')) })
      agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
      expect((await done).at(-1)).toEqual(['error', 'Error', undefined, 'enough'])
      await peers[i]!.ended()
      await quiet(agent)
    }
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 4, aborted: 5, idle: 1 })
  })
})

describe('no descriptor that is lent is lost', () => {
  it('when Node does not take the duplicate: the request fails as open does', async () => {
    const { origin } = await rawServer(closing, { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport: 'node', connect: { ca } })
    // The first socket of a thread is made in another way.
    expect(await get(agent, origin)).toBe('secret')
    await quiet(agent)
    vi.spyOn(ownedDescriptors(), 'giveTo').mockReturnValueOnce(-EMFILE)
    await expect(get(agent, origin)).rejects.toMatchObject({ code: 'EMFILE', syscall: 'open', message: 'open EMFILE' })
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, leased: 0, idle: 1 })
    expect(await get(agent, origin)).toBe('secret')
  })

  it('when there is no room for it in the epoll set any more: it is closed', async () => {
    const { origin } = await rawServer(closing, { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport: 'node', connect: { ca } })
    const table = native()
    const { epollControl } = table
    let additions = 0
    vi.spyOn(table, 'epollControl').mockImplementation((epollFd, operation, fd, event) => {
      const isRefused = operation === EPOLL_CTL_ADD && ++additions === 2
      return isRefused ? -1 : epollControl(epollFd, operation, fd, event)
    })
    expect(await get(agent, origin)).toBe('secret')
    await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 1, leased: 0, idle: 0 })
    expect(await get(agent, origin)).toBe('secret')
  })

  it('when there is none for the duplicate: the request fails as dup(2) does', async () => {
    const { origin } = await rawServer(closing, { secure: certificate })
    const agent = recyclingAgent({ transport: 'native', tlsTransport: 'node', connect: { ca } })
    const real = native()
    const errno = vi.spyOn(real, 'errno')
    vi.spyOn(real, 'duplicate').mockImplementation(() => {
      errno.mockReturnValueOnce(EMFILE)
      return -1
    })
    await expect(get(agent, origin)).rejects.toMatchObject({ code: 'EMFILE', syscall: 'dup', message: 'dup EMFILE' })
    vi.restoreAllMocks()
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, leased: 0, idle: 1 })
    expect(await get(agent, origin)).toBe('secret')
  })
})
