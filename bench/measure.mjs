/*
 * One round: keep `concurrency` requests in flight for a while, and count them, the time and the CPU time.
 */

import { isDelayed } from './loads.mjs'

/**
 * @typedef {object} Round
 * @property {number} requests
 * @property {number} seconds wall-clock time
 * @property {number} cpuSeconds user and system time of the client's process, all threads
 * @property {number=} residentBytes memory of the process (RSS) at the end of the round, of JavaScript clients
 * @property {number=} medianMs how long a request took, of loads over a link with a delay
 * @property {number=} p99Ms the 99th percentile of it
 */

/**
 * Runs a round. Requests in flight at its end are completed and counted, and so is their time.
 *
 * Garbage is left to the collector, as in any program. A collection forced before each round would not make rounds
 * more equal: it was seen to make them cost up to twice as much, and not for all clients alike.
 *
 * @param {import('./clients/dispatch.mjs').Send} send
 * @param {() => string} nextOrigin gives the origin of each request
 * @param {import('./loads.mjs').Load} load
 * @param {number} seconds
 * @returns {Promise<Round>} rejects with the first error of any request
 */
export async function runRound(send, nextOrigin, load, seconds) {
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  /** @type {number[] | undefined} */
  const latenciesMs = isDelayed(load) ? [] : undefined
  const sendOne = latenciesMs === undefined ? send : timed(send, latenciesMs)
  const requests = await sendUntil(sendOne, nextOrigin, load, startMs + seconds * 1000)
  const elapsedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpuBefore)
  const residentBytes = process.memoryUsage.rss()
  const round = { requests, seconds: elapsedMs / 1000, cpuSeconds: (user + system) / 1e6, residentBytes }
  return latenciesMs === undefined ? round : { ...round, ...percentiles(latenciesMs) }
}

/**
 * @param {import('./clients/dispatch.mjs').Send} send
 * @param {number[]} latenciesMs
 * @returns {import('./clients/dispatch.mjs').Send}
 */
function timed(send, latenciesMs) {
  return (origin, load, done) => {
    const startMs = performance.now()
    send(origin, load, (error, receivedBytes) => {
      latenciesMs.push(performance.now() - startMs)
      done(error, receivedBytes)
    })
  }
}

/** @param {number[]} latenciesMs */
function percentiles(latenciesMs) {
  latenciesMs.sort((a, b) => a - b)
  /** By nearest rank, in microseconds' precision. @param {number} share */
  const at = (share) => Math.round((latenciesMs[Math.ceil(share * latenciesMs.length) - 1] ?? 0) * 1e3) / 1e3
  return { medianMs: at(0.5), p99Ms: at(0.99) }
}

/**
 * @param {import('./clients/dispatch.mjs').Send} send
 * @param {() => string} nextOrigin
 * @param {import('./loads.mjs').Load} load
 * @param {number} deadlineMs on the clock of `performance.now()`
 * @returns {Promise<number>} the number of requests
 */
function sendUntil(send, nextOrigin, load, deadlineMs) {
  return new Promise((resolve, reject) => {
    let requests = 0
    let inFlight = load.concurrency

    /** @type {import('./clients/dispatch.mjs').Done} */
    const done = (error, receivedBytes) => {
      if (error !== null) return reject(error)
      if (receivedBytes !== load.responseBytes) return reject(new Error(`a body of ${receivedBytes} bytes`))
      requests++
      if (performance.now() < deadlineMs) sendNext()
      else if (--inFlight === 0) resolve(requests)
    }

    const sendNext = () => send(nextOrigin(), load, done)

    for (let lane = 0; lane < load.concurrency; lane++) sendNext()
  })
}
