/*
 * What is said about the rounds of one client in one load: median and spread.
 */

/**
 * @typedef {{ median: number, min: number, max: number }} Spread
 *
 * @typedef {object} Summary
 * @property {Spread} cpuSecondsPerRequest
 * @property {Spread} requestsPerSecond
 * @property {Spread=} residentBytes where the client is a process that lasts
 * @property {Spread=} medianMs of how long requests took, where that was measured
 * @property {Spread=} p99Ms
 */

/**
 * @param {readonly number[]} values at least one
 * @returns {Spread}
 */
function spreadOf(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
  return { median, min: sorted[0], max: sorted[sorted.length - 1] }
}

/**
 * @param {readonly import('../measure.mjs').Round[]} rounds
 * @returns {Summary | undefined} undefined if no round was completed
 */
export function summarize(rounds) {
  if (rounds.length === 0) return
  return {
    cpuSecondsPerRequest: spreadOf(rounds.map(({ cpuSeconds, requests }) => cpuSeconds / requests)),
    requestsPerSecond: spreadOf(rounds.map(({ seconds, requests }) => requests / seconds)),
    ...optionalSpread(rounds, 'residentBytes'),
    ...optionalSpread(rounds, 'medianMs'),
    ...optionalSpread(rounds, 'p99Ms'),
  }
}

/**
 * @param {readonly import('../measure.mjs').Round[]} rounds
 * @param {'residentBytes' | 'medianMs' | 'p99Ms'} measure that not all rounds have
 * @returns {{ [measure: string]: Spread }}
 */
function optionalSpread(rounds, measure) {
  const values = rounds.flatMap((round) => round[measure] ?? [])
  return values.length === 0 ? {} : { [measure]: spreadOf(values) }
}
