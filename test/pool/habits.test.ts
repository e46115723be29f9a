import { describe, expect, it } from 'vitest'
import {
  CLOSING_DELAY_MS,
  FIN_DELAY_MS,
  type Habit,
  Habits,
  habitSteps,
  WAVERING_DELAY_MS,
} from '../../src/pool/habits.js'

/** Brings an origin's habit about, as its connections would. */
const known: Record<Habit, () => Habits> = {
  unknown: () => new Habits(),
  persists() {
    const habits = new Habits()
    habits.onAnswered(1)
    habits.onAnswered(2)
    return habits
  },
  closes() {
    const habits = new Habits()
    habits.onAnswered(1)
    habits.onClosed(0)
    return habits
  },
  wavers() {
    const habits = known.persists()
    habits.onClosed(0)
    return habits
  },
}

it.each(Object.keys(known) as Habit[])('an origin can be known as one that %s', (habit) => {
  expect(known[habit]().habit).toBe(habit)
})

describe('an origin', () => {
  it('is not learned of by its first response alone', () => {
    const habits = new Habits()
    habits.onAnswered(1)
    habits.onAnswered(1)
    expect(habits.habit).toBe('unknown')
  })

  it('that closed is unknown again when a connection has stayed open', () => {
    const habits = known.closes()
    habits.onStayedOpen()
    expect(habits.habit).toBe('unknown')
  })

  it('that closed wavers when a connection is answered again', () => {
    const habits = known.closes()
    habits.onAnswered(2)
    expect(habits.habit).toBe('wavers')
  })

  it('that wavers persists again after a thousand responses without a FIN behind them', () => {
    const habits = known.wavers()
    for (let i = 0; i < 999; i++) habits.onAnswered(2)
    habits.onClosed(0)
    for (let i = 0; i < 999; i++) habits.onAnswered(2)
    expect(habits.habit).toBe('wavers')
    habits.onAnswered(2)
    expect(habits.habit).toBe('persists')
  })

  it('is not judged by a FIN that comes long after its response', () => {
    const unknown = known.unknown()
    unknown.onClosed(CLOSING_DELAY_MS + 1)
    expect(unknown.habit).toBe('unknown')
    const persisting = known.persists()
    persisting.onClosed(FIN_DELAY_MS + 1)
    expect(persisting.habit).toBe('persists')
  })
})

it('what waits, and for how long, depends on what is known', () => {
  expect([known.unknown().delayMs(true), known.unknown().delayMs(false)]).toEqual([FIN_DELAY_MS, FIN_DELAY_MS])
  expect([known.wavers().delayMs(true), known.wavers().delayMs(false)]).toEqual([0, WAVERING_DELAY_MS])
  expect([known.persists().persists, known.unknown().persists]).toEqual([true, false])
  expect([known.closes().closes, known.wavers().closes]).toEqual([true, false])
})

it('habitSteps lists every step', () => {
  expect(habitSteps.map(([from, step, to]) => `${from}: ${step} -> ${to}`)).toEqual([
    'unknown: answered again -> persists',
    'unknown: closed -> closes',
    'unknown: stayed open -> unknown',
    'persists: answered again -> persists',
    'persists: closed -> wavers',
    'persists: stayed open -> persists',
    'closes: answered again -> wavers',
    'closes: closed -> closes',
    'closes: stayed open -> unknown',
    'wavers: answered again -> wavers',
    'wavers: closed -> wavers',
    'wavers: stayed open -> wavers',
    'wavers: settled -> persists',
  ])
})
