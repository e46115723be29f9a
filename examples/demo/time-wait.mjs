/*
 * Connections in TIME_WAIT, from /proc/net/tcp (proc(5)): addresses are `IP:PORT` in hexadecimal, state 06 is TIME_WAIT.
 */

import { readFile } from 'node:fs/promises'

/** @typedef {{ upstream: number, proxy: number }} TimeWait how many, by the side that holds them */

const entry = /: [0-9A-F]{8}:([0-9A-F]{4}) [0-9A-F]{8}:([0-9A-F]{4}) 06 /g

/**
 * @param {number} upstreamPort
 * @returns {Promise<TimeWait | null>} null where there is no /proc/net/tcp
 */
export async function countTimeWait(upstreamPort) {
  const port = upstreamPort.toString(16).toUpperCase().padStart(4, '0')
  let table
  try {
    table = await readFile('/proc/net/tcp', 'latin1')
  } catch {
    return null
  }
  const count = { upstream: 0, proxy: 0 }
  for (const [, localPort, remotePort] of table.matchAll(entry)) {
    if (localPort === port) count.upstream++
    else if (remotePort === port) count.proxy++
  }
  return count
}
