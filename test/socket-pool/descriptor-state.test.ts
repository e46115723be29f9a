import { describe, expect, it } from 'vitest'
import { Descriptor } from '../../src/socket-pool/descriptor.js'
import {
  type DescriptorState,
  type DescriptorStep,
  descriptorSteps,
  nextState,
} from '../../src/socket-pool/descriptor-state.js'
import { Peer } from '../../src/socket-pool/peer.js'

const states: DescriptorState[] = ['leased', 'lent', 'idle', 'closed']
const steps: DescriptorStep[] = ['lease', 'release', 'abort', 'lend', 'take back', 'discard', 'hand over', 'evict']

const legal: [from: DescriptorState, step: DescriptorStep, to: DescriptorState][] = [
  ['leased', 'release', 'idle'],
  ['leased', 'abort', 'idle'],
  ['leased', 'lend', 'lent'],
  ['leased', 'discard', 'closed'],
  ['leased', 'hand over', 'closed'],
  ['lent', 'take back', 'leased'],
  ['lent', 'discard', 'closed'],
  ['idle', 'lease', 'leased'],
  ['idle', 'evict', 'closed'],
]

const illegal = states
  .flatMap((from) => steps.map((step) => [from, step] as const))
  .filter(([from, step]) => !legal.some((row) => row[0] === from && row[1] === step))

/** By which steps a descriptor gets from its first state to this one. */
const ways: Record<DescriptorState, DescriptorStep[]> = {
  leased: [],
  lent: ['lend'],
  idle: ['release'],
  closed: ['discard'],
}

function descriptorThatIs(state: DescriptorState): Descriptor {
  const descriptor = new Descriptor(-1, Peer.internet({ address: '127.0.0.1', port: 9 }))
  for (const step of ways[state]) descriptor.move(step)
  expect(descriptor.state).toBe(state)
  return descriptor
}

it.each(legal)("a descriptor goes from '%s' by '%s' to '%s'", (from, step, to) => {
  const descriptor = descriptorThatIs(from)
  descriptor.assertMay(step)
  expect(descriptor.state).toBe(from)
  descriptor.move(step)
  expect(descriptor.state).toBe(to)
})

it.each(illegal)("a descriptor refuses from '%s' the step '%s'", (from, step) => {
  const descriptor = descriptorThatIs(from)
  expect(nextState(from, step)).toBeUndefined()
  expect(() => descriptor.assertMay(step)).toThrow(`descriptor -1 is ${from}: no step '${step}'`)
  expect(() => descriptor.move(step)).toThrow(`descriptor -1 is ${from}: no step '${step}'`)
  expect(descriptor.state).toBe(from)
})

describe('descriptorSteps', () => {
  it('lists every legal step and no other', () => {
    expect([...descriptorSteps].sort()).toEqual([...legal].sort())
  })
})
