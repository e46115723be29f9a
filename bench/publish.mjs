/*
 * `npm run bench:publish`: measures what is published, into bench/published/, then writes the documents from it.
 *
 *     npm run bench:publish -- [--rounds=7] [--seconds=0.6] [--estimate]
 *
 * It says how long that is going to take, and with --estimate no more.
 */

import { spawnSync } from 'node:child_process'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { idleMemoryDirectory, publishedDirectory } from './published.mjs'
import { idleMemoryArms, idleMemorySeconds, publishedRuns } from './published-set.mjs'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '0.6' },
    estimate: { type: 'boolean', default: false },
  },
})

const root = fileURLToPath(new URL('../', import.meta.url))

/** @param {string} script @param {string[]} args */
function run(script, args) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const { status } = spawnSync(process.execPath, [path, ...args], { cwd: root, stdio: 'inherit' })
  return status ?? 1
}

/** @param {string} script @param {string[]} args */
function runOrExit(script, args) {
  const status = run(script, args)
  if (status !== 0) process.exit(status)
}

/** @param {number} seconds */
const minutes = (seconds) => `${Math.max(1, Math.round(seconds / 60))} min`

const runs = publishedRuns({ rounds: Number(values.rounds), seconds: Number(values.seconds) })
const memorySeconds = idleMemorySeconds(Number(values.rounds))
const estimate = runs.reduce((sum, run) => sum + run.seconds, memorySeconds)
console.log(`${runs.length} runs, about ${minutes(estimate)} in all:`)
for (const { file, seconds, args } of runs) console.log(`  ${file}: about ${minutes(seconds)}, ${args[1]}`)
console.log(`  memory of idle connections: about ${minutes(memorySeconds)}`)
if (values.estimate) process.exit()

const startMs = performance.now()
for (const [i, { file, args }] of runs.entries()) {
  const left = runs.slice(i).reduce((sum, run) => sum + run.seconds, memorySeconds)
  console.log(`\n${file}, run ${i + 1} of ${runs.length}; about ${minutes(left)} left`)
  // Relative, since the results say by which command they were made.
  runOrExit('run.mjs', [...args, `--json=${relative(root, join(publishedDirectory, file))}`])
}
for (const { file, args } of idleMemoryArms) {
  console.log(`\nmemory of idle connections: ${args.join(' ')}`)
  const json = relative(root, join(idleMemoryDirectory, file))
  // It ends with 1 where more is taken than is promised: the table says so.
  run('../test/soak/memory.mjs', [...args, `--rounds=${values.rounds}`, `--json=${json}`])
}
runOrExit('charts.mjs', [])
console.log(`published in ${Math.round((performance.now() - startMs) / 1000)} s`)
