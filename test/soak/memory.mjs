/**
 * Memory per idle keep-alive connection, ours and undici's, side by side:
 * node test/soak/memory.mjs [--connections=4000,10000] [--rounds=5] [--warm-up=3000] [--collection=reducing]
 *
 * Ends with 1 when ours takes more than a third of undici's.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runnerImport } from 'vite'

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '4000,10000' },
    rounds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '3000' },
    collection: { type: 'string', default: 'ordinary' },
  },
})
const { module } = await runnerImport(fileURLToPath(new URL('./memory.ts', import.meta.url)))
const figures = await module.measureMemory({
  connections: values.connections.split(',').map(Number),
  rounds: Number(values.rounds),
  collection: values.collection,
  warmUp: Number(values['warm-up']),
})
console.log(`Node.js ${process.versions.node}; bytes per connection, medians of ${values.rounds}`)
console.table(figures.map(({ rounds, ...figure }) => ({ ...figure, rounds: rounds.join(' ') })))
for (const { connections, share } of module.sharesOf(figures)) {
  console.log(`${connections} connections: ours take ${share.toFixed(3)} of undici's`)
  if (share > module.MOST_SHARE) process.exitCode = 1
}
