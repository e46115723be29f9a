/**
 * What may be written to a connection. This table is the whole truth: nothing changes the state but through
 * {@link nextState}, and a step that is not in the table is a bug of ours, not of the peer.
 */
import { type StateTable, stepsOf } from '../structures/state-table.js'

export type PipelineState =
  /** The next request, unless the body of the last one is still being sent. */
  | 'ready'
  /** A request is being written. Its callbacks, and subscribers, may do anything meanwhile, dispatch another included. */
  | 'writing'
  /** Nothing, before the head of a response is there: the last request does not want others behind it until then. */
  | 'blocked'
  /** Nothing more. What was written is still answered. */
  | 'last'
  /** Nothing more, and only the first response is still read: behind it a request was aborted, or could get a wrong one. */
  | 'cut'
  /** The connection has ended. */
  | 'over'

export type PipelineStep =
  | 'write'
  /** It is written, but perhaps for its body, or it was over before. */
  | 'written'
  /** The same for one that wants nothing behind it yet. */
  | 'block'
  /** Of a response. */
  | 'head'
  /** The connection takes no further request. */
  | 'last'
  | 'cut'
  | 'end'

const table: StateTable<PipelineState, PipelineStep> = {
  ready: { write: 'writing', last: 'last', cut: 'cut', end: 'over' },
  writing: { written: 'ready', block: 'blocked', last: 'last', cut: 'cut', end: 'over' },
  blocked: { head: 'ready', last: 'last', cut: 'cut', end: 'over' },
  last: { cut: 'cut', end: 'over' },
  cut: { end: 'over' },
  over: {},
}

/** @throws Error for a step that the table does not have */
export function nextState(state: PipelineState, step: PipelineStep): PipelineState {
  const next = table[state][step]
  if (next === undefined) throw new Error(`no step '${step}' from pipeline state '${state}'`)
  return next
}

/** Every allowed step. */
export const pipelineSteps = stepsOf(table)
