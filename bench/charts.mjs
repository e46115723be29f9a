/*
 * `node bench/charts.mjs [--check] [results.json...]`: draws published results into docs/pictures/ and writes the tables
 * of docs/benchmarks.md. With --check it only says what is not up to date, and ends with 1 if anything is.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { withBlock } from '../docs/scripts/generated-block.mjs'
import { readPublished } from './published.mjs'
import { charts } from './report/chart.mjs'
import { benchmarkBlocks } from './report/markdown.mjs'

const docs = fileURLToPath(new URL('../docs/', import.meta.url))

/** @param {string} path */
const read = (path) => readFile(path, 'utf8').catch(() => '')

/**
 * @param {import('./published.mjs').Published} published
 * @returns {Promise<[path: string, content: string][]>}
 */
async function documents(published) {
  const path = `${docs}benchmarks.md`
  let text = await read(path)
  for (const [block, content] of benchmarkBlocks(published)) text = withBlock(text, block, content)
  const drawn = await charts(published)
  return [
    [path, text],
    ...drawn.map(([name, svg]) => /** @type {[string, string]} */ ([`${docs}pictures/${name}`, svg])),
  ]
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { check: { type: 'boolean' } } })
await mkdir(`${docs}pictures`, { recursive: true })
for (const [path, content] of await documents(await readPublished(positionals))) {
  const isAsItWas = (await read(path)) === content
  const name = path.slice(docs.length)
  if (values.check) {
    if (isAsItWas) continue
    console.log(`docs/${name} is not up to date: npm run docs:pictures`)
    process.exitCode = 1
  } else {
    if (!isAsItWas) await writeFile(path, content)
    console.log(`docs/${name}: ${isAsItWas ? 'as it was' : 'written'}`)
  }
}
