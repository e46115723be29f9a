/*
 * `npm run bench`: client CPU time per request, and requests per second, of RecyclingAgent and its peers in one run.
 */

import { startChild } from './children.mjs'
import { isMeasuredWith } from './clients/index.mjs'
import { runContest } from './contest.mjs'
import { startContestant } from './contestants.mjs'
import { parseOptions, usage } from './options.mjs'
import { createProgress } from './progress.mjs'
import { describeEnvironment } from './report/environment.mjs'
import { loadTable } from './report/table.mjs'
import { writeResults } from './results.mjs'
import { findWrk } from './wrk.mjs'

/**
 * @param {import('./options.mjs').Options} options
 * @param {AbortSignal} signal
 */
async function bench(options, signal) {
  const upstream = startChild('upstream/process.mjs')
  /** @type {import('./contestants.mjs').Contestant[]} */
  let contestants = []
  try {
    /** @type {import('./upstream/process.mjs').Upstreams} */
    const { server, origins } = await upstream.ask()
    const wrk = await findWrk()
    const clients = options.clients.filter(({ name }) => name !== 'wrk' || wrk !== undefined)
    contestants = clients.map((client) => startContestant(client, options.nodePath))
    const environment = describeEnvironment({ server, wrk, nodePath: options.nodePath })
    for (const [key, value] of Object.entries(environment)) console.log(`${key}: ${value}`)
    console.log()
    const loads = await runLoads(contestants, origins, options, signal)
    const { rounds, seconds } = options
    const path = await writeResults({ environment, options: { rounds, seconds }, loads }, options.json)
    console.log(`ratio: the client's median to that of RecyclingAgent.dispatch\nresults: ${path}`)
  } finally {
    await Promise.all([upstream.end(), ...contestants.map((contestant) => contestant.end())])
  }
}

/**
 * @param {import('./contestants.mjs').Contestant[]} contestants
 * @param {Record<import('./loads.mjs').UpstreamName, string>} origins
 * @param {import('./options.mjs').Options} options
 * @param {AbortSignal} signal
 */
async function runLoads(contestants, origins, options, signal) {
  const { loads, rounds, seconds, explicitClients } = options
  const contests = loads.map((load) => ({ load, entrants: contestants.filter(isEntrant(load, explicitClients)) }))
  const totalRounds = contests.reduce((sum, { entrants }) => sum + entrants.length * (rounds + 1), 0)
  const progress = createProgress(totalRounds)
  const results = []
  try {
    for (const { load, entrants } of contests) {
      const onRound = (/** @type {string} */ name) => progress.step(`${load.name} ${name}`)
      // Later loads share most of their code with the first.
      const warmUpSeconds = results.length === 0 ? options.warmUpSeconds : seconds
      const contestOptions = { rounds, seconds, warmUpSeconds, onRound, signal }
      const result = await runContest(entrants, load, origins[load.upstream], contestOptions)
      progress.clear()
      console.log(loadTable(result))
      results.push(result)
    }
  } finally {
    progress.clear()
  }
  return results
}

/**
 * @param {import('./loads.mjs').Load} load
 * @param {boolean} explicitClients
 * @returns {(contestant: import('./contestants.mjs').Contestant) => boolean}
 */
function isEntrant(load, explicitClients) {
  return ({ client }) => isMeasuredWith(client, load) || (explicitClients && client.open !== undefined)
}

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => interrupted.abort())
try {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) console.log(usage)
  else await bench(options, interrupted.signal)
} catch (error) {
  if (!interrupted.signal.aborted) console.error(error instanceof Error ? error.message : error)
  process.exitCode = interrupted.signal.aborted ? 130 : 1
}
