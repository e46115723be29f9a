/** A first look at the soak, in a few seconds; `npm run soak` is the long one. */
import { expect } from 'vitest'
import { soak } from '../soak/soak.js'
import { seedOf } from '../support/random.js'
import { itNative } from '../support/transport.js'

itNative('keeps its promises for a few seconds of everything at once', { timeout: 60_000 }, async () => {
  const isKept = await soak({ requests: 4000, cases: 200, connections: 0, seconds: 8, seed: seedOf('soak') })
  expect(isKept).toBe(true)
})
