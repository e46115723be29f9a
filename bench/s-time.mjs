/*
 * `openssl s_time -reuse` as a client: a yardstick of TLS, written in C. One connection after the other, with a session
 * that is resumed; its processor time is read by the shell that runs it.
 */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** It takes whole seconds only, and looks at a clock of whole seconds. */
const minimumSeconds = 1

/** Of its connections; with fewer it would measure something else. */
const leastResumed = 0.99

/** @returns {Promise<string | undefined>} the version of OpenSSL, or undefined where its program is not installed */
export async function findOpenssl() {
  const { stdout, code } = await run('openssl', ['version']).catch((error) => error)
  return code === undefined ? (/^OpenSSL (\S+)/.exec(stdout)?.[1] ?? 'unknown version') : undefined
}

/**
 * @param {string} origin
 * @param {import('./loads.mjs').Load} load
 * @param {number} seconds
 * @returns {Promise<import('./measure.mjs').Round>}
 */
export async function runSTime(origin, load, seconds) {
  const duration = `${Math.max(minimumSeconds, Math.round(seconds))}`
  const script = 'TIMEFORMAT="%R %U %S"; time openssl s_time -reuse -connect "$0" -www "$1" -time "$2"'
  const { stdout, stderr } = await run('bash', ['-c', script, new URL(origin).host, load.path, duration])
  const [, requests, bytes] =
    /(\d+) connections in \d+ real seconds, (\d+) bytes read per connection/.exec(stdout) ?? []
  // A letter for each connection after the first, by which it tells those that resumed a session.
  const resumed = /^r+$/m.exec(stdout)?.[0].length ?? 0
  const [real, user, system] = stderr.trim().split(/\s+/).slice(-3).map(Number)
  if (!(Number(bytes) > load.responseBytes)) throw new Error(`s_time failed: ${stdout}`)
  if (resumed < Number(requests) * leastResumed) throw new Error(`s_time resumed ${resumed} of ${requests} sessions`)
  // Each round is a process of its own: what it takes to start is part of it, as it is of its processor time.
  return { requests: Number(requests), seconds: real ?? 0, cpuSeconds: (user ?? 0) + (system ?? 0) }
}
