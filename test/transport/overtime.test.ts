/** Whether an attempt to connect whose time is up may go on: by how late that is told, and by what has moved. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Deadline, Deadlines } from '../../src/reactor/deadlines.js'
import type { Scheduler, Task } from '../../src/reactor/scheduler.js'
import { type Attempt, Overtime } from '../../src/transport/overtime.js'

const CONNECT_TIMEOUT_MS = 3000

let tasks: Task[] = []
let running: { deadline: Deadline; durationMs: number } | null = null
let attempt: Attempt & { isOver: boolean; progress: number; hasTimedOut: boolean }
const deadlines = {
  lateness: 0,
  start(deadline: Deadline, durationMs: number) {
    running = { deadline, durationMs }
  },
  stop() {
    running = null
  },
}
const scheduler = { later: (task: Task) => tasks.push(task) } as unknown as Scheduler

beforeEach(() => {
  tasks = []
  running = null
  attempt = {
    isOver: false,
    progress: 0,
    hasTimedOut: false,
    timeOut() {
      this.hasTimedOut = true
    },
  }
})

function begin(lateness: number, connectTimeout = CONNECT_TIMEOUT_MS): Overtime {
  deadlines.lateness = lateness
  return Overtime.begin(scheduler, deadlines as unknown as Deadlines, attempt, connectTimeout)
}

function expire(lateness: number): void {
  deadlines.lateness = lateness
  const { deadline } = running!
  running = null
  deadline.owner.onDeadline(deadline)
}

/** @returns after how many turns of the event loop the attempt has timed out */
function turnsUntilTimeOut(): number {
  let turns = 0
  for (; tasks.length > 0 && !attempt.hasTimedOut; turns++) for (const task of tasks.splice(0)) task.run()
  return attempt.hasTimedOut ? turns : Number.NaN
}

describe('a deadline in time', () => {
  it.each([0, 5, 20])('(%i ms late) leaves two more turns, whatever moves in them', (lateness) => {
    begin(lateness)
    attempt.progress++
    expect(turnsUntilTimeOut()).toBe(2)
    expect(running).toBeNull()
  })

  it('is none for an attempt that has succeeded in these', () => {
    begin(0)
    attempt.isOver = true
    expect(turnsUntilTimeOut()).toBeNaN()
  })
})

describe('a deadline that is late', () => {
  it.each([
    ['a second', 21, 3000, 1000],
    ['as much as it is late', 2000, 3000, 2000],
    ['connectTimeout', 2000, 500, 500],
    ['connectTimeout', 5000, 3000, 3000],
  ])('gives the attempt %s more (%i ms late of %i)', (_what, lateness, connectTimeout, expected) => {
    begin(lateness, connectTimeout)
    expect(running?.durationMs).toBe(expected)
    expect(turnsUntilTimeOut()).toBeNaN()
    expire(0)
    expect(turnsUntilTimeOut()).toBe(2)
  })

  it('gives more once, where nothing moves', () => {
    begin(100)
    expire(100)
    expect([running, turnsUntilTimeOut()]).toEqual([null, 2])
  })

  it('gives more five times at most, where something moves each time', () => {
    begin(100)
    for (let renewals = 1; renewals < 5; renewals++) {
      attempt.progress++
      expire(100)
      expect(running).not.toBeNull()
    }
    attempt.progress++
    expire(100)
    expect([running, turnsUntilTimeOut()]).toEqual([null, 2])
  })

  it('waits no longer for an attempt that is over', () => {
    begin(100).stop()
    expect(running).toBeNull()
  })
})
