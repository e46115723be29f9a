import { defineConfig } from 'vitest/config'
import { llhttpWasmForVite } from './build/llhttp-wasm.js'
import { undiciUnderTest } from './build/undici-under-test.js'

export default defineConfig({
  plugins: [llhttpWasmForVite()],
  resolve: {
    alias: [{ find: /^undici$/, replacement: undiciUnderTest }],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // A process per file, since descriptors, native handles and exit hooks belong to a process.
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 20_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/**/*.d.ts'],
      reporter: ['text', 'html'],
    },
  },
})
