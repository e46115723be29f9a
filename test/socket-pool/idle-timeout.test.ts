/** How long descriptors wait that nobody leases again: `idleSocketTimeout`, by a fake clock in the place of the real one. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SocketPool, type SocketPoolOptions } from '../../src/socket-pool/socket-pool.js'
import { countDescriptors } from '../support/descriptors.js'

vi.mock('../../src/sys/real-timers.js', async (original) => ({
  ...(await original<typeof import('../../src/sys/real-timers.js')>()),
  setTimeout: (...rest: Parameters<typeof setTimeout>) => setTimeout(...rest),
  clearTimeout: (timer: NodeJS.Timeout) => clearTimeout(timer),
}))

const peer = { address: '127.0.0.1', port: 9 }

let pool: SocketPool
let before = 0

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  pool.close()
  expect(countDescriptors()).toBe(before)
  vi.useRealTimers()
})

function poolWith(options: SocketPoolOptions): SocketPool {
  // What a thread keeps is open from here on.
  new SocketPool().close()
  before = countDescriptors()
  pool = new SocketPool(options)
  return pool
}

function use(count = 1): void {
  const leases = Array.from({ length: count }, () => pool.lease(peer))
  for (const descriptor of leases) pool.release(descriptor)
}

it.each([
  ['30 s by default', {}, 30_000],
  ['as long as the option says', { idleSocketTimeout: 500 }, 500],
])('they are closed after %s', (_how, options, timeoutMs) => {
  poolWith(options)
  use(3)
  vi.advanceTimersByTime(timeoutMs - 1)
  expect(pool.stats.idle).toBe(3)
  vi.advanceTimersByTime(1)
  expect(pool.stats).toMatchObject({ idle: 0, closed: 3 })
})

it('they are all kept as long as one of them is leased again and again', () => {
  poolWith({ idleSocketTimeout: 500 })
  use(3)
  for (let i = 0; i < 10; i++) {
    vi.advanceTimersByTime(400)
    use()
  }
  expect(pool.stats).toMatchObject({ idle: 3, fresh: 3, recycled: 10 })
  vi.advanceTimersByTime(1000)
  expect(pool.stats.idle).toBe(0)
})

it('they are kept for ever with 0', () => {
  poolWith({ idleSocketTimeout: 0 })
  use(3)
  vi.advanceTimersByTime(10 ** 9)
  expect(pool.stats.idle).toBe(3)
})

it('no timer is armed while all of them are leased, nor when the pool is closed', () => {
  poolWith({ idleSocketTimeout: 500 })
  use()
  const descriptor = pool.lease(peer)
  vi.advanceTimersByTime(500)
  expect(vi.getTimerCount()).toBe(0)
  pool.release(descriptor)
  expect(vi.getTimerCount()).toBe(1)
  pool.close()
  expect(vi.getTimerCount()).toBe(0)
})
