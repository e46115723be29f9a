/** The quick part of the fuzzer; `test/soak/fuzz.mjs` is the long one. */
import { expect, it } from 'vitest'
import { fuzz } from '../soak/fuzz.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { seedOf } from '../support/random.js'

expectNoDescriptorLeft()

it('whatever a peer sends is read alike in all manners, and as undici reads it', async () => {
  const { done, failures } = await fuzz({ seed: seedOf('fuzz'), cases: 1500, timeMs: 15_000 })
  expect(failures).toEqual([])
  expect(done).toBeGreaterThan(0)
})
