/**
 * Counts TIME_WAIT after many requests: node test/soak/time-wait.mjs [requests] [seconds].
 *
 * Takes root, for a network namespace. Ends with 1 when a request failed, or when a socket of the agent's was left.
 */
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

const DEFAULT_REQUESTS = 100_000
const DEFAULT_SECONDS = 300

/**
 * Prints what it counts.
 *
 * @param {{ requests?: number, seconds?: number }} options `seconds` for each of the clients
 * @returns {Promise<boolean>} whether all requests were answered, and nothing was left
 */
export async function soakTimeWait({ requests = DEFAULT_REQUESTS, seconds = DEFAULT_SECONDS } = {}) {
  const { module } = await runnerImport(fileURLToPath(new URL('./time-wait.ts', import.meta.url)))
  let isClean = true
  for (const client of ['dissolve', 'graceful', 'off', 'undici']) {
    const began = performance.now()
    const { answered, failures, left, most } = await module.countTimeWait(requests, client, seconds)
    const took = Math.round((performance.now() - began) / 1000)
    console.log(
      `time-wait: ${client}: ${answered} of ${requests} answered in ${took} s, failures ${JSON.stringify(failures)}, ` +
        `left ${JSON.stringify(left)}, at most ${JSON.stringify(most)}`,
    )
    if (client === 'dissolve') isClean = answered === requests && most.client + most.upstream === 0
  }
  return isClean
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [requests, seconds] = process.argv.slice(2).map(Number)
  process.exitCode = (await soakTimeWait({ requests, seconds })) ? 0 : 1
}
