/*
 * One load: every contestant gets one round per cycle, and who begins changes from cycle to cycle, so that whatever
 * happens on the machine meanwhile happens to all of them.
 */

import { isDelayed } from './loads.mjs'
import { summarize } from './report/statistics.mjs'

/**
 * @typedef {object} ContestOptions
 * @property {number} rounds
 * @property {number} seconds the length of a round
 * @property {number} warmUpSeconds the length of a round before the first, which is not counted
 * @property {(name: string) => void} onRound called before every round, with the name of the client
 * @property {AbortSignal} signal ends the contest before its next round
 */

/**
 * @param {import('./contestants.mjs').Contestant[]} contestants
 * @param {import('./loads.mjs').Load} load
 * @param {import('./clients/index.mjs').Upstream} upstream
 * @param {ContestOptions} options
 * @returns {Promise<import('./results.mjs').LoadResult>}
 */
export async function runContest(contestants, load, upstream, { rounds, seconds, warmUpSeconds, onRound, signal }) {
  /** @type {import('./results.mjs').ClientResult[]} */
  const results = contestants.map(({ client }) => ({ name: client.name, rounds: [] }))

  /**
   * @param {number} index
   * @param {(contestant: import('./contestants.mjs').Contestant) => Promise<void>} act
   */
  const unlessFailed = async (index, act) => {
    signal.throwIfAborted()
    if (results[index].error !== undefined) return
    await act(contestants[index]).catch((error) => {
      results[index].error = error.message
    })
  }

  for (const index of contestants.keys()) {
    await unlessFailed(index, async (contestant) => {
      onRound(contestant.client.name)
      await contestant.open(load, upstream)
      await warmUp(contestant, load, warmUpSeconds)
    })
  }
  for (let cycle = 0; cycle < rounds; cycle++) {
    for (const index of rotated([...contestants.keys()], cycle)) {
      await unlessFailed(index, async (contestant) => {
        onRound(contestant.client.name)
        results[index].rounds.push(await contestant.round(seconds))
      })
    }
  }
  for (const index of contestants.keys()) await unlessFailed(index, (contestant) => contestant.close())
  return { name: load.name, clients: results.map(withSummary) }
}

/** By then V8 has optimised what a request goes through; where requests are dear, that takes more than one round. */
const warmUpRequests = 5_000
const mostWarmUpRounds = 4

/**
 * @param {import('./contestants.mjs').Contestant} contestant
 * @param {import('./loads.mjs').Load} load
 * @param {number} seconds
 */
async function warmUp(contestant, load, seconds) {
  // A program has a process of its own for each round.
  if (contestant.client.run !== undefined) return
  const most = load.bulk || isDelayed(load) ? 1 : mostWarmUpRounds
  let requests = 0
  for (let i = 0; i < most && requests < warmUpRequests; i++) requests += (await contestant.round(seconds)).requests
}

/**
 * @param {import('./results.mjs').ClientResult} result
 * @returns {import('./results.mjs').ClientResult}
 */
function withSummary(result) {
  const summary = result.error === undefined ? summarize(result.rounds) : undefined
  return summary === undefined ? result : { ...result, summary }
}

/**
 * @template T
 * @param {T[]} items
 * @param {number} by
 * @returns {T[]}
 */
function rotated(items, by) {
  const start = by % Math.max(items.length, 1)
  return [...items.slice(start), ...items.slice(0, start)]
}
