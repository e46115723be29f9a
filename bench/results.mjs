/*
 * The results file: its shape, and where it is kept.
 */

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {object} ClientResult
 * @property {string} name
 * @property {import('./measure.mjs').Round[]} rounds
 * @property {import('./report/statistics.mjs').Summary=} summary absent if the client failed
 * @property {string=} error what the client failed with
 *
 * @typedef {object} LoadResult
 * @property {string} name
 * @property {ClientResult[]} clients
 *
 * @typedef {object} Results
 * @property {Record<string, string>} environment
 * @property {{ rounds: number, seconds: number }} options
 * @property {LoadResult[]} loads
 */

const directory = fileURLToPath(new URL('results/', import.meta.url))

/**
 * @param {Results} results
 * @param {string=} path
 * @returns {Promise<string>} where they were written
 */
export async function writeResults(results, path) {
  const target = path ?? join(directory, `${results.environment.date?.replaceAll(':', '-')}.json`)
  await mkdir(dirname(target), { recursive: true })
  await writeFile(target, `${stringify(results)}\n`)
  return target
}

/** A line for each round, not five. @param {Results} results */
function stringify(results) {
  return JSON.stringify(results, null, 2).replace(/\{[^{}]*\}/g, (text) => {
    const line = text.replace(/\s+/g, ' ')
    return line.length <= 120 ? line : text
  })
}

/**
 * @param {string=} path the newest results if left out
 * @returns {Promise<Results>}
 */
export async function readResults(path) {
  return JSON.parse(await readFile(path ?? (await newestPath()), 'utf8'))
}

async function newestPath() {
  const files = await readdir(directory).catch(() => [])
  // The names start with a date in ISO 8601: sorted by name they are sorted by age.
  const newest = files
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .at(-1)
  if (newest === undefined) throw new Error('no results yet: run `npm run bench` first')
  return join(directory, newest)
}
