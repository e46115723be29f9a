import { defineConfig } from 'tsup'
import { llhttpWasmForEsbuild } from './build/llhttp-wasm.js'

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm', 'cjs'],
  target: 'node20',
  platform: 'node',
  dts: true,
  silent: true,
  clean: true,
  // One file per format: the layers of src/ are for readers, not for the module loader.
  splitting: false,
  // The output is neither minified nor mangled, so a stack trace can be read without a map.
  sourcemap: false,
  // Gives the CommonJS build an `import.meta.url`.
  shims: true,
  external: ['koffi', 'undici'],
  esbuildPlugins: [llhttpWasmForEsbuild()],
})
