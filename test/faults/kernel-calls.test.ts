/** Answers of the kernel that are rare: system calls are made to give them, by spies on the table of native functions. */
import { constants } from 'node:os'
import { Readable } from 'node:stream'
import { afterEach, expect, it, vi } from 'vitest'
import { AF_UNSPEC, EPOLL_CTL_ADD } from '../../src/sys/constants.js'
import { type Memory, native } from '../../src/sys/native.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'

expectNoDescriptorLeft()

afterEach(() => {
  vi.restoreAllMocks()
})

const { EINTR, EAGAIN, ENOENT, ENOBUFS, ENOMEM, ENFILE, EMFILE, ENOSPC, EBUSY, EAFNOSUPPORT, EPERM } = constants.errno

type Fallible = 'connect' | 'recv' | 'recvAt' | 'send' | 'socket' | 'epollControl' | 'duplicate' | 'getsockopt'
// biome-ignore lint/suspicious/noExplicitAny: of whatever arguments the call has.
type Call = (...parameters: any[]) => number

/**
 * Makes a call fail with `errno`, without its being made.
 *
 * @param isIt which calls; by default the first
 */
function failing(name: Fallible, errno: number, isIt: (count: number, ...parameters: never[]) => boolean = first) {
  const table = native()
  const original = table[name] as Call
  const originalErrno = table.errno
  let hasFailed = false
  let count = 0
  let failures = 0
  vi.spyOn(table, name).mockImplementation(((...parameters: never[]) => {
    hasFailed = isIt(count++, ...parameters)
    if (hasFailed) failures++
    return hasFailed ? -1 : original(...parameters)
  }) as Call)
  vi.spyOn(table, 'errno').mockImplementation(() => {
    if (!hasFailed) return originalErrno()
    hasFailed = false
    return errno
  })
  return { failures: () => failures }
}

const first = (count: number): boolean => count === 0
const firstThree = (count: number): boolean => count < 3
const isDissolving = (_count: number, _fd: number, address: Buffer): boolean => address.readUInt16LE() === AF_UNSPEC
const isConnecting = (count: number, fd: number, address: Buffer): boolean => !isDissolving(count, fd, address)

async function closing(peer: RawPeer): Promise<void> {
  await peer.request()
  peer.write(ok('ok', 'connection: close\r\n'))
  peer.socket.end()
}

/** More than the kernel's buffers hold, so that some of it has to wait. */
const LARGE = Buffer.alloc(4 << 20, 'x')

describeNative('a call that is interrupted by a signal (EINTR)', () => {
  it('is connect(2): the connection is on its way all the same', async () => {
    const { origin } = await rawServer(answering(ok()))
    const table = native()
    const { connect, errno } = table
    const agent = recyclingAgent()
    await recyclingAgent().close()
    let isInterrupted = false
    vi.spyOn(table, 'connect').mockImplementation((fd: number, address: Memory, length: number) => {
      const result = connect(fd, address, length)
      isInterrupted = (address as Buffer).readUInt16LE() !== AF_UNSPEC
      return result
    })
    vi.spyOn(table, 'errno').mockImplementation(() => (isInterrupted ? EINTR : errno()))
    const { handler, done } = recording('new', {
      start: () => {
        isInterrupted = false
      },
    })
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
  })

  it.each(['recv', 'recvAt'] as const)('is %s(2): what is there is received all the same', async (call) => {
    const { origin } = await rawServer(answering(ok('x'.repeat(300_000))))
    const agent = recyclingAgent()
    // The head, and each piece of the body; a long one does not pass the parser.
    const { failures } = failing(call, EINTR, (count) => count % 2 === 0)
    expect(await get(agent, origin)).toHaveLength(300_000)
    expect(failures()).toBeGreaterThan(0)
  })

  it('is recv(2) of the FIN that is awaited: the descriptor comes back at once', async () => {
    const { origin } = await rawServer(closing)
    const agent = recyclingAgent()
    failing('recv', EINTR, firstThree)
    const { handler, done } = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await done
    const endedAt = performance.now()
    await agent.close()
    expect(performance.now() - endedAt).toBeLessThan(900)
    expect(agent.stats.sockets).toMatchObject({ leased: 0 })
  })

  it.each([
    ['a head', undefined],
    ['a head with a body', Buffer.from('body')],
    ['a large body', LARGE],
    ['a body in pieces', 'pieces'],
  ])('is send(2) of %s: everything is sent all the same', async (_what, body) => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    const { failures } = failing('send', EINTR, (count) => count % 2 === 0)
    const { handler, done } = recording('new')
    const sent = body === 'pieces' ? Readable.from(Array.from({ length: 100 }, (_, i) => `${i};`)) : body
    agent.dispatch({ origin: server.origin, path: '/', method: 'POST', ...(sent && { body: sent }) }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(failures()).toBeGreaterThan(0)
    const length = body === 'pieces' ? 290 : (body?.length ?? 0)
    expect(server.requests[0]!.body).toHaveLength(length)
  })
})

describeNative('a call whose errno is that of another call (ENOENT)', () => {
  it.each([
    ['on its way', () => constants.errno.EALREADY],
    ['there', () => constants.errno.EISCONN],
    ['whatever it is', null],
  ])('is connect(2): it is made again, and the connection is %s', async (_where, again) => {
    const { origin } = await rawServer(answering(ok()))
    const table = native()
    const { connect, errno } = table
    const agent = recyclingAgent()
    await recyclingAgent().close()
    const calls: number[] = []
    const isNow: (() => number)[] = []
    vi.spyOn(table, 'connect').mockImplementation((fd: number, address: Memory, length: number) => {
      const result = connect(fd, address, length)
      if ((address as Buffer).readUInt16LE() === AF_UNSPEC) return result
      calls.push(fd)
      if (calls.length === 1) isNow.push(() => ENOENT)
      else if (again === null) return result
      else isNow.push(again)
      return -1
    })
    vi.spyOn(table, 'errno').mockImplementation(() => isNow.shift()?.() ?? errno())
    expect(await get(agent, origin)).toBe('ok')
    expect(calls).toEqual([calls[0], calls[0]])
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, aborted: 0 })
  })

  it('is connect(2), and then it has failed', async () => {
    const { origin } = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    failing('connect', ENOENT, ((count: number, fd: number, address: Buffer) =>
      isConnecting(count, fd, address)) as never)
    await expect(get(agent, origin)).rejects.toMatchObject({ code: 'ENOENT', syscall: 'connect' })
  })

  it.each(['recv', 'recvAt', 'send'] as const)('is %s(2): it is made again', async (call) => {
    const server = await rawServer(answering(ok('x'.repeat(300_000))))
    const agent = recyclingAgent()
    const { failures } = failing(call, ENOENT)
    expect(await get(agent, server.origin)).toHaveLength(300_000)
    expect(failures()).toBe(1)
    expect(server.requests).toHaveLength(1)
  })

  it.each([
    ['send', 'write'],
    ['recvAt', 'read'],
  ] as const)('and that gives it every time, %s(2), has failed', async (call, syscall) => {
    const { origin } = await rawServer(answering(ok()))
    const agent = recyclingAgent({ retryStale: false })
    failing(call, ENOENT, () => true)
    await expect(get(agent, origin)).rejects.toMatchObject({ code: 'ENOENT', syscall })
  })
})

describeNative('send(2)', () => {
  it('that finds no memory for a packet (ENOBUFS) is tried again', async () => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    const { failures } = failing('send', ENOBUFS, firstThree)
    expect(await get(agent, server.origin)).toBe('ok')
    expect(failures()).toBe(3)
  })

  it('that finds no memory at all (ENOMEM) fails its request alone', async () => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    failing('send', ENOMEM)
    await expect(get(agent, server.origin)).rejects.toMatchObject({ code: 'ENOMEM', syscall: 'write' })
    expect(await get(agent, server.origin)).toBe('ok')
    await agent.close()
    expect(agent.stats.sockets).toMatchObject({ leased: 0 })
  })

  it('that is forbidden (EPERM, as a packet filter has it) fails its request alone', async () => {
    const server = await rawServer(answering(ok()))
    const agent = recyclingAgent()
    failing('send', EPERM)
    await expect(get(agent, server.origin)).rejects.toMatchObject({ code: 'EPERM', syscall: 'write' })
    expect(await get(agent, server.origin)).toBe('ok')
  })

  it.each([
    ['one byte at a time', 1],
    ['a hundred bytes at a time', 100],
  ])('that takes %s sends everything, in order', async (_what, most) => {
    const server = await rawServer(answering(ok()))
    const table = native()
    const { send } = table
    vi.spyOn(table, 'send').mockImplementation((fd, buffer, length, flags) =>
      send(fd, buffer, Math.min(length, most), flags),
    )
    const body = Array.from({ length: 2000 }, (_, i) => i).join()
    for (const sent of [body, Readable.from(body.match(/.{1,500}/g)!)]) {
      const { handler, done } = recording('new')
      recyclingAgent().dispatch({ origin: server.origin, path: '/', method: 'POST', body: sent }, handler)
      expect((await done).at(-1)).toEqual(['end', []])
    }
    expect(server.requests.map((request) => request.body)).toEqual([body, body])
  })

  it('that takes as much of a large body as there is room for sends it whole', async () => {
    const server = await rawServer(answering(ok()))
    const { handler, done } = recording('new')
    recyclingAgent().dispatch({ origin: server.origin, path: '/', method: 'POST', body: LARGE }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(server.requests[0]!.body === LARGE.toString()).toBe(true)
  })
})

describeNative('connect(2)', () => {
  it('that finishes at once, with 0, is as good as any', async () => {
    const { origin } = await rawServer(closing)
    const table = native()
    const { connect } = table
    const agent = recyclingAgent()
    let atOnce = 0
    vi.spyOn(table, 'connect').mockImplementation((fd: number, address: Memory, length: number) => {
      const result = connect(fd, address, length)
      if ((address as Buffer).readUInt16LE() === AF_UNSPEC) return result
      // On loopback the handshake is done by now.
      atOnce++
      return 0
    })
    for (let i = 0; i < 3; i++) {
      expect(await get(agent, origin)).toBe('ok')
      await quiet(agent)
    }
    expect(atOnce).toBe(3)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 2 })
  })

  it.each([
    ['EADDRNOTAVAIL', constants.errno.EADDRNOTAVAIL],
    ['EAGAIN', EAGAIN],
    ['EACCES', constants.errno.EACCES],
    ['ENETUNREACH', constants.errno.ENETUNREACH],
  ])('that fails at once with %s fails its request, and the descriptor is closed', async (code, errno) => {
    const { origin, port } = await rawServer(closing)
    const agent = recyclingAgent()
    failing('connect', errno, ((count: number, fd: number, address: Buffer) =>
      isConnecting(count, fd, address)) as never)
    await expect(get(agent, origin)).rejects.toMatchObject({
      code,
      syscall: 'connect',
      address: '127.0.0.1',
      port,
      message: `connect ${code} 127.0.0.1:${port}`,
    })
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0, closed: 1 })
    vi.restoreAllMocks()
    expect(await get(agent, origin)).toBe('ok')
  })
})

describeNative('socket(2)', () => {
  it.each([
    ['ENFILE', ENFILE],
    ['EMFILE', EMFILE],
    ['ENOBUFS', ENOBUFS],
    ['EAFNOSUPPORT', EAFNOSUPPORT],
  ])('that fails with %s fails its request, and the next one is served', async (code, errno) => {
    const { origin } = await rawServer(closing)
    const agent = recyclingAgent()
    failing('socket', errno)
    await expect(get(agent, origin)).rejects.toMatchObject({ code, syscall: 'socket' })
    expect(await get(agent, origin)).toBe('ok')
  })

  it('that fails with ENFILE takes the place of a descriptor that waits for another peer', async () => {
    const [idle, other] = [await rawServer(closing), await rawServer(closing)]
    const agent = recyclingAgent()
    await get(agent, idle.origin)
    await quiet(agent)
    expect(agent.stats.sockets.idle).toBe(1)
    failing('socket', ENFILE)
    expect(await get(agent, other.origin)).toBe('ok')
    await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({ idle: 1, closed: 1 })
  })
})

describeNative('a socket that cannot be dissolved', () => {
  it.each([
    ['EBUSY', EBUSY],
    ['EAFNOSUPPORT', EAFNOSUPPORT],
    ['EOPNOTSUPP', constants.errno.EOPNOTSUPP],
  ])('(%s) is closed and counted; no request fails for it', async (_code, errno) => {
    const { origin } = await rawServer(closing)
    const agent = recyclingAgent()
    // The kernel has dissolved one socket, so the answer is not the system's, but this socket's.
    await get(agent, origin)
    await quiet(agent)
    failing('connect', errno, isDissolving as never)
    for (let i = 0; i < 4; i++) {
      expect(await get(agent, origin)).toBe('ok')
      await quiet(agent)
    }
    expect(agent.stats.sockets).toMatchObject({ fresh: 4, refused: 4, closed: 4, idle: 0, leased: 0 })
  })

  it('on an abort is closed, and its peer sees the end all the same', async () => {
    const { origin, peer } = await rawServer(() => {})
    const agent = recyclingAgent()
    let abort: () => void
    const { handler, done } = recording('new', {
      start(flow) {
        abort = () => flow.abort()
      },
    })
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await (await peer(0)).request()
    failing('connect', EBUSY, isDissolving as never)
    abort!()
    await done
    await (await peer(0)).ended()
    expect(agent.stats.sockets).toMatchObject({ refused: 1, leased: 0, idle: 0 })
  })
})

describeNative('epoll_ctl(2)', () => {
  it('that has no room for a further descriptor (ENOSPC) fails the request, and the socket is closed', async () => {
    const { origin } = await rawServer(closing)
    const agent = recyclingAgent()
    const count = countConnections(agent)
    failing(
      'epollControl',
      ENOSPC,
      ((_count: number, _epollFd: number, operation: number) => operation === EPOLL_CTL_ADD) as never,
    )
    await expect(get(agent, origin)).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'epoll_ctl' })
    expect(count()).toBe(0)
    expect(agent.stats.sockets).toMatchObject({ fresh: 1, closed: 1, leased: 0 })
    vi.restoreAllMocks()
    expect(await get(agent, origin)).toBe('ok')
  })
})
