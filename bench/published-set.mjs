/*
 * What is published: which runs, on which Node.js, and what of them. `publish.mjs` measures it, `charts.mjs` shows it.
 */

/** The run that the tables and the charts of the loads are of. */
export const mainNodeMajor = 20

/** The same arms on other Node.js versions, in fewer loads. */
export const otherNodeMajors = [22, 24, 26]

/** Loads with a chart. */
export const chartedLoads = ['closing-64', 'keepalive-64', 'keepalive-1', 'closing-1', 'secure-64']

/** Loads by which Node.js versions are compared. */
export const comparedLoads = ['closing-64', 'keepalive-64', 'secure-64']

/** Ours, in three arms: all of it, without recycling, and without descriptors of our own. */
export const arms = ['recycling', 'recycling-off', 'recycling-net']

const comparedClients = [...arms, 'undici-agent', 'undici-pool', 'node-http']
const chartedClients = [
  ...comparedClients,
  'recycling-request',
  'undici-request',
  'recycling-fetch',
  'undici-fetch',
  'wrk',
]
const bulkClients = ['recycling', 'undici-agent', 'undici-pool', 'node-http']

/** @param {number} major */
const fileOf = (major) => `node-${major}.json`

/**
 * @typedef {object} Run
 * @property {string} file in bench/published/
 * @property {string[]} args of run.mjs
 */

/**
 * @param {{ rounds: number, seconds: number }} length of the rounds of the main run
 * @returns {Run[]}
 */
export function publishedRuns({ rounds, seconds }) {
  /**
   * @param {number} major
   * @param {string} file
   * @param {readonly string[]} loads
   * @param {readonly string[]} clients
   * @param {number} share of the rounds
   */
  const run = (major, file, loads, clients, share) => ({
    file,
    args: [
      `--node=${major}`,
      `--loads=${loads.join(',')}`,
      `--clients=${clients.join(',')}`,
      `--rounds=${Math.max(1, Math.ceil(rounds * share))}`,
      `--seconds=${seconds}`,
    ],
  })
  return [
    run(mainNodeMajor, fileOf(mainNodeMajor), chartedLoads, chartedClients, 1),
    run(mainNodeMajor, 'bulk.json', ['download', 'upload', 'upload-stream'], bulkClients, 1),
    ...otherNodeMajors.map((major) => run(major, fileOf(major), comparedLoads, comparedClients, 0.6)),
  ]
}
