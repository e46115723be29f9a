/*
 * The results that the documents are made of.
 */

import { readdir, readFile } from 'node:fs/promises'
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
 * @property {IdleMemory[]} idleMemory of http and of https
 * @property {Results=} slower those of loads of the main run on a machine that needs longer for everything
 *
 * @typedef {object} IdleMemory
 * @property {Record<string, string>} environment
 * @property {{ rounds: number }} options
 * @property {'http' | 'https'} scheme
 * @property {import('../test/soak/memory.js').MemoryFigure[]} figures
 */

export const publishedDirectory = fileURLToPath(new URL('published/', import.meta.url))
/** Runs of `bench:publish` on another machine, as they were published from there. */
export const slowerMachineDirectory = join(publishedDirectory, 'slower-machine')
/** What `test/soak/memory.mjs` has measured. */
export const idleMemoryDirectory = join(publishedDirectory, 'idle-memory')

/**
 * @param {readonly string[]} paths those of bench/published/ if there are none
 * @returns {Promise<Published>}
 */
export async function readPublished(paths) {
  const runs = await readRuns(paths.length > 0 ? paths : await jsonIn(publishedDirectory))
  const all = byMajor(runs)
  const [main] = all
  if (main === undefined) throw new Error('no published results: run `npm run bench:publish` first')
  const [slower] = byMajor(await readRuns(await jsonIn(slowerMachineDirectory)))
  const memoryFiles = await jsonIn(idleMemoryDirectory)
  const idleMemory = await Promise.all(memoryFiles.map(async (path) => JSON.parse(await readFile(path, 'utf8'))))
  return { main, all, runs, idleMemory, slower }
}

/** @param {readonly string[]} files */
async function readRuns(files) {
  const runs = await Promise.all(files.map(readResults))
  return runs.toSorted((a, b) => majorOf(a) - majorOf(b) || compare(a.environment.date, b.environment.date))
}

/** All that was measured on one version of Node.js in one. @param {readonly Results[]} runs in their order */
function byMajor(runs) {
  /** @type {Map<number, Results>} */
  const merged = new Map()
  for (const run of runs) {
    const known = merged.get(majorOf(run))
    merged.set(majorOf(run), known === undefined ? run : { ...known, loads: [...known.loads, ...run.loads] })
  }
  return [...merged.values()]
}

/** @param {string} directory */
async function jsonIn(directory) {
  const files = await readdir(directory)
  return files
    .filter((file) => file.endsWith('.json'))
    .toSorted()
    .map((file) => join(directory, file))
}

/** @param {string=} a @param {string=} b */
const compare = (a = '', b = '') => (a < b ? -1 : Number(a > b))
