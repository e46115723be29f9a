/*
 * Client and server on one core, by taskset(1): what a request costs then is all there is to its rate, whichever of them
 * it costs.
 */

import { execFileSync, spawnSync } from 'node:child_process'

/** The core of pinned loads. */
export const pinnedCore = '0'

/** @returns {string | undefined} why no process can be put on that core, or undefined */
export function reasonNotToPin() {
  const { error, status } = spawnSync('taskset', ['-c', pinnedCore, 'true'])
  if (error !== undefined) return 'taskset is not installed'
  if (status !== 0) return `core ${pinnedCore} is not for this process`
}

/**
 * Keeps processes, with all their threads, on one core meanwhile.
 *
 * @template T
 * @param {readonly number[]} pids
 * @param {() => Promise<T>} act
 * @returns {Promise<T>}
 */
export async function onOneCore(pids, act) {
  const before = pids.map((pid) => /** @type {[number, string]} */ ([pid, maskOf(pid)]))
  try {
    for (const pid of pids) taskset('-a', '-c', '-p', pinnedCore, `${pid}`)
    return await act()
  } finally {
    for (const [pid, mask] of before) if (isAlive(pid)) taskset('-a', '-p', mask, `${pid}`)
  }
}

/** @param {string[]} args */
const taskset = (...args) => execFileSync('taskset', args, { encoding: 'utf8' })

/** @param {number} pid @returns {string} hexadecimal */
const maskOf = (pid) => taskset('-p', `${pid}`).trim().split(' ').at(-1) ?? ''

/** A client that failed may be gone. @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
