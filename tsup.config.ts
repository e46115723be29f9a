import { defineConfig, type Options } from 'tsup'
import { llhttpWasmForEsbuild } from './build/llhttp-wasm.js'
import { siblingIndexForEsbuild } from './build/sibling-index.js'

const shared: Options = {
  target: 'node20',
  platform: 'node',
  silent: true,
  // Bundlers of browsers take `buffer` for a package of that name.
  removeNodeProtocol: false,
  // One file per format: the layers of src/ are for readers, not for the module loader.
  splitting: false,
  // The output is neither minified nor mangled, so a stack trace can be read without a map.
  sourcemap: false,
  external: ['koffi', 'undici'],
}

export default defineConfig([
  {
    ...shared,
    entry: ['src/index.ts'],
    format: ['esm', 'cjs'],
    dts: true,
    // Both are built at the same time: what the other one writes is not to be removed.
    clean: ['!cli.js'],
    esbuildOptions(options) {
      // In the CommonJS build, where it is not asked for: sys/native.ts.
      options.logOverride = { 'empty-import-meta': 'silent' }
    },
    esbuildPlugins: [llhttpWasmForEsbuild()],
  },
  {
    ...shared,
    entry: { cli: 'src/cli/main.ts' },
    format: 'esm',
    dts: false,
    clean: false,
    // What it measures is the package beside it.
    esbuildPlugins: [siblingIndexForEsbuild()],
  },
])
