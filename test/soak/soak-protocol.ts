/** What the soak's client and its upstream have agreed on: which bytes belong to which request. */
import { randomOf } from '../support/random.js'

/** Between the pieces of a response that comes in pieces. */
export const SLOW_MS = 2
/** For the next byte of one that comes too late; longer than the client waits. */
export const LATE_MS = 3000
/** How long the client waits for that, where it is to be in vain. */
export const IMPATIENT_MS = 150

export const MAX_SIZE = 65_536
/** Large enough, and of odd length, that two requests next to each other have nothing in common. */
const TABLE_SIZE = 1_048_573
const STRIDE = 7919

const table = Buffer.allocUnsafeSlow(TABLE_SIZE + MAX_SIZE)
const next = randomOf(1)
for (let i = 0; i < TABLE_SIZE; i += 4) table.writeUInt32LE(next(2 ** 32), Math.min(i, TABLE_SIZE - 4))
table.copy(table, TABLE_SIZE, 0, MAX_SIZE)

/** The body that belongs to a request: a view, not to be written to. */
export function bodyOf(id: number, size: number): Buffer {
  const at = (id * STRIDE) % TABLE_SIZE
  return table.subarray(at, at + size)
}
