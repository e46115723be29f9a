/*
 * wrk as a client: a yardstick written in C. Its processor time is read by the shell that runs it.
 */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { pinnedCore } from './affinity.mjs'

const run = promisify(execFile)

/** wrk takes whole seconds only. */
const minimumSeconds = 1

/** @returns {Promise<string | undefined>} the version of wrk, or undefined where it is not installed */
export async function findWrk() {
  // `wrk -v` prints its usage too and exits with 1.
  const { stdout, code } = await run('wrk', ['-v']).catch((error) => error)
  return code === 'ENOENT' ? undefined : (/^wrk (.*?) \[/.exec(stdout)?.[1] ?? 'unknown version')
}

/**
 * @param {string} origin
 * @param {import('./loads.mjs').Load} load
 * @param {number} seconds
 * @returns {Promise<import('./measure.mjs').Round>}
 */
export async function runWrk(origin, load, seconds) {
  const duration = `${Math.max(minimumSeconds, Math.round(seconds))}s`
  const pin = load.isPinned ? `taskset -c ${pinnedCore} ` : ''
  const script = `TIMEFORMAT="%U %S"; time ${pin}wrk -t1 "-c$0" "-d$1" "$2"`
  const { stdout, stderr } = await run('bash', ['-c', script, String(load.concurrency), duration, origin + load.path])
  const [, requests, elapsed, unit] = /(\d+) requests in ([\d.]+)(ms|s)/.exec(stdout) ?? []
  const [user, system] = stderr.trim().split(/\s+/).slice(-2).map(Number)
  if (requests === undefined || /Socket errors|Non-2xx/.test(stdout)) throw new Error(`wrk failed: ${stdout}`)
  return {
    requests: Number(requests),
    seconds: Number(elapsed) / (unit === 'ms' ? 1000 : 1),
    cpuSeconds: (user ?? 0) + (system ?? 0),
  }
}
