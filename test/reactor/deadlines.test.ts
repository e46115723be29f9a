import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Clock, realClock } from '../../src/reactor/clock.js'
import { Deadline, Deadlines } from '../../src/reactor/deadlines.js'
import { threadReactor } from '../../src/reactor/reactor.js'
import { SocketPool } from '../../src/socket-pool/socket-pool.js'
import { isPeerClosed } from '../../src/sys/epoll-event.js'
import { countDescriptors } from '../support/descriptors.js'
import { connected, startServer } from '../support/leases.js'

const reactor = threadReactor()
const turn = (): Promise<void> => new Promise((resolve) => reactor.later({ run: resolve }))

let deadlines: Deadlines
let expired: string[] = []
const deadlineThat = (onDeadline: () => void): Deadline => new Deadline({ onDeadline })
const deadline = (name: string, then = (): void => {}): Deadline =>
  deadlineThat(() => {
    expired.push(name)
    then()
  })

/** Lets the event loop stand still. */
function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

beforeEach(() => {
  deadlines = new Deadlines(reactor)
  expired = []
})

afterEach(() => {
  vi.useRealTimers()
})

describe('a deadline by the real clock', () => {
  it.each([1, 2, 7, 20])('of %i ms is not early, but for the resolution of timers', async (ms) => {
    const start = performance.now()
    await new Promise<void>((resolve) => deadlines.start(deadlineThat(resolve), ms))
    expect(performance.now() - start).toBeGreaterThan(ms - 2)
  })

  it('tells how late it is, behind an event loop that was blocked', async () => {
    const lateness: number[] = []
    const noted = (): Promise<void> =>
      new Promise((resolve) => {
        deadlines.start(
          deadlineThat(() => {
            lateness.push(deadlines.lateness)
            resolve()
          }),
          10,
        )
      })
    await noted()
    const late = noted()
    block(60)
    await late
    expect(lateness[0]).toBeGreaterThanOrEqual(0)
    expect(lateness[1]).toBeGreaterThanOrEqual(48)
  })

  it('does not expire while what has arrived in time waits for a blocked event loop', async () => {
    const before = countDescriptors()
    const server = await startServer((socket) => socket.end())
    const pool = new SocketPool({}, reactor)
    const descriptor = pool.lease(server)
    const timeout = deadline('timeout')
    const heard = new Promise<void>((resolve) => {
      descriptor.listener = {
        onReadiness(flags) {
          if (!isPeerClosed(flags)) return
          deadlines.stop(timeout)
          resolve()
        },
      }
    })
    pool.connect(descriptor)
    await new Promise<void>((resolve) => server.server.once('connection', () => resolve()))
    deadlines.start(timeout, 5)
    block(30)
    await heard
    await turn()
    expect(expired).toEqual([])
    pool.release(descriptor)
    pool.close()
    await server.close()
    expect(countDescriptors()).toBe(before)
  })

  it('expires when nothing has arrived', async () => {
    const silent = await startServer(() => {})
    const pool = new SocketPool({}, reactor)
    const descriptor = pool.lease(silent)
    await connected(pool, descriptor)
    await new Promise<void>((resolve) => deadlines.start(deadline('timeout', resolve), 5))
    expect(expired).toEqual(['timeout'])
    pool.abort(descriptor)
    pool.close()
    await silent.close()
  })

  it('that is longer than setTimeout knows does not expire at once', async () => {
    const far = deadline('far')
    deadlines.start(far, 2 ** 31)
    await new Promise<void>((resolve) => deadlines.start(deadlineThat(resolve), 20))
    expect(expired).toEqual([])
    expect(far.isRunning).toBe(true)
    deadlines.stop(far)
  })

  it('calls back without the AsyncLocalStorage store of whoever started it', async () => {
    const storage = new AsyncLocalStorage<string>()
    const store = await new Promise((resolve) => {
      const timeout = deadlineThat(() => resolve(storage.getStore()))
      storage.run('request', () => deadlines.start(timeout, 2))
    })
    expect(store).toBeUndefined()
  })
})

describe('a deadline by a fake clock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })

  async function pass(ms: number): Promise<void> {
    vi.advanceTimersByTime(ms)
    await turn()
  }

  it.each([1, 5, 1000, 300_000])('of %i ms expires when that has passed, not before', async (ms) => {
    deadlines.start(deadline('timeout'), ms)
    await pass(ms - 1)
    expect(expired).toEqual([])
    await pass(1)
    expect(expired).toEqual(['timeout'])
  })

  it('expires once', async () => {
    const timeout = deadline('timeout')
    deadlines.start(timeout, 100)
    expect(timeout.isRunning).toBe(true)
    await pass(100)
    expect(timeout.isRunning).toBe(false)
    await pass(1000)
    expect(expired).toEqual(['timeout'])
  })

  it('keeps the order of starts, over all that have the same duration, with one timer', async () => {
    for (const name of ['a', 'b', 'c']) deadlines.start(deadline(name), 100)
    expect(vi.getTimerCount()).toBe(1)
    await pass(100)
    // Should the machine have stood still between two starts.
    await pass(50)
    expect(expired).toEqual(['a', 'b', 'c'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('expires by its own duration among others', async () => {
    deadlines.start(deadline('long'), 200)
    deadlines.start(deadline('short'), 100)
    await pass(100)
    expect(expired).toEqual(['short'])
    await pass(100)
    expect(expired).toEqual(['short', 'long'])
  })

  it.each([0, -1])('of %i ms is none, and stops one that runs', async (ms) => {
    const timeout = deadline('timeout')
    deadlines.start(timeout, 100)
    deadlines.start(timeout, ms)
    expect(timeout.isRunning).toBe(false)
    await pass(1000)
    expect(expired).toEqual([])
  })

  it.each(['first', 'middle', 'last'])('that was stopped does not expire, being the %s', async (stopped) => {
    const all = ['first', 'middle', 'last'].map((name) => ({ name, timeout: deadline(name) }))
    for (const { timeout } of all) deadlines.start(timeout, 100)
    const { timeout } = all.find(({ name }) => name === stopped)!
    deadlines.stop(timeout)
    deadlines.stop(timeout)
    await pass(100)
    await pass(50)
    expect(expired).toEqual(['first', 'middle', 'last'].filter((name) => name !== stopped))
  })

  it('that was restarted counts from then', async () => {
    const timeout = deadline('timeout')
    deadlines.start(timeout, 100)
    await pass(100)
    deadlines.start(timeout, 100)
    await pass(99)
    expect(expired).toEqual(['timeout'])
    await pass(1)
    expect(expired).toEqual(['timeout', 'timeout'])
  })

  it('that another restarts as it expires does not delay those in between', async () => {
    const first = deadline('first', () => deadlines.start(first, 100))
    deadlines.start(first, 100)
    await pass(2)
    deadlines.start(deadline('second'), 100)
    await pass(98)
    expect(expired).toEqual(['first'])
    await pass(50)
    expect(expired).toEqual(['first', 'second'])
  })

  it('that stops another as it expires keeps it from expiring', async () => {
    const second = deadline('second')
    deadlines.start(
      deadline('first', () => deadlines.stop(second)),
      100,
    )
    deadlines.start(second, 100)
    await pass(200)
    expect(expired).toEqual(['first'])
  })

  it('whose callback throws costs the others nothing', async () => {
    const uncaught = new Promise((resolve) => {
      const listeners = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      process.once('uncaughtException', (error) => {
        for (const listener of listeners) process.on('uncaughtException', listener)
        resolve(error.message)
      })
    })
    deadlines.start(
      deadline('first', () => {
        throw new Error('of the first')
      }),
      100,
    )
    deadlines.start(deadline('second'), 100)
    await pass(100)
    await pass(50)
    expect(await uncaught).toBe('of the first')
    expect(expired).toEqual(['first', 'second'])
  })

  it.each([
    ['in one step', [10_000]],
    ['in many steps', Array.from({ length: 10 }, () => 1000)],
  ])('expires within the call that moves the clock on, %s', (_how, steps) => {
    deadlines.start(deadline('first'), 2000)
    block(5)
    const second = deadline('second')
    deadlines.start(second, 2000)
    for (const ms of steps) vi.advanceTimersByTime(ms)
    expect(expired).toEqual(['first', 'second'])
  })

  it('counts from its start, whatever else of its duration was started and stopped before', async () => {
    const before = deadline('before')
    deadlines.start(before, 2000)
    await pass(1500)
    deadlines.stop(before)
    deadlines.start(deadline('timeout'), 2000)
    await pass(1999)
    expect(expired).toEqual([])
    await pass(1)
    expect(expired).toEqual(['timeout'])
  })

  it('is not moved by another system time', async () => {
    deadlines.start(deadline('timeout'), 1000)
    vi.setSystemTime(0)
    deadlines.start(deadline('next'), 1000)
    vi.setSystemTime(2 ** 42)
    await pass(999)
    expect(expired).toEqual([])
    await pass(1)
    expect(expired).toEqual(['timeout', 'next'])
  })

  it('does not count while its timers were cleared, but from the next start on', async () => {
    await pass(10_000)
    deadlines.start(deadline('cleared'), 1000)
    vi.clearAllTimers()
    await pass(1000)
    expect(expired).toEqual([])
    deadlines.start(deadline('next'), 1000)
    await pass(999)
    expect(expired).toEqual([])
    await pass(1)
    expect(expired).toEqual(['cleared', 'next'])
  })

  it('that outlives its clock starts anew with the next one, whatever the duration', async () => {
    deadlines.start(deadline('forgotten'), 5)
    deadlines.start(deadline('forgotten, too'), 50)
    vi.useRealTimers()
    await new Promise<void>((resolve) => {
      deadlines.start(deadline('next', resolve), 5)
    })
    expect(expired).toEqual(['forgotten', 'next'])
    await vi.waitFor(() => expect(expired).toEqual(['forgotten', 'next', 'forgotten, too']))
  })

  it('leaves alone those that the real clock has, and those of deadlines that always go by it', async () => {
    vi.useRealTimers()
    const own = new Deadlines(reactor, () => realClock)
    const real = new Promise<void>((resolve) => deadlines.start(deadline('real', resolve), 5))
    vi.useFakeTimers()
    deadlines.start(deadline('fake'), 5)
    await real
    await new Promise<void>((resolve) => own.start(deadline('own', resolve), 5))
    expect(expired).toEqual(['real', 'own'])
    await pass(5)
    expect(expired).toEqual(['real', 'own', 'fake'])
  })
})

describe('a deadline by a replaced setTimeout that nothing is known of', () => {
  const { setTimeout: realSetTimeout } = globalThis

  afterEach(() => {
    globalThis.setTimeout = realSetTimeout
  })

  it('expires at once when it fires before its time has passed: somebody has moved it', () => {
    const timers: (() => void)[] = []
    globalThis.setTimeout = ((callback: () => void) => timers.push(callback)) as never
    deadlines.start(deadline('timeout'), 1000)
    timers[0]!()
    expect(expired).toEqual(['timeout'])
  })

  it('waits for what has arrived when it calls the real one', async () => {
    const seen: string[] = []
    const fired = new Promise<void>((resolve) => {
      globalThis.setTimeout = ((callback: () => void, ms: number) =>
        realSetTimeout(() => {
          callback()
          seen.push(...expired, 'fired')
          resolve()
        }, ms)) as never
      deadlines.start(deadline('timeout'), 10)
    })
    await fired
    await turn()
    expect(seen).toEqual(['fired'])
    expect(expired).toEqual(['timeout'])
  })
})

describe('a deadline by a clock that is late', () => {
  let time = 0
  let timers: (() => void)[] = []
  const late: Clock = {
    setTimeout: (callback) => void timers.push(callback),
    now: () => time,
    isFake: false,
    wasMoved: () => false,
  }

  beforeEach(() => {
    time = 0
    timers = []
    deadlines = new Deadlines(reactor, () => late)
  })

  it('that is started while others wait for their turn does not delay them', async () => {
    deadlines.start(deadline('first'), 100)
    time = 2
    deadlines.start(deadline('second'), 100)
    time = 100
    timers.pop()!()
    deadlines.start(deadline('third'), 100)
    expect(timers).toEqual([])
    await turn()
    expect(expired).toEqual(['first'])
    time = 102
    timers.pop()!()
    await turn()
    expect(expired).toEqual(['first', 'second'])
  })

  it('is armed anew when its timer does not fire for long', async () => {
    deadlines.start(deadline('forgotten'), 100)
    timers = []
    time = 1101
    deadlines.start(deadline('next'), 100)
    timers.pop()!()
    await turn()
    expect(expired).toEqual(['forgotten'])
  })
})
