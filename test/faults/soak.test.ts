/** A first look at the soak, in a few seconds; `npm run soak` is the long one. */
import { expect } from 'vitest'
import { soak } from '../soak/soak.js'
import { seedOf } from '../support/random.js'
import { itNative } from '../support/transport.js'

itNative('keeps its promises for a few seconds', { timeout: 60_000 }, async () => {
  // Races of reuse have a test of their own.
  const order = {
    requests: 2000,
    handshakes: 300,
    records: 50,
    races: 0,
    cases: 100,
    connections: 0,
    seconds: 8,
    seed: seedOf('soak'),
  }
  const isKept = await soak(order)
  expect(isKept).toBe(true)
})
