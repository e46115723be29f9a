/** When the memory that handshakes leave behind is given back. */
import { expect, it, vi } from 'vitest'
import type { Deadline, DeadlineOwner, Deadlines } from '../../src/reactor/deadlines.js'
import { releaseFreeMemory } from '../../src/sys/allocator.js'
import { BURST, HandshakeBurst } from '../../src/transport/handshake-burst.js'
import { itNative } from '../support/transport.js'

/** Deadlines that expire when they are told to. */
class HeldDeadlines {
  readonly started: number[] = []
  #deadline: Deadline | null = null

  start(deadline: Deadline, durationMs: number): void {
    this.started.push(durationMs)
    this.#deadline = deadline
  }

  expire(): void {
    const deadline = this.#deadline
    this.#deadline = null
    if (deadline !== null) (deadline.owner as DeadlineOwner).onDeadline(deadline)
  }
}

function begin() {
  const waits = new HeldDeadlines()
  const release = vi.fn()
  const handshakes = new HandshakeBurst(waits as unknown as Deadlines, release)
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) handshakes.begins()
    for (let i = 0; i < count; i++) handshakes.ends()
  }
  return { waits, release, handshakes, run }
}

it('gives memory back when the last handshake of a burst is over, a moment later, and once', () => {
  const { waits, release, run } = begin()
  run(BURST)
  expect(waits.started).toEqual([100])
  expect(release).not.toHaveBeenCalled()
  waits.expire()
  expect(release).toHaveBeenCalledOnce()
  run(1)
  expect(waits.started).toEqual([100])
})

it('does not for fewer, however many there are one after the other', () => {
  const { waits, run } = begin()
  for (let i = 0; i < 3; i++) run(BURST - 1)
  expect(waits.started).toEqual([])
})

it('does not while others have begun: it does behind the last of them', () => {
  const { waits, release, handshakes, run } = begin()
  run(BURST)
  handshakes.begins()
  waits.expire()
  expect(release).not.toHaveBeenCalled()
  handshakes.ends()
  waits.expire()
  expect(release).toHaveBeenCalledOnce()
})

it('does so once in ten seconds', () => {
  const { waits, release, run } = begin()
  run(BURST)
  waits.expire()
  run(BURST)
  expect(waits.started).toHaveLength(2)
  expect(waits.started[1]).toBeGreaterThan(9000)
  waits.expire()
  expect(release).toHaveBeenCalledTimes(2)
})

itNative('asks the allocator, which takes no harm', () => {
  const bytes = Buffer.alloc(1 << 20, 1)
  releaseFreeMemory()
  releaseFreeMemory()
  expect(bytes.every((byte) => byte === 1)).toBe(true)
})
