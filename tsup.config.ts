import { defineConfig } from 'tsup'
import { llhttpWasmForEsbuild } from './build/llhttp-wasm.js'

export default defineConfig({
  entry: ['src/index.ts'],
  format: ['esm', 'cjs'],
  target: 'node20',
  platform: 'node',
  dts: true,
  silent: true,
  // Bundlers of browsers take `buffer` for a package of that name.
  removeNodeProtocol: false,
  clean: true,
  // One file per format: the layers of src/ are for readers, not for the module loader.
  splitting: false,
  // The output is neither minified nor mangled, so a stack trace can be read without a map.
  sourcemap: false,
  external: ['koffi', 'undici'],
  esbuildOptions(options) {
    // In the CommonJS build, where it is not asked for: sys/native.ts.
    options.logOverride = { 'empty-import-meta': 'silent' }
  },
  esbuildPlugins: [llhttpWasmForEsbuild()],
})
