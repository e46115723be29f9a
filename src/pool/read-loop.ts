/** Moves bytes from a wire to a response reader until there is nothing left, or somebody says stop. */
import { receiveWindow } from '../http1/llhttp.js'
import type { ProtocolError } from '../http1/protocol-error.js'
import type { ResponseReader } from '../http1/response-reader.js'
import { MAX_CHUNK_SIZE, Received, type Wire } from '../transport/wire.js'

/** Why reading ended, when it was not a protocol error. */
export const ReadEnd = {
  /** Nothing is there now, or nothing is wanted: readiness or the handler will tell. */
  Empty: 0,
  /** There may be more, but others have their turn first. */
  Budget: 1,
  /** The peer's FIN. */
  Fin: 2,
  /** The connection failed; see `Wire.error`. */
  Failed: 3,
} as const
export type ReadEnd = (typeof ReadEnd)[keyof typeof ReadEnd]

/** Bytes that one connection may read in one turn of the event loop, so that none starves the others. */
const READ_BUDGET = 1 << 19

/**
 * Reads until the socket is empty, the reader is paused or stopped, or the budget is used up. A body whose length does
 * not depend on its content goes past the parser, into memory of its own.
 */
export function readWhatIsThere(wire: Wire, reader: ResponseReader): ReadEnd | ProtocolError {
  let budget = READ_BUDGET
  while (!reader.isPaused && reader.state !== 'closed') {
    const room = reader.directRoom
    let capacity: number
    let length: number
    let error: ProtocolError | null = null
    if (room > 0) {
      const chunk = wire.receiveChunk(room)
      capacity = Math.min(room, MAX_CHUNK_SIZE)
      length = typeof chunk === 'number' ? chunk : chunk.length
      if (typeof chunk !== 'number') error = reader.receiveBody(chunk)
    } else {
      const window = receiveWindow()
      capacity = window.length
      length = wire.receive(window)
      if (length > 0) error = reader.receive(length)
    }
    if (length === Received.Nothing) return ReadEnd.Empty
    if (length === Received.End) return ReadEnd.Fin
    if (length === Received.Failed) return ReadEnd.Failed
    if (error !== null) return error
    // A short read emptied a socket (epoll(7)); only what ended it is worth another call.
    const mayBeEmpty = length < capacity && wire.isEmptyAfterShortRead
    if (mayBeEmpty && !wire.isPeerClosed && wire.error === null) return ReadEnd.Empty
    budget -= length
    if (budget <= 0) return ReadEnd.Budget
  }
  return ReadEnd.Empty
}
