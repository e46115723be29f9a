/*
 * The results that the documents are made of.
 */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeMajorOf as majorOf } from './report/judge.mjs'
import { readResults } from './results.mjs'

/** @typedef {import('./results.mjs').Results} Results */

/**
 * @typedef {object} Published
 * @property {Results} main of the lowest Node.js version, with all its loads
 * @property {Results[]} all one for each Node.js version, in their order
 * @property {Results[]} runs as they were made
 */

export const publishedDirectory = fileURLToPath(new URL('published/', import.meta.url))

/**
 * @param {readonly string[]} paths those of bench/published/ if there are none
 * @returns {Promise<Published>}
 */
export async function readPublished(paths) {
  const files = paths.length > 0 ? paths : await publishedPaths()
  const runs = await Promise.all(files.map(readResults))
  runs.sort((a, b) => majorOf(a) - majorOf(b) || compare(a.environment.date, b.environment.date))
  /** @type {Map<number, Results>} */
  const byMajor = new Map()
  for (const run of runs) {
    const known = byMajor.get(majorOf(run))
    byMajor.set(majorOf(run), known === undefined ? run : { ...known, loads: [...known.loads, ...run.loads] })
  }
  const all = [...byMajor.values()]
  const [main] = all
  if (main === undefined) throw new Error('no published results: run `npm run bench:publish` first')
  return { main, all, runs }
}

async function publishedPaths() {
  const files = await readdir(publishedDirectory)
  return files
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => join(publishedDirectory, file))
}

/** @param {string=} a @param {string=} b */
const compare = (a = '', b = '') => (a < b ? -1 : Number(a > b))
