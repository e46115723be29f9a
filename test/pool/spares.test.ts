/** How many spares an origin is to have, and when none is made. */
import { beforeEach, describe, expect, it } from 'vitest'
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS, type SpareStats, Spares } from '../../src/pool/spares.js'
import type { Clock } from '../../src/reactor/clock.js'
import { Deadlines } from '../../src/reactor/deadlines.js'
import { type Scheduler, TaskQueue } from '../../src/reactor/scheduler.js'

const KEPT_MS = 4000

/** Its turns are taken, and its time goes on, when the test says so. */
class Bench {
  now = 0
  room = Number.POSITIVE_INFINITY
  made = 0
  ended = 0
  readonly stats: SpareStats = { made: 0, used: 0, closedUnused: 0, failed: 0, backingOff: 0 }
  readonly spares: Spares
  readonly #tasks = new TaskQueue()
  #timers: { at: number; callback: () => void }[] = []

  constructor(spareConnections: number) {
    const scheduler: Scheduler = { turn: 0, later: (task) => this.#tasks.add(task), hold() {}, letGo() {} }
    const clock: Clock = {
      setTimeout: (callback, delayMs) => void this.#timers.push({ at: this.now + delayMs, callback }),
      now: () => this.now,
      isFake: true,
      wasMoved: () => true,
    }
    const waits = new Deadlines(scheduler, () => clock)
    const options = { spareConnections, keepAliveTimeout: KEPT_MS }
    this.spares = new Spares(this, options, scheduler, waits, this.stats)
  }

  makeSpare(): boolean {
    if (this.made === this.room) return false
    this.made++
    return true
  }

  endSpares(): void {
    this.ended++
  }

  turn(): void {
    this.#tasks.run()
  }

  pass(ms: number): void {
    const end = this.now + ms
    for (;;) {
      this.#timers.sort((one, other) => one.at - other.at)
      const next = this.#timers[0]
      if (next === undefined || next.at > end) break
      this.now = Math.max(this.now, next.at)
      this.#timers.shift()
      next.callback()
    }
    this.now = end
    this.turn()
  }
}

let bench: Bench
beforeEach(() => {
  bench = new Bench(3)
})

/** The origin has ended a connection, and a spare was made. */
function awake(): void {
  bench.spares.onEndOfOrigin()
  bench.turn()
}

it('none is made before the origin has ended a connection', () => {
  bench.spares.onRequest()
  bench.spares.onMissed()
  bench.turn()
  expect(bench.made).toBe(0)
  expect(bench.spares.isAwake).toBe(false)
})

it('one is made then, and not within what tells of it', () => {
  bench.spares.onEndOfOrigin()
  expect(bench.made).toBe(0)
  bench.turn()
  expect(bench.made).toBe(1)
})

it('further ends make no more of them', () => {
  awake()
  awake()
  expect(bench.made).toBe(1)
})

it('one more is made whenever one is taken', () => {
  awake()
  for (let i = 0; i < 4; i++) {
    bench.spares.onTaken()
    bench.turn()
  }
  expect(bench.stats).toMatchObject({ made: 5, used: 4 })
})

it('one more is kept for each request that found none, up to the limit', () => {
  awake()
  for (let i = 0; i < 5; i++) bench.spares.onMissed()
  bench.turn()
  expect(bench.made).toBe(3)
})

it('one fewer is kept when one was not taken in time', () => {
  awake()
  bench.spares.onMissed()
  bench.turn()
  expect(bench.made).toBe(2)
  bench.spares.onEnded('unneeded')
  bench.spares.onTaken()
  bench.turn()
  expect(bench.made).toBe(3)
})

it('a connection that its request has left is one of them', () => {
  awake()
  bench.spares.onLeft()
  bench.spares.onTaken()
  bench.turn()
  expect(bench.made).toBe(1)
})

it('where there is no room none is made, until something changes', () => {
  bench.room = 0
  awake()
  bench.room = 1
  awake()
  expect(bench.made).toBe(1)
})

it('they end when no request has come for keepAliveTimeout, and are not made again', () => {
  awake()
  bench.pass(KEPT_MS - 1)
  bench.spares.onRequest()
  bench.pass(KEPT_MS - 1)
  expect(bench.ended).toBe(0)
  bench.pass(2)
  expect(bench.ended).toBe(1)
  bench.spares.onEnded('unneeded')
  bench.spares.onRequest()
  bench.pass(KEPT_MS)
  expect(bench.made).toBe(1)
  awake()
  expect(bench.made).toBe(2)
})

describe('backing off', () => {
  /** @returns how long none is made, in milliseconds */
  function pause(): number {
    const { made } = bench
    const start = bench.now
    while (bench.made === made) {
      bench.spares.onRequest()
      bench.spares.onEndOfOrigin()
      bench.pass(100)
    }
    return bench.now - start
  }

  it('begins with the third in a row that the peer closes unused', () => {
    awake()
    for (let i = 0; i < 2; i++) {
      bench.spares.onEnded('closed')
      bench.turn()
    }
    expect(bench.stats).toMatchObject({ made: 3, closedUnused: 2, backingOff: 0 })
    bench.spares.onEnded('closed')
    bench.turn()
    expect(bench.stats).toMatchObject({ made: 3, closedUnused: 3, backingOff: 1 })
    expect(pause()).toBe(FIRST_PAUSE_MS)
    expect(bench.stats).toMatchObject({ made: 4, backingOff: 0 })
  })

  it('does not begin when one of them was of use', () => {
    awake()
    for (let i = 0; i < 6; i++) {
      if (i % 2 === 0) bench.spares.onTaken()
      else bench.spares.onEnded('closed')
      bench.turn()
    }
    expect(bench.stats).toMatchObject({ made: 7, backingOff: 0 })
  })

  it('begins with the first that cannot be made, and takes twice as long each time, up to a limit', () => {
    awake()
    const pauses: number[] = []
    for (let i = 0; i < 8; i++) {
      bench.spares.onEnded('failed')
      pauses.push(pause())
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1000))
    expect(pauses.at(-1)).toBe(LONGEST_PAUSE_MS)
    expect(bench.stats).toMatchObject({ failed: 8, backingOff: 0 })
  })

  it('begins anew with the first pause once a spare was of use', () => {
    awake()
    for (let i = 0; i < 3; i++) {
      bench.spares.onEnded('failed')
      pause()
    }
    bench.spares.onTaken()
    bench.turn()
    bench.spares.onEnded('failed')
    expect(pause()).toBe(FIRST_PAUSE_MS)
  })

  it('is over when no request comes, but not forgotten', () => {
    awake()
    bench.spares.onEnded('failed')
    bench.spares.onRequest()
    bench.spares.stop()
    expect(bench.stats.backingOff).toBe(0)
    awake()
    bench.spares.onEnded('failed')
    expect(bench.stats.backingOff).toBe(1)
    expect(pause()).toBe(2 * FIRST_PAUSE_MS)
  })

  it('does not begin for a spare that fails when none is wanted any more', () => {
    awake()
    bench.spares.stop()
    bench.spares.onEnded('failed')
    expect(bench.stats).toMatchObject({ failed: 1, backingOff: 0 })
  })
})
