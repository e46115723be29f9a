import { describe, expect, it } from 'vitest'
import { nextState, type ResponseState, type ResponseStep, responseSteps } from '../../src/http1/response-state.js'

const states: ResponseState[] = ['head', 'sized', 'chunked', 'until-close', 'tunnel', 'closed']
const steps: ResponseStep[] = ['informational', 'sized', 'chunked', 'until-close', 'tunnel', 'end', 'close']

const legal: [from: ResponseState, step: ResponseStep, to: ResponseState][] = [
  ['head', 'informational', 'head'],
  ['head', 'sized', 'sized'],
  ['head', 'chunked', 'chunked'],
  ['head', 'until-close', 'until-close'],
  ['head', 'tunnel', 'tunnel'],
  ['head', 'close', 'closed'],
  ['sized', 'end', 'head'],
  ['sized', 'close', 'closed'],
  ['chunked', 'end', 'head'],
  ['chunked', 'close', 'closed'],
  ['until-close', 'close', 'closed'],
  ['tunnel', 'close', 'closed'],
  ['closed', 'close', 'closed'],
]

const illegal = states
  .flatMap((from) => steps.map((step) => [from, step] as const))
  .filter(([from, step]) => !legal.some((row) => row[0] === from && row[1] === step))

describe('nextState', () => {
  it.each(legal)("goes from '%s' by '%s' to '%s'", (from, step, to) => {
    expect(nextState(from, step)).toBe(to)
  })

  it.each(illegal)("refuses from '%s' the step '%s'", (from, step) => {
    expect(() => nextState(from, step)).toThrow(`no step '${step}' from response state '${from}'`)
  })
})

describe('responseSteps', () => {
  it('lists every legal step and no other', () => {
    expect([...responseSteps].sort()).toEqual([...legal].sort())
  })

  it('reaches every state from the first one', () => {
    const reached = new Set<ResponseState>(['head'])
    for (const from of reached) for (const [source, , to] of responseSteps) if (source === from) reached.add(to)
    expect([...reached].sort()).toEqual([...states].sort())
  })
})
