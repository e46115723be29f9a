import { describe, expect, it } from 'vitest'
import { nextState, type PipelineState, type PipelineStep, pipelineSteps } from '../../src/pool/pipeline-state.js'

const states: PipelineState[] = ['ready', 'writing', 'blocked', 'last', 'cut', 'over']
const steps: PipelineStep[] = ['write', 'written', 'block', 'head', 'last', 'cut', 'end']

const legal: [from: PipelineState, step: PipelineStep, to: PipelineState][] = [
  ['ready', 'write', 'writing'],
  ['ready', 'last', 'last'],
  ['ready', 'cut', 'cut'],
  ['ready', 'end', 'over'],
  ['writing', 'written', 'ready'],
  ['writing', 'block', 'blocked'],
  ['writing', 'last', 'last'],
  ['writing', 'cut', 'cut'],
  ['writing', 'end', 'over'],
  ['blocked', 'head', 'ready'],
  ['blocked', 'last', 'last'],
  ['blocked', 'cut', 'cut'],
  ['blocked', 'end', 'over'],
  ['last', 'cut', 'cut'],
  ['last', 'end', 'over'],
  ['cut', 'end', 'over'],
]

const illegal = states
  .flatMap((from) => steps.map((step) => [from, step] as const))
  .filter(([from, step]) => !legal.some((row) => row[0] === from && row[1] === step))

describe('nextState', () => {
  it.each(legal)("goes from '%s' by '%s' to '%s'", (from, step, to) => {
    expect(nextState(from, step)).toBe(to)
  })

  it.each(illegal)("refuses from '%s' the step '%s'", (from, step) => {
    expect(() => nextState(from, step)).toThrow(`no step '${step}' from pipeline state '${from}'`)
  })
})

it('pipelineSteps lists every legal step and no other', () => {
  expect([...pipelineSteps].sort()).toEqual([...legal].sort())
})
