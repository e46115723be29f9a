import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'
import { llhttpWasmForVite } from './build/llhttp-wasm.js'
import { undiciUnderTest } from './build/undici-under-test.js'

/** Layers that know nothing but descriptors, and what does not depend on how bytes are carried. */
const ALIKE_OVER_NET = [
  'sys',
  'socket-pool',
  'reactor',
  'structures',
  'http1',
  'request',
  'tls',
  'documents',
  'package',
  'bench',
].map((folder) => `test/${folder}/**`)
/** Where each transport has its turn already, whichever is the usual one. */
const ON_EACH_TRANSPORT = [
  'test/twin-tls/**',
  'test/pool/late-binding.test.ts',
  ...['spare-connections', 'spare-latency'].map((name) => `test/agent/${name}.test.ts`),
  ...['connections', 'endless', 'foreign-code', 'kernel-half-open', 'process-fake-timers', 'process-moved-clock'].map(
    (name) => `test/faults/${name}.test.ts`,
  ),
]
const isNative = process.env.RECYCLING_AGENT_TRANSPORT !== 'net'
const excluded = isNative ? [] : [...ALIKE_OVER_NET, ...ON_EACH_TRANSPORT]
if (!isNative) console.info(`not tried with net sockets: ${excluded.join(', ')}`)

export default defineConfig({
  plugins: [llhttpWasmForVite()],
  resolve: {
    alias: [{ find: /^undici(?=$|\/)/, replacement: undiciUnderTest }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...excluded],
    // A process per file, since descriptors, native handles and exit hooks belong to a process.
    pool: 'forks',
    // Two on two cores, where vitest would take one: many tests wait.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 20_000,
    hookTimeout: 20_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.d.ts'],
      reporter: ['text', 'html'],
      // In percent, of all files and of those that hold the protocol's decisions.
      thresholds: {
        lines: 95,
        branches: 90,
        'src/http1/**': { branches: 100 },
        'src/pool/**': { branches: 100 },
      },
    },
  },
})
