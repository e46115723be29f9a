/** A first look at races of reuse; `npm run soak` takes a longer one. test/soak/races.ts has the scenarios. */
import { expect, it, onTestFinished } from 'vitest'
import type { ClientName } from '../soak/race-scenarios.js'
import { races } from '../soak/races.js'
import { Program } from '../support/child.js'
import { seedOf } from '../support/random.js'
import { isNative } from '../support/transport.js'

it('no more is lost, by whatever race, than cannot be sent again', { timeout: 60_000 }, async () => {
  const clients: ClientName[] = ["undici's Agent", ...(isNative ? (['native'] as const) : []), 'net']
  const program = await Program.from(new URL('../programs/ending-upstream.ts', import.meta.url))
  onTestFinished(() => program.delete())
  const order = { requests: 24, rounds: 2, seconds: 10, seed: seedOf('races'), clients, program: program.file }
  const { rows, verdicts } = await races(order)
  expect(rows.length).toBeGreaterThan(100)
  expect(verdicts.filter(({ kept }) => !kept)).toEqual([])
})
