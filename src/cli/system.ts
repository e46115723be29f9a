/** Limits of the system, from /proc: what is not there is `null`. */
import { readFileSync } from 'node:fs'

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}

/** How many files this process may open (getrlimit(2)); Node.js raises it as far as it may. */
export function openFileLimit(limits: string | null = read('/proc/self/limits')): number | null {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits ?? '') ?? []
  if (soft === undefined) return null
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

/** The ports that connections are made from (ip(7)). */
export function localPorts(
  range: string | null = read('/proc/sys/net/ipv4/ip_local_port_range'),
): { first: number; last: number } | null {
  const [, first, last] = /^(\d+)\s+(\d+)/.exec(range ?? '') ?? []
  return first === undefined ? null : { first: Number(first), last: Number(last) }
}
