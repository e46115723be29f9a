/*
 * Where the numbers come from: they mean nothing without it.
 */

import { createRequire } from 'node:module'
import os from 'node:os'

const require = createRequire(import.meta.url)

/**
 * @param {{ server: string, wrk: string | undefined }} tools
 * @returns {Record<string, string>}
 */
export function describeEnvironment({ server, wrk }) {
  const cpus = os.cpus()
  return {
    date: new Date().toISOString(),
    'command line': ['npm run bench --', ...process.argv.slice(2)].join(' '),
    node: process.version,
    undici: require('undici/package.json').version,
    'built-in undici': process.versions.undici ?? 'unknown',
    'recycling-agent': require('recycling-agent/package.json').version,
    koffi: require('koffi').version,
    upstream: server,
    wrk: wrk ?? 'not installed',
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    machine: `${cpus.length} x ${cpus[0]?.model.trim() ?? 'unknown'}`,
  }
}
