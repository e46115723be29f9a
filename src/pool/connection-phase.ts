/**
 * How far a connection's life has come. This table is the whole truth: nothing changes the phase but through
 * {@link nextPhase}, and a step that is not in the table is a bug of ours, not of the peer.
 */
import { type StateTable, stepsOf } from '../structures/state-table.js'

export type ConnectionPhase =
  /** There is no wire yet. */
  | 'connecting'
  /** Requests are written, and responses read. */
  | 'open'
  /** The wire has been given back, or away. */
  | 'closed'

export type ConnectionStep =
  /** The connector has made a wire. */
  | 'connected'
  /** The connector could not. */
  | 'failed'
  /** An end in good order: after the peer's FIN, or on our own account. */
  | 'peer'
  | 'self'
  /** An end at once: a failure, or somebody gave it up. */
  | 'abort'
  /** Upgrade or CONNECT: the wire is somebody else's from now on. */
  | 'tunnel'

const table: StateTable<ConnectionPhase, ConnectionStep> = {
  connecting: { connected: 'open', failed: 'closed', self: 'closed', abort: 'closed' },
  open: { peer: 'closed', self: 'closed', abort: 'closed', tunnel: 'closed' },
  closed: {},
}

/** @throws Error for a step that the table does not have */
export function nextPhase(phase: ConnectionPhase, step: ConnectionStep): ConnectionPhase {
  const next = table[phase][step]
  if (next === undefined) throw new Error(`no step '${step}' from connection phase '${phase}'`)
  return next
}

/** Every allowed step. */
export const connectionSteps = stepsOf(table)
