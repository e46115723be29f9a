/** A first look at the soak, in a few seconds; `npm run soak` is the long one. */
import { expect } from 'vitest'
import { soak } from '../soak/soak.js'
import { seedOf } from '../support/random.js'
import { itNative } from '../support/transport.js'

itNative('keeps its promises for a few seconds', { timeout: 60_000 }, async () => {
  const isKept = await soak({ requests: 2000, cases: 100, connections: 0, seconds: 6, seed: seedOf('soak') })
  expect(isKept).toBe(true)
})
