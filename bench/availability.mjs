/*
 * Why a load cannot be measured on this machine.
 */

import { readFileSync } from 'node:fs'
import { reasonNotToPin } from './affinity.mjs'

/** Descriptors that a process needs besides those of its connections. */
const spareDescriptors = 200

/**
 * @param {import('./loads.mjs').Load} load
 * @returns {string | undefined} the reason to skip it, or undefined
 */
export function reasonToSkip(load) {
  const unpinned = load.isPinned ? reasonNotToPin() : undefined
  if (unpinned !== undefined) return unpinned
  // Connections that idle are kept while others are opened.
  const needed = Math.max(load.concurrency, load.originCount ?? 1) + spareDescriptors
  const limit = descriptorLimit()
  if (needed > limit) return `it takes ${needed} descriptors, and a process may have ${limit}`
}

/** Child processes inherit it: Node.js raises it to the hard limit when it starts. */
function descriptorLimit() {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
}
