/**
 * The suite under every Node.js and with every undici that the package supports.
 *
 *     npm run test:matrix
 *     npm run test:matrix -- --node=22,24 --undici=8 -- test/agent
 *     npm run test:matrix -- --node=others
 *
 * `others` are all but the running one. What follows the second `--` goes to vitest. Prints a line for each cell, below
 * it what failed there, and ends with code 1 when a cell has failed or a Node.js cannot be had.
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

/** @throws for what is no list of `known` majors */
function majorsOf(option, list, known) {
  return list.split(',').map((text) => {
    if (!known.includes(Number(text))) throw new Error(`--${option} takes ${known.join(', ')}, not ${text}`)
    return Number(text)
  })
}

function chooseCells() {
  const running = Number.parseInt(process.versions.node, 10)
  const nodeMajors =
    values.node === 'others'
      ? NODE_MAJORS.filter((major) => major !== running)
      : majorsOf('node', values.node, NODE_MAJORS)
  const undiciMajors = majorsOf('undici', values.undici, UNDICI_MAJORS)
  return cellsOf(nodeMajors.map(nodeOfMajor), undiciMajors)
}

/** @returns whether the cell is good; `null` when it was not tried */
function tryCell(cell) {
  const name = `node ${cell.node.version} undici ${cell.undici.version}`
  if (cell.whyNot !== null) {
    console.log(`${name}: not tried: ${cell.whyNot}`)
    return null
  }
  const { passed, failed, skipped, seconds, isGood, failures } = runCell(cell, positionals)
  console.log(`${name}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds} s`)
  for (const failure of failures) console.log(`  ${failure}`)
  return isGood
}

try {
  const results = chooseCells()
    .map(tryCell)
    .filter((isGood) => isGood !== null)
  const good = results.filter(Boolean).length
  console.log(`matrix: ${good} of ${results.length} cells are good`)
  process.exitCode = good === results.length && good > 0 ? 0 : 1
} catch (error) {
  console.error(`matrix: ${error.message}`)
  process.exitCode = 1
}
