/*
 * `node bench/targets.mjs [results.json]`: holds the newest results, or those given, against the targets.
 */

import { comparison, isTargetOf, judge } from './report/judge.mjs'
import { labelOf } from './report/labels.mjs'
import { aligned } from './report/table.mjs'
import { targets } from './report/target-list.mjs'
import { readResults } from './results.mjs'

const results = await readResults(process.argv[2])
const rows = targets
  .filter((target) => isTargetOf(results, target))
  .map((target) => {
    const { measured, verdict } = judge(results, target)
    const what = comparison(target, labelOf(target.than))
    return [target.load, what, `${target.factor}x`, measured, verdict]
  })
console.log(`${results.environment.date}, node ${results.environment.node}, undici ${results.environment.undici}\n`)
console.log(aligned([['load', 'comparison', 'target', 'measured', ''], ...rows], 2))
if (rows.some((row) => row.includes('MISS'))) process.exitCode = 1
