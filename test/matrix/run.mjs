/**
 * The suite under every Node.js and with every undici that the package supports.
 *
 *     npm run test:matrix
 *     npm run test:matrix -- --node=22,24 --undici=8 -- test/agent
 *
 * What follows the second `--` goes to vitest. Prints a line for each cell, below it what failed there, and ends with
 * code 1 when a cell has failed.
 */
import { parseArgs } from 'node:util'
import { cellsOf, NODE_MAJORS, UNDICI_MAJORS } from './cells.mjs'
import { nodeOfMajor } from './nodes.mjs'
import { runCell } from './run-cell.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', default: NODE_MAJORS.join() },
    undici: { type: 'string', default: UNDICI_MAJORS.join() },
  },
})

const majors = (list, known, what) =>
  list.split(',').map((text) => {
    if (!known.includes(Number(text))) throw new Error(`${what} is one of ${known.join(', ')}, not ${text}`)
    return Number(text)
  })

const nodes = majors(values.node, NODE_MAJORS, '--node').map(nodeOfMajor)
const cells = cellsOf(nodes, majors(values.undici, UNDICI_MAJORS, '--undici'))

const results = []
for (const cell of cells) {
  const name = `node ${cell.node.version} undici ${cell.undici.version}`
  if (cell.whyNot !== null) {
    console.log(`${name}: not tried: ${cell.whyNot}`)
    continue
  }
  const result = runCell(cell, positionals)
  results.push(result)
  const { passed, failed, skipped, seconds } = result
  console.log(`${name}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds} s`)
  for (const failure of result.failures) console.log(`  ${failure}`)
}

const good = results.filter(({ isGood }) => isGood).length
console.log(`matrix: ${good} of ${results.length} cells are good`)
process.exitCode = good === results.length && good > 0 ? 0 : 1
