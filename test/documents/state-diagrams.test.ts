/** docs/design.md shows the tables that src/ has now. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { withBlock } from '../../docs/scripts/generated-block.mjs'
import { withStateDiagrams } from '../../docs/scripts/pictures.js'
import { stateDiagrams } from '../../docs/scripts/state-diagrams.js'

it('docs/design.md shows the states as the code has them (else: npm run docs:pictures)', () => {
  const design = readFileSync(new URL('../../docs/design.md', import.meta.url), 'utf8')
  expect(withStateDiagrams(design)).toBe(design)
})

it.each(stateDiagrams)('the diagram of the %s begins, ends, and has names that Mermaid takes', (_name, diagram) => {
  const lines = diagram.split('\n').slice(2, -1)
  expect(lines.length).toBeGreaterThan(4)
  for (const line of lines) expect(line).toMatch(/^ {2}(state "[\w-]+" as \w+|(\[\*\]|\w+) --> (\[\*\]|\w+)(: .+)?)$/)
  expect(lines.filter((line) => line.includes('[*] -->'))).toHaveLength(1)
  // What is known of an origin never ends.
  expect(lines.filter((line) => line.includes('--> [*]')).length).toBeLessThanOrEqual(1)
})

const emptied = (name: string): string =>
  `before\n<!-- generated: ${name}, by npm run docs:pictures -->\n<!-- end of generated: ${name} -->\nafter`

it('writes what stands between the two comments of a block, and nothing else', () => {
  const written = withBlock(emptied('a'), 'a', 'text')
  expect(written.split('\n').filter((line) => !line.startsWith('<!--'))).toEqual(['before', '', 'text', '', 'after'])
  expect(withBlock(written, 'a', 'text')).toBe(written)
  expect(withBlock(written, 'a', 'other')).toBe(written.replace('text', 'other'))
})

it.each([
  ['has no such block', emptied('b')],
  ['has it twice', emptied('a') + emptied('a')],
  ['has no end of it', emptied('a').split('\n').slice(0, 2).join('\n')],
])('refuses a document that %s', (_what, document) => {
  expect(() => withBlock(document, 'a', 'text')).toThrow("there is no one block 'a'")
})
