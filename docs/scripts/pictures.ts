/** What `npm run docs:pictures` writes, each document as it should be. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { withBlock } from './generated-block.mjs'
import { stateDiagrams } from './state-diagrams.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** @returns the document with its diagrams of states as the tables in src/ have them */
export function withStateDiagrams(design: string): string {
  return stateDiagrams.reduce((document, [block, content]) => withBlock(document, block, content), design)
}

function rewrite(path: string, change: (text: string) => string): void {
  const before = readFileSync(`${root}${path}`, 'utf8')
  const after = change(before)
  if (after !== before) writeFileSync(`${root}${path}`, after)
  console.log(`${path}: ${after === before ? 'as it was' : 'written'}`)
}

export function writePictures(): void {
  rewrite('docs/design.md', withStateDiagrams)
}
