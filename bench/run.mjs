/*
 * `npm run bench`: client CPU time per request, and requests per second, of RecyclingAgent and its peers in one run.
 */

import { onOneCore } from './affinity.mjs'
import { reasonToSkip } from './availability.mjs'
import { startChild } from './children.mjs'
import { isEntrant } from './clients/index.mjs'
import { runContest } from './contest.mjs'
import { startContestant } from './contestants.mjs'
import { parseOptions, usage } from './options.mjs'
import { createProgress } from './progress.mjs'
import { describeEnvironment } from './report/environment.mjs'
import { loadTable } from './report/table.mjs'
import { writeResults } from './results.mjs'
import { findOpenssl } from './s-time.mjs'
import { findWrk } from './wrk.mjs'

/**
 * @param {import('./options.mjs').Options} options
 * @param {AbortSignal} signal
 */
async function bench(options, signal) {
  const upstream = startChild('upstream/process.mjs')
  try {
    /** @type {import('./upstream/process.mjs').Upstreams} */
    const { server, ...upstreams } = await upstream.ask()
    const [wrk, openssl] = await Promise.all([findWrk(), findOpenssl()])
    /** @type {Record<string, string | undefined>} */
    const programs = { wrk, 's-time': openssl }
    const clients = options.clients.filter(({ name }) => !(name in programs) || programs[name] !== undefined)
    const environment = describeEnvironment({ server, wrk, openssl, nodePath: options.nodePath })
    for (const [key, value] of Object.entries(environment)) console.log(`${key}: ${value}`)
    console.log()
    const loads = await runLoads(clients, upstreams, options, signal)
    const { rounds, seconds } = options
    const path = await writeResults({ environment, options: { rounds, seconds }, loads }, options.json)
    console.log(`ratio: the client's median to that of RecyclingAgent.dispatch\nresults: ${path}`)
  } finally {
    await upstream.end()
  }
}

/**
 * Each load has client processes of its own: neither the memory nor the optimised code of one counts for the next.
 *
 * @param {import('./clients/index.mjs').Client[]} clients
 * @param {Omit<import('./upstream/process.mjs').Upstreams, 'server'>} upstream
 * @param {import('./options.mjs').Options} options
 * @param {AbortSignal} signal
 */
async function runLoads(clients, { pid, origins, ca }, options, signal) {
  const { loads, rounds, seconds, warmUpSeconds, explicitClients } = options
  const contests = loads.flatMap((load) => {
    const reason = reasonToSkip(load)
    if (reason === undefined) {
      return [{ load, entrants: clients.filter((client) => isEntrant(client, load, explicitClients)) }]
    }
    console.log(`${load.name}: skipped: ${reason}\n`)
    return []
  })
  const totalRounds = contests.reduce((sum, { entrants }) => sum + entrants.length * (rounds + 1), 0)
  const progress = createProgress(totalRounds)
  const results = []
  try {
    for (const { load, entrants } of contests) {
      const onRound = (/** @type {string} */ name) => progress.step(`${load.name} ${name}`)
      const contestants = entrants.map((client) => startContestant(client, options.nodePath))
      try {
        const contestOptions = { rounds, seconds, warmUpSeconds, onRound, signal }
        const upstream = { origin: origins[load.upstream], connect: { ca } }
        const contest = () => runContest(contestants, load, upstream, contestOptions)
        const pids = [pid, ...contestants.flatMap((contestant) => contestant.pid ?? [])]
        const result = await (load.isPinned ? onOneCore(pids, contest) : contest())
        progress.clear()
        console.log(loadTable(result))
        results.push(result)
      } finally {
        await Promise.all(contestants.map((contestant) => contestant.end()))
      }
    }
  } finally {
    progress.clear()
  }
  return results
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
