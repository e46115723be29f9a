/** What `npm run docs:pictures` writes, each document as it should be. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { whyNoCapture } from '../../test/support/capture.js'
import { withBlock } from './generated-block.mjs'
import { recordSequence, sequenceBlock } from './sequence.js'
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

export async function writePictures(): Promise<void> {
  const sequence = whyNoCapture === null ? await recordSequence() : null
  if (sequence === null) console.log(`docs/design.md: '${sequenceBlock}' stays as it is: ${whyNoCapture}`)
  rewrite('docs/design.md', (design) => {
    const written = withStateDiagrams(design)
    return sequence === null ? written : withBlock(written, sequenceBlock, sequence)
  })
}
