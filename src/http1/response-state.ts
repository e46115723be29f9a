/**
 * Where a connection is in the responses it reads. This table is the whole truth: nothing changes state but through
 * {@link nextState}, and a step that is not in the table is a bug of ours, not of the peer.
 */
import { type StateTable, stepsOf } from '../structures/state-table.js'

export type ResponseState =
  /** Between messages, or within a head. */
  | 'head'
  /** In a body of known length, 0 included. */
  | 'sized'
  /** In a chunked body or its trailers. */
  | 'chunked'
  /** In a body that FIN ends. */
  | 'until-close'
  /** What follows is not HTTP any more: Upgrade or CONNECT. */
  | 'tunnel'
  /** Nothing more is read. */
  | 'closed'

export type ResponseStep =
  /** A 1xx head. */
  | 'informational'
  /** A final head, named by the framing of its body. */
  | 'sized'
  | 'chunked'
  | 'until-close'
  | 'tunnel'
  /** The last byte of the message. */
  | 'end'
  /** The peer's FIN, a protocol error, or our own decision to read no further. */
  | 'close'

const table: StateTable<ResponseState, ResponseStep> = {
  head: {
    informational: 'head',
    sized: 'sized',
    chunked: 'chunked',
    'until-close': 'until-close',
    tunnel: 'tunnel',
    close: 'closed',
  },
  sized: { end: 'head', close: 'closed' },
  chunked: { end: 'head', close: 'closed' },
  'until-close': { close: 'closed' },
  tunnel: { close: 'closed' },
  closed: { close: 'closed' },
}

/** @throws Error for a step that the table does not have */
export function nextState(state: ResponseState, step: ResponseStep): ResponseState {
  const next = table[state][step]
  if (next === undefined) throw new Error(`no step '${step}' from response state '${state}'`)
  return next
}

/** Every allowed step. */
export const responseSteps = stepsOf(table)
