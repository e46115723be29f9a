/**
 * Memory per idle keep-alive connection, ours and undici's, side by side:
 * node test/soak/memory.mjs [--secure] [--connections=4000,10000] [--rounds=5] [--warm-up=3000] [--collection=reducing]
 *   [--json=PATH]
 *
 * With --secure of https, 2,000 connections, by both ways of TLS that we have.
 * Ends with 1 when ours takes more than a third of undici's, or of https more than half.
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runnerImport } from 'vite'

const { values } = parseArgs({
  options: {
    secure: { type: 'boolean', default: false },
    connections: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '3000' },
    collection: { type: 'string', default: 'ordinary' },
    json: { type: 'string' },
  },
})
const { secure: isSecure, connections = isSecure ? '2000' : '4000,10000' } = values
const { module } = await runnerImport(fileURLToPath(new URL('./memory.ts', import.meta.url)))
const figures = await module.measureMemory({
  isSecure,
  connections: connections.split(',').map(Number),
  rounds: Number(values.rounds),
  collection: values.collection,
  warmUp: Number(values['warm-up']),
})
const scheme = isSecure ? 'https' : 'http'
if (values.json !== undefined) {
  const commandLine = ['node test/soak/memory.mjs', ...process.argv.slice(2)].join(' ')
  const environment = { node: process.version, date: new Date().toISOString(), 'command line': commandLine }
  const options = { rounds: Number(values.rounds) }
  await writeFile(values.json, `${JSON.stringify({ environment, options, scheme, figures }, null, 2)}\n`)
}
console.log(`Node.js ${process.versions.node}; ${scheme}; bytes per connection, medians of ${values.rounds}`)
console.table(figures.map(({ rounds, ...figure }) => ({ ...figure, rounds: rounds.join(' ') })))
const most = isSecure ? module.MOST_SECURE_SHARE : module.MOST_SHARE
for (const { connections, share } of module.sharesOf(figures)) {
  console.log(`${connections} connections: ours take ${share.toFixed(3)} of undici's; at most ${most.toFixed(3)}`)
  if (share > most) process.exitCode = 1
}
if (isSecure) {
  for (const { connections, share } of module.sharesOf(figures, 'ours-node-tls')) {
    console.log(`${connections} connections: with tlsTransport 'node' ours take ${share.toFixed(3)}`)
  }
}
