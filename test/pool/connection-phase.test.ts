import { describe, expect, it } from 'vitest'
import {
  type ConnectionPhase,
  type ConnectionStep,
  connectionSteps,
  nextPhase,
} from '../../src/pool/connection-phase.js'

const phases: ConnectionPhase[] = ['connecting', 'open', 'closed']
const steps: ConnectionStep[] = ['connected', 'failed', 'peer', 'self', 'abort', 'tunnel']

const legal: [from: ConnectionPhase, step: ConnectionStep, to: ConnectionPhase][] = [
  ['connecting', 'connected', 'open'],
  ['connecting', 'failed', 'closed'],
  ['connecting', 'self', 'closed'],
  ['connecting', 'abort', 'closed'],
  ['open', 'peer', 'closed'],
  ['open', 'self', 'closed'],
  ['open', 'abort', 'closed'],
  ['open', 'tunnel', 'closed'],
]

const illegal = phases
  .flatMap((from) => steps.map((step) => [from, step] as const))
  .filter(([from, step]) => !legal.some((row) => row[0] === from && row[1] === step))

describe('nextPhase', () => {
  it.each(legal)("goes from '%s' by '%s' to '%s'", (from, step, to) => {
    expect(nextPhase(from, step)).toBe(to)
  })

  it.each(illegal)("refuses from '%s' the step '%s'", (from, step) => {
    expect(() => nextPhase(from, step)).toThrow(`no step '${step}' from connection phase '${from}'`)
  })
})

it('connectionSteps lists every legal step and no other', () => {
  expect([...connectionSteps].sort()).toEqual([...legal].sort())
})
