import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lowerCased } from '../../src/http1/field-name.js'

/** Few characters, so that names meet in one place; RFC 9110 5.6.2. */
const tokens = fc.string({ unit: fc.constantFrom('a', 'A', 'b', 'B', '-', '1'), minLength: 1, maxLength: 70 })

describe('a field name', () => {
  it('is in lower case, whatever names came before it', () => {
    fc.assert(
      fc.property(fc.array(tokens, { minLength: 1, maxLength: 50 }), fc.string(), (names, before) => {
        for (const name of names) {
          const text = `${before}${name}: value`
          expect(lowerCased(text, before.length, name.length)).toBe(name.toLowerCase())
        }
      }),
      { numRuns: 300 },
    )
  })

  it.each(['__proto__', 'CONSTRUCTOR', 'hasOwnProperty', '0'])('is no more than a name: %s', (name) => {
    for (let i = 0; i < 2; i++) expect(lowerCased(name, 0, name.length)).toBe(name.toLowerCase())
  })
})
