/**
 * Whose a descriptor of the pool is. This table is the whole truth: nothing changes the state but through
 * {@link Descriptor.move}, and a step that is not in the table is a bug of ours.
 */
import { type StateTable, stepsOf } from '../structures/state-table.js'

/** See {@link Descriptor}. */
export type DescriptorState =
  /** Somebody's, who connects it. */
  | 'leased'
  /** As before, but he has given a duplicate of it to Node, which must be closed first. */
  | 'lent'
  /** The pool's: dissolved, and ready for the next lease. */
  | 'idle'
  /** No longer the pool's. */
  | 'closed'

export type DescriptorStep =
  | 'lease'
  /** The regular end of a lease: dissolved and kept. */
  | 'release'
  /** The same for a connection that has not come to its end. */
  | 'abort'
  | 'lend'
  | 'take back'
  /** The end of a lease by close(2): nothing that could be kept. */
  | 'discard'
  /** The end of a lease by which somebody else becomes the owner. */
  | 'hand over'
  /** Closed while idle: there were too many, none was needed for long, or the pool was closed. */
  | 'evict'

const table: StateTable<DescriptorState, DescriptorStep> = {
  leased: { release: 'idle', abort: 'idle', lend: 'lent', discard: 'closed', 'hand over': 'closed' },
  lent: { 'take back': 'leased', discard: 'closed' },
  idle: { lease: 'leased', evict: 'closed' },
  closed: {},
}

/** @returns `undefined` for a step that the table does not have */
export function nextState(state: DescriptorState, step: DescriptorStep): DescriptorState | undefined {
  return table[state][step]
}

/** Every allowed step. */
export const descriptorSteps = stepsOf(table)
