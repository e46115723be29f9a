/**
 * `npm run soak`: everything that can go wrong, at full speed, for a quarter of an hour at most.
 *
 * npm run soak -- [--requests=2000000] [--handshakes=100000] [--records=20000] [--races=400] [--cases=200000]
 *   [--connections=10000] [--seconds=900] [--seed=N]
 *
 * Ends with 1 when a promise was broken. Where the time does not suffice for as much, it says how much was done.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runnerImport } from 'vite'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '2000000' },
    handshakes: { type: 'string', default: '100000' },
    records: { type: 'string', default: '20000' },
    races: { type: 'string', default: '400' },
    cases: { type: 'string', default: '200000' },
    connections: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '900' },
    seed: { type: 'string', default: process.env.RECYCLING_AGENT_SEED ?? String(Math.floor(Math.random() * 2 ** 32)) },
  },
})
const options = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)]))
for (const [name, value] of Object.entries(options)) {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} takes a number, not '${values[name]}'`)
}
const { module } = await runnerImport(fileURLToPath(new URL('./soak.ts', import.meta.url)))
const isKept = await module.soak(options)
process.exit(isKept ? 0 : 1)
