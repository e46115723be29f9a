/** The list of symbols is what the sources of this folder ask the process for, and each of them is there. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { SYMBOLS, takeInventory } from '../../src/sys/inventory.js'

const CALLERS = ['native.ts', 'owned-descriptors.ts', 'environment-end.ts', 'event-loop.ts']
/** `func('int close(int fd)')`, `func('recv', ...)`, `symbol('close')` and `endHooks('close')`. */
const ASKED = /(?:process\.(?:func|symbol)|endHooks)\('(?:[\w ]+[ *])?(\w+)(?:\(|')/g

it('names each symbol that the sources ask for, and no other', () => {
  const asked = CALLERS.flatMap((name) => {
    const text = readFileSync(fileURLToPath(new URL(`../../src/sys/${name}`, import.meta.url)), 'utf8')
    return [...text.matchAll(ASKED)].map(([, symbol]) => symbol!)
  })
  expect(SYMBOLS).toEqual([...new Set(asked)].sort())
})

it('finds all of them here, and where koffi has its native code', () => {
  const { version, binary, missing } = takeInventory()
  expect(missing).toEqual([])
  expect(version).toMatch(/^3\./)
  expect(binary).toMatch(/koffi.*\.node$/)
})

it('says which are missing', () => {
  expect(takeInventory(['close', 'no_such_function']).missing).toEqual(['no_such_function'])
})
