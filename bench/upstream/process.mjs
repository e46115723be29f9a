/*
 * The process that owns the upstream: it starts the servers, tells their origins, and leaves nothing behind when the
 * benchmark disconnects, however that came about.
 */

import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild } from '../children.mjs'
import { bulkBytes } from '../loads.mjs'
import { createCertificate } from './certificate.mjs'
import { findNginx, startNginx } from './nginx.mjs'
import { startNodeServers, startSink } from './node-server.mjs'

/**
 * @typedef {object} Upstreams
 * @property {string} server what answers, with its version
 * @property {number} pid of the process that answers small requests
 * @property {Record<import('../loads.mjs').UpstreamName, string>} origins
 * @property {string} ca by which its certificate is verified
 */

const directory = await mkdtemp(join(tmpdir(), 'recycling-agent-bench-'))
/** @type {(() => Promise<void>)[]} */
const stops = [() => rm(directory, { recursive: true, force: true })]
/** @type {Promise<void> | undefined} */
let stopping

async function stopAll() {
  for (const stopOne of stops.toReversed()) await stopOne().catch(console.error)
  process.exit()
}

function stop() {
  stopping ??= stopAll()
  return stopping
}

process.on('disconnect', stop)
process.on('SIGINT', () => {})
process.on('SIGTERM', stop)

/** @param {import('./certificate.mjs').Certificate} certificate */
async function startMain(certificate) {
  const nginx = findNginx()
  if (nginx === undefined) {
    return { server: `node:http ${process.version}`, pid: process.pid, ...(await startNodeServers(certificate)) }
  }
  const bulkFile = join(directory, 'bulk')
  await writeFile(bulkFile, '')
  await truncate(bulkFile, bulkBytes)
  return { server: nginx.version, ...(await startNginx(nginx.command, directory, certificate)) }
}

/**
 * Puts the link with a delay in front of the servers.
 *
 * @param {Record<string, string>} origins
 * @returns {Promise<Record<string, string>>} the origins on its other side
 */
async function startRelay(origins) {
  const names = ['closing', 'keepalive', 'secure', 'secure-keepalive']
  const urls = names.map((name) => new URL(origins[name] ?? ''))
  const relay = startChild(
    'upstream/relay.mjs',
    urls.map(({ port }) => port),
  )
  stops.push(() => relay.end())
  /** @type {number[]} */
  const ports = await relay.ask()
  return Object.fromEntries(ports.map((port, i) => [`delayed-${names[i]}`, `${urls[i]?.protocol}//127.0.0.1:${port}`]))
}

try {
  const certificate = await createCertificate()
  const main = await startMain(certificate)
  stops.push(main.stop)
  const sink = await startSink()
  stops.push(sink.stop)
  const secureSink = await startSink(certificate)
  stops.push(secureSink.stop)
  // The same server, by the name that every system has for it.
  const named = main.origins.closing.replace('127.0.0.1', 'localhost')
  const delayed = await startRelay(main.origins)
  const origins = { ...main.origins, ...delayed, named, sink: sink.origin, 'secure-sink': secureSink.origin }
  process.send?.({ server: main.server, pid: main.pid, origins, ca: certificate.cert })
} catch (error) {
  console.error(error)
  await stop()
}
