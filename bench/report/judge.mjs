/*
 * Results against the targets.
 */

/**
 * @typedef {import('../results.mjs').Results} Results
 * @typedef {import('./target-list.mjs').Target} Target
 */

/**
 * @param {Results} results
 * @param {string} load
 * @param {string} client
 * @returns {import('./statistics.mjs').Summary | undefined} undefined where the client was not measured, or failed
 */
export function summaryIn(results, load, client) {
  return results.loads.find((one) => one.name === load)?.clients.find((one) => one.name === client)?.summary
}

/**
 * @param {Results} results
 * @param {Target} target
 * @param {string} name of the client
 * @returns {number | undefined} the more the better
 */
function valueIn(results, { load, measure }, name) {
  const summary = summaryIn(results, load, name)
  if (summary === undefined) return
  return measure === 'cpu' ? 1 / summary.cpuSecondsPerRequest.median : summary.requestsPerSecond.median
}

/**
 * @param {Results} results
 * @param {Target} target
 * @returns {{ measured: string, verdict: 'pass' | 'MISS' | 'no data' }}
 */
export function judge(results, target) {
  const value = valueIn(results, target, target.client)
  const other = valueIn(results, target, target.than)
  if (value === undefined || other === undefined) return { measured: '', verdict: 'no data' }
  const measured = value / other
  return { measured: `${measured.toFixed(2)}x`, verdict: measured >= target.factor ? 'pass' : 'MISS' }
}

/** @param {Results} results */
export const nodeMajorOf = ({ environment }) => Number.parseInt(environment.node?.slice(1) ?? '', 10)

/**
 * Whether a target is one on the Node.js that the results are of.
 *
 * @param {Results} results
 * @param {Target} target
 */
export function isTargetOf(results, { nodeMajors }) {
  return nodeMajors === undefined || nodeMajors.includes(nodeMajorOf(results))
}

/**
 * @param {Target} target
 * @param {string} than the other client's title
 */
export function comparison({ measure }, than) {
  return `${measure === 'cpu' ? 'less CPU than' : 'as fast as'} ${than}`
}
