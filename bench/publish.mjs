/*
 * `npm run bench:publish`: measures what is published, into bench/published/, then writes the documents from it.
 *
 *     npm run bench:publish -- [--rounds=7] [--seconds=0.6]
 */

import { spawnSync } from 'node:child_process'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { publishedDirectory } from './published.mjs'
import { publishedRuns } from './published-set.mjs'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, seconds: { type: 'string', default: '0.6' } },
})

const root = fileURLToPath(new URL('../', import.meta.url))

/** @param {string} script @param {string[]} args */
function run(script, args) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const { status } = spawnSync(process.execPath, [path, ...args], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const startMs = performance.now()
for (const { file, args } of publishedRuns({ rounds: Number(values.rounds), seconds: Number(values.seconds) })) {
  // Relative, since the results say by which command they were made.
  run('run.mjs', [...args, `--json=${relative(root, join(publishedDirectory, file))}`])
}
run('charts.mjs', [])
console.log(`published in ${Math.round((performance.now() - startMs) / 1000)} s`)
