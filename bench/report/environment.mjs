/*
 * Where the numbers come from: they mean nothing without it.
 */

import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import os from 'node:os'

const require = createRequire(import.meta.url)

/**
 * @param {{ server: string, wrk: string | undefined, openssl: string | undefined, nodePath: string }} tools
 * @returns {Record<string, string>}
 */
export function describeEnvironment({ server, wrk, openssl, nodePath }) {
  const { node, undici } = versionsOf(nodePath)
  const cpus = os.cpus()
  return {
    date: new Date().toISOString(),
    'command line': ['npm run bench --', ...process.argv.slice(2)].join(' '),
    node: `v${node}`,
    undici: require('undici/package.json').version,
    'built-in undici': undici ?? 'unknown',
    'recycling-agent': require('recycling-agent/package.json').version,
    koffi: require('koffi').version,
    upstream: server,
    wrk: wrk ?? 'not installed',
    openssl: openssl ?? 'not installed',
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    machine: `${cpus.length} x ${cpus[0]?.model.trim() ?? 'unknown'}`,
  }
}

/**
 * @param {string} nodePath
 * @returns {NodeJS.ProcessVersions}
 */
function versionsOf(nodePath) {
  return JSON.parse(execFileSync(nodePath, ['-p', 'JSON.stringify(process.versions)'], { encoding: 'utf8' }))
}
