/*
 * What is published: which runs, on which Node.js, and what of them. `publish.mjs` measures it, `charts.mjs` shows it.
 */

import { clientNamed, isEntrant } from './clients/index.mjs'
import { isKeptAlive, isSecure, loadNamed } from './loads.mjs'

/** The run that the tables and the charts of the loads are of. */
export const mainNodeMajor = 20

/** The same arms on other Node.js versions, in fewer loads. */
export const otherNodeMajors = [22, 24, 26]

/** Loads with a chart. */
export const chartedLoads = ['closing-64', 'keepalive-64', 'keepalive-1', 'closing-1', 'secure-64']

/** Those of the picture in the README. */
export const overviewLoads = [
  { load: 'closing-64', title: 'http' },
  { load: 'secure-64', title: 'https: TLS 1.3, sessions resumed' },
]
export const overviewClients = ['recycling', 'undici-agent', 'node-http']

/** Loads by which Node.js versions are compared. */
export const comparedLoads = ['closing-64', 'keepalive-64', 'secure-64']

/** By which machines are compared. */
export const machineComparedLoads = ['closing-64', 'keepalive-64', 'secure-64', 'secure12-64', 'secure-keepalive-64']
export const machineComparedClients = ['recycling', 'undici-agent', 'undici-pool', 'node-http', 'wrk', 's-time']

/** How long requests take over a link with a delay; these have a table and a chart of their own. */
export const latencyLoads = ['delayed-closing', 'delayed-keepalive', 'delayed-secure', 'delayed-secure-keepalive']

const bulkLoads = ['download', 'upload', 'upload-stream', 'secure-download', 'secure-upload']
const secureLoads = ['secure12-64', 'secure-keepalive-64', 'secure-keepalive-1']
const pinnedLoads = ['keepalive-1-pinned', 'secure-keepalive-1-pinned']

/** What more and more requests at a time cost; these are the points of two curves. */
export const scaleCurves = [
  { title: 'Connection per request', loads: ['closing-64', 'closing-1000', 'closing-5000'] },
  { title: 'Persistent connections', loads: ['keepalive-64', 'keepalive-1000', 'keepalive-5000'] },
]
export const scaleCurveClients = ['recycling', 'undici-agent', 'undici-pool']
const closingScaleLoads = ['closing-1000', 'closing-5000', 'origins-5000']
const keptScaleLoads = ['keepalive-1000', 'keepalive-5000']

/** The rows of the table of scale, in their order. */
export const scaleLoads = [...scaleCurves.flatMap(({ loads }) => loads), 'origins-5000']

/** How many idle connections memory is measured of, by `test/soak/memory.mjs`. */
export const idleMemoryArms = [
  { file: 'http.json', args: ['--connections=4000,10000'] },
  { file: 'https.json', args: ['--secure', '--connections=2000'] },
]
/** Three clients and three counts of connections, a process for each round. @param {number} rounds */
export const idleMemorySeconds = (rounds) => rounds * 9 * 3

/** Loads with a table of their own, in their order. */
export const tabledLoads = [...chartedLoads, 'closing-name', ...secureLoads, ...pinnedLoads, ...bulkLoads]

/** Loads with targets on the other Node.js versions, too. */
const otherLoads = [...comparedLoads, 'secure12-64', 'secure-keepalive-64']

/** Ours, in three arms: all of it, without recycling, and without descriptors of our own. */
export const arms = ['recycling', 'recycling-off', 'recycling-net']

const comparedClients = [...arms, 'undici-agent', 'undici-pool', 'node-http']
const chartedClients = [
  ...comparedClients,
  'undici-agent-context',
  'recycling-request',
  'undici-request',
  'recycling-fetch',
  'undici-fetch',
  'wrk',
  's-time',
]
/** Those of the table of scale. */
export const scaleClients = ['recycling', 'undici-agent', 'undici-pool', 'node-http']
const bulkClients = scaleClients
const nameClients = ['recycling', 'recycling-address', 'undici-agent', 'undici-pool', 'node-http']
const secureClients = [
  'recycling',
  'recycling-node-tls',
  'undici-agent',
  'undici-agent-context',
  'undici-pool',
  'node-http',
  's-time',
]
const pinnedClients = [...bulkClients, 'wrk']

/** Of the loads over a link with a delay. */
const latencyClients = ['recycling', 'recycling-spare', 'recycling-spare-32', 'undici-agent', 'node-http']

/** @param {number} major */
const fileOf = (major) => `node-${major}.json`

/** What a round takes besides its seconds: the run-in, and of either the requests in flight at its end. */
const runInSeconds = 0.05
const inFlightSeconds = 2 * 300e-6
/** Programs take whole seconds. */
const programSeconds = 1.5
/** What a run takes besides its rounds. */
const startSeconds = 4
/** What a client takes before its rounds in a load: its process starts and warms up, for long where requests are dear. */
const warmUpSeconds = { usual: 1.3, secure: 4 }

/**
 * @typedef {object} Run
 * @property {string} file in bench/published/
 * @property {string[]} args of run.mjs
 * @property {number} seconds that it is going to take, as an estimate
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
  const run = (major, file, loads, clients, share = 1) => {
    const count = Math.max(1, Math.ceil(rounds * share))
    return {
      file,
      args: [
        `--node=${major}`,
        `--loads=${loads.join(',')}`,
        `--clients=${clients.join(',')}`,
        `--rounds=${count}`,
        `--seconds=${seconds}`,
      ],
      seconds: estimatedSeconds(loads, clients, count, seconds),
    }
  }
  return [
    run(mainNodeMajor, fileOf(mainNodeMajor), chartedLoads, chartedClients),
    run(mainNodeMajor, 'name.json', ['closing-name'], nameClients),
    run(mainNodeMajor, 'secure.json', secureLoads, secureClients),
    run(mainNodeMajor, 'pinned.json', pinnedLoads, pinnedClients),
    run(mainNodeMajor, 'scale.json', closingScaleLoads, bulkClients),
    // Each client keeps its connections while the others have their turns: nginx has no room for those of a fourth.
    run(mainNodeMajor, 'scale-kept.json', keptScaleLoads, scaleCurveClients),
    run(mainNodeMajor, 'latency.json', latencyLoads, latencyClients),
    run(mainNodeMajor, 'bulk.json', bulkLoads, bulkClients),
    ...otherNodeMajors.map((major) => run(major, fileOf(major), otherLoads, comparedClients, 0.6)),
  ]
}

/**
 * `rounds` rounds of each client in each load, each client warmed up.
 *
 * @param {readonly string[]} loads
 * @param {readonly string[]} clients
 * @param {number} rounds
 * @param {number} seconds
 */
function estimatedSeconds(loads, clients, rounds, seconds) {
  let sum = startSeconds
  for (const load of loads.map(loadNamed)) {
    for (const client of clients.map(clientNamed)) {
      if (!isEntrant(client, load, true)) continue
      const jsSeconds = seconds + runInSeconds + load.concurrency * inFlightSeconds
      const roundSeconds = client.run === undefined ? jsSeconds : Math.max(seconds, programSeconds)
      const warmUp = isSecure(load.upstream) && !isKeptAlive(load.upstream) ? warmUpSeconds.secure : warmUpSeconds.usual
      sum += rounds * roundSeconds + (client.run === undefined ? warmUp : 0)
    }
  }
  return sum
}
