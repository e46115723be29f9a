/*
 * One round: keep `concurrency` requests in flight for a while, and count them, the time and the CPU time.
 */

/**
 * @typedef {object} Round
 * @property {number} requests
 * @property {number} seconds wall-clock time
 * @property {number} cpuSeconds user and system time of the client's process, all threads
 */

/**
 * Runs a round. Requests in flight at its end are completed and counted, and so is their time.
 *
 * Garbage is left to the collector, as in any program. A collection forced before each round would not make rounds
 * more equal: it was seen to make them cost up to twice as much, and not for all clients alike.
 *
 * @param {import('./clients/dispatch.mjs').Send} send
 * @param {string} origin
 * @param {import('./loads.mjs').Load} load
 * @param {number} seconds
 * @returns {Promise<Round>} rejects with the first error of any request
 */
export async function runRound(send, origin, load, seconds) {
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  const requests = await sendUntil(send, origin, load, startMs + seconds * 1000)
  const elapsedMs = performance.now() - startMs
  const { user, system } = process.cpuUsage(cpuBefore)
  return { requests, seconds: elapsedMs / 1000, cpuSeconds: (user + system) / 1e6 }
}

/**
 * @param {import('./clients/dispatch.mjs').Send} send
 * @param {string} origin
 * @param {import('./loads.mjs').Load} load
 * @param {number} deadlineMs on the clock of `performance.now()`
 * @returns {Promise<number>} the number of requests
 */
function sendUntil(send, origin, load, deadlineMs) {
  return new Promise((resolve, reject) => {
    let requests = 0
    let inFlight = load.concurrency

    /** @type {import('./clients/dispatch.mjs').Done} */
    const done = (error, receivedBytes) => {
      if (error !== null) return reject(error)
      if (receivedBytes !== load.responseBytes) return reject(new Error(`a body of ${receivedBytes} bytes`))
      requests++
      if (performance.now() < deadlineMs) send(origin, load, done)
      else if (--inFlight === 0) resolve(requests)
    }

    for (let lane = 0; lane < load.concurrency; lane++) send(origin, load, done)
  })
}
