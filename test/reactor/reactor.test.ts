import { AsyncLocalStorage } from 'node:async_hooks'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Reactor, threadReactor } from '../../src/reactor/reactor.js'
import type { Task } from '../../src/reactor/scheduler.js'
import type { Descriptor } from '../../src/socket-pool/descriptor.js'
import { SocketPool } from '../../src/socket-pool/socket-pool.js'
import { SHUT_WR, SOCK_CLOEXEC } from '../../src/sys/constants.js'
import { hasFailed, isPeerClosed, isWritable } from '../../src/sys/epoll-event.js'
import { native } from '../../src/sys/native.js'
import { ownedDescriptors } from '../../src/sys/owned-descriptors.js'
import { EINPROGRESS } from '../../src/sys/system-error.js'
import { Program } from '../support/child.js'
import { countDescriptors, descriptorFlags } from '../support/descriptors.js'
import { loopCount, roundsAtRest } from '../support/event-loop.js'
import { connected, connectedUntilFin, readiness, startServer, type TestServer } from '../support/leases.js'

const reactor = threadReactor()
let before = 0
let server: TestServer
let pool: SocketPool

/** Resolves after the next batch of readiness; as a task does, it lets the loop not sleep. */
const turnOf = (owner: Reactor): Promise<number> =>
  new Promise((resolve) => owner.later({ run: () => resolve(owner.turn) }))

beforeEach(async () => {
  before = countDescriptors()
  server = await startServer((socket) => socket.end())
  pool = new SocketPool({}, reactor)
})

afterEach(async () => {
  vi.restoreAllMocks()
  pool.close()
  await server.close()
  expect(pool.stats.leased).toBe(0)
  expect(countDescriptors()).toBe(before)
})

describe('the reactor of a thread', () => {
  it('is one', () => {
    expect(threadReactor()).toBe(reactor)
  })

  it('has an epoll descriptor that is close-on-exec', () => {
    const create = vi.spyOn(native(), 'epollCreate')
    const other = new Reactor()
    const epollFd = create.mock.results[0]!.value as number
    expect(other.turn).toBe(0)
    expect(descriptorFlags(epollFd) & SOCK_CLOEXEC).toBe(SOCK_CLOEXEC)
    // It lasts as long as the thread.
    before++
  })

  it('fails with the system error of epoll_create1(2)', () => {
    vi.spyOn(native(), 'epollCreate').mockReturnValue(-1)
    vi.spyOn(native(), 'errno').mockReturnValue(24)
    expect(() => new Reactor()).toThrow('epoll_create1 EMFILE')
  })
})

describe('readiness', () => {
  it('of a connecting socket arrives', async () => {
    const descriptor = pool.lease(server)
    const writable = readiness(descriptor, isWritable)
    expect(pool.connect(descriptor)).toBe(EINPROGRESS)
    expect(isWritable(await writable)).toBe(true)
    pool.abort(descriptor)
  })

  it('of a hundred sockets arrives, each at its own listener', async () => {
    const leases = Array.from({ length: 100 }, () => pool.lease(server))
    const ports = await Promise.all(leases.map((descriptor) => connectedUntilFin(pool, descriptor)))
    expect(new Set(ports).size).toBe(100)
    for (const descriptor of leases) pool.release(descriptor)
    expect(pool.stats).toMatchObject({ fresh: 100, idle: 100 })
  })

  it('of an idle descriptor is heard by nobody, and the next lease hears only its own', async () => {
    const descriptor = pool.lease(server)
    await connectedUntilFin(pool, descriptor)
    pool.release(descriptor)
    expect(descriptor.listener).toBeNull()
    await turnOf(reactor)
    const onReadiness = vi.fn()
    pool.lease(server).listener = { onReadiness }
    await turnOf(reactor)
    await turnOf(reactor)
    expect(onReadiness).not.toHaveBeenCalled()
    pool.discard(descriptor)
  })

  it.each([
    ['before a lease began', 'abort'],
    ['for a closed descriptor, whose number another has now,', 'discard'],
  ] as const)('that was collected %s is dropped', async (_what, end) => {
    let connections = 0
    // Whatever says that the peer has closed is about one of the first two connections.
    const twice = await startServer((socket) => connections++ < 2 && socket.end())
    const [a, b] = [pool.lease(twice), pool.lease(twice)]
    await Promise.all([connectedUntilFin(pool, a), connectedUntilFin(pool, b)])
    const heard: number[] = []
    const successors: Descriptor[] = []
    const isConnected = new Promise<void>((resolve) => {
      for (const [mine, other] of [
        [a, b],
        [b, a],
      ] as const) {
        mine.listener = {
          onReadiness() {
            if (successors.length > 0) return
            pool[end](other)
            const successor = pool.lease(twice)
            expect(successor.fd).toBe(other.fd)
            expect(successor === other).toBe(end === 'abort')
            successors.push(successor)
            successor.listener = {
              onReadiness(flags) {
                heard.push(flags)
                if (isWritable(flags)) resolve()
              },
            }
            pool.connect(successor)
          },
        }
      }
    })
    // Both have news in the next batch; whoever is served first ends the other's lease and begins a new one.
    for (const { fd } of [a, b]) native().shutdown(fd, SHUT_WR)
    await isConnected
    expect(successors).toHaveLength(1)
    expect(heard.filter((flags) => isPeerClosed(flags) || hasFailed(flags))).toEqual([])
    for (const descriptor of new Set([a, b, ...successors])) {
      if (descriptor.state === 'leased') pool.abort(descriptor)
    }
    await twice.close()
  })

  it('of a descriptor that is lent does not arrive', async () => {
    const descriptor = pool.lease(server)
    const onReadiness = vi.fn()
    descriptor.listener = { onReadiness }
    pool.connect(descriptor)
    const duplicate = pool.lend(descriptor)
    const other = pool.lease(server)
    await connectedUntilFin(pool, other)
    expect(onReadiness).not.toHaveBeenCalled()
    ownedDescriptors().close(duplicate)
    pool.takeBack(descriptor)
    pool.release(descriptor)
    pool.release(other)
    expect([descriptor.state, other.state]).toEqual(['idle', 'idle'])
  })

  it('reaches listeners without the AsyncLocalStorage store of whoever armed the reactor', async () => {
    const storage = new AsyncLocalStorage<string>()
    const stores: unknown[] = []
    await turnOf(reactor)
    const descriptor = storage.run('request', () => pool.lease(server))
    const closed = new Promise<void>((resolve) => {
      descriptor.listener = {
        onReadiness(flags) {
          stores.push(storage.getStore())
          storage.run('listener', () => {
            reactor.later({ run: () => void stores.push(storage.getStore()) })
          })
          if (isPeerClosed(flags)) reactor.later({ run: resolve })
        },
      }
    })
    storage.run('request', () => pool.connect(descriptor))
    await closed
    pool.release(descriptor)
    await storage.run(
      'task',
      () =>
        new Promise<void>((resolve) => {
          reactor.later({
            run() {
              stores.push(storage.getStore())
              resolve()
            },
          })
        }),
    )
    expect(stores.length).toBeGreaterThanOrEqual(3)
    expect(new Set(stores)).toEqual(new Set([undefined]))
  })
})

describe('a task', () => {
  it('runs after the readiness of the batch in which it was asked for', async () => {
    const order: string[] = []
    const descriptor = pool.lease(server)
    let turn = 0
    const done = new Promise<void>((resolve) => {
      descriptor.listener = {
        onReadiness(flags) {
          if (!isPeerClosed(flags)) return
          turn = reactor.turn
          const task: Task = {
            run() {
              order.push(`task of turn ${reactor.turn - turn}`)
              resolve()
            },
          }
          reactor.later(task)
          order.push('readiness')
        },
      }
    })
    pool.connect(descriptor)
    await done
    expect(order).toEqual(['readiness', 'task of turn 0'])
    pool.release(descriptor)
  })

  it('that a task asks for runs in the next turn', async () => {
    const turns: number[] = []
    await new Promise<void>((resolve) => {
      const run = (): void => {
        turns.push(reactor.turn)
        if (turns.length < 3) reactor.later({ run })
        else resolve()
      }
      reactor.later({ run })
    })
    expect(turns.map((turn) => turn - turns[0]!)).toEqual([0, 1, 2])
  })

  it('costs no turn more than once, however often it is asked for', async () => {
    const descriptor = pool.lease(server)
    for (let i = 0; i < 10; i++) await turnOf(reactor)
    const [turn, rounds] = [reactor.turn, loopCount()]
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    // One turn for one round of the loop.
    expect(reactor.turn - turn).toBeLessThanOrEqual(loopCount() - rounds + 1)
    pool.release(descriptor)
  })
})

describe('the event loop', () => {
  it('sleeps when all descriptors are idle', async () => {
    const leases = Array.from({ length: 5 }, () => pool.lease(server))
    await Promise.all(leases.map((descriptor) => connectedUntilFin(pool, descriptor)))
    for (const descriptor of leases) pool.release(descriptor)
    const { turn } = reactor
    expect(await roundsAtRest(50)).toBeLessThan(50)
    expect(reactor.turn - turn).toBeLessThan(10)
  })

  it('sleeps when a task has dissolved the last descriptor', async () => {
    const descriptor = pool.lease(server)
    await connectedUntilFin(pool, descriptor)
    await turnOf(reactor)
    await new Promise<void>((resolve) => {
      reactor.later({
        run() {
          pool.abort(descriptor)
          resolve()
        },
      })
    })
    expect(await roundsAtRest(50)).toBeLessThan(50)
  })

  it('sleeps while a lease waits', async () => {
    const silent = await startServer(() => {})
    const descriptor = pool.lease(silent)
    await connected(pool, descriptor)
    expect(await roundsAtRest(50)).toBeLessThan(50)
    pool.abort(descriptor)
    await silent.close()
  })
})

describe('a process', () => {
  let program: Program

  beforeAll(async () => {
    program = await Program.from(new URL('./programs/process-end.ts', import.meta.url))
  })

  afterAll(() => {
    program.delete()
  })

  it.each([
    ['with nothing but idle descriptors', 'idle', 'ready\n'],
    ['with nothing but a leased descriptor', 'leased', 'ready\n'],
    ['with nothing but a running deadline', 'deadline', 'ready\n'],
  ])('%s ends at once', async (_what, mode, output) => {
    expect(await program.run({ args: [mode] })).toMatchObject({ code: 0, signal: null, stdout: output, stderr: '' })
  })

  it('that the reactor holds stays until it is let go', async () => {
    const { code, stdout } = await program.run({ args: ['held'] })
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ready\nheld\nlet go\n' })
  })

  it('in which a listener and a task throw sees each exception, and the others their readiness', async () => {
    const { code, stdout, stderr } = await program.run({ args: ['throw'] })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      heard: [0, 1, 2, 3],
      uncaught: ['uncaughtException: listener 0', 'uncaughtException: listener 2', 'uncaughtException: task 1'],
      tasks: [0, 1, 2],
    })
  })
})
