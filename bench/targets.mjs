/*
 * `node bench/targets.mjs [results.json]`: holds the newest results, or those given, against the targets.
 */

import { clientNamed } from './clients/index.mjs'
import { aligned } from './report/table.mjs'
import { targets } from './report/target-list.mjs'
import { readResults } from './results.mjs'

/**
 * @param {import('./results.mjs').Results} results
 * @param {import('./report/target-list.mjs').Target} target
 * @param {string} name of the client
 * @returns {number | undefined} the more the better
 */
function valueIn(results, { load, measure }, name) {
  const summary = results.loads.find((one) => one.name === load)?.clients.find((one) => one.name === name)?.summary
  if (summary === undefined) return
  return measure === 'cpu' ? 1 / summary.cpuSecondsPerRequest.median : summary.requestsPerSecond.median
}

/**
 * @param {import('./results.mjs').Results} results
 * @param {import('./report/target-list.mjs').Target} target
 */
function judge(results, target) {
  const value = valueIn(results, target, target.client)
  const other = valueIn(results, target, target.than)
  if (value === undefined || other === undefined) return { measured: '', verdict: 'no data' }
  const measured = value / other
  return { measured: `${measured.toFixed(2)}x`, verdict: measured >= target.factor ? 'pass' : 'MISS' }
}

const results = await readResults(process.argv[2])
const rows = targets.map((target) => {
  const { measured, verdict } = judge(results, target)
  const measure = target.measure === 'cpu' ? 'less CPU than' : 'as fast as'
  return [target.load, `${measure} ${clientNamed(target.than).title}`, `${target.factor}x`, measured, verdict]
})
console.log(`${results.environment.date}, node ${results.environment.node}, undici ${results.environment.undici}\n`)
console.log(aligned([['load', 'comparison', 'target', 'measured', ''], ...rows], 2))
if (rows.some((row) => row.includes('MISS'))) process.exitCode = 1
