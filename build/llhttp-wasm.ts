/*
 * The module `virtual:llhttp-wasm`, for the bundler and for the test runner.
 *
 * undici keeps its WebAssembly build of llhttp in a private file. It is therefore read here, when the package is built,
 * from the exactly pinned development dependency, and bundled; the copy of undici that a user installs is never touched.
 */

import { createRequire } from 'node:module'
import type { Options } from 'tsup'
import type { Plugin as VitePlugin } from 'vitest/config'

type EsbuildPlugin = NonNullable<Options['esbuildPlugins']>[number]

const moduleName = 'virtual:llhttp-wasm'

/** The source text of the virtual module: its default export is the wasm file, in base64. */
function llhttpModuleSource(): string {
  const wasm: Buffer = createRequire(import.meta.url)('undici/lib/llhttp/llhttp_simd-wasm.js')
  return `export default ${JSON.stringify(wasm.toString('base64'))}`
}

/** Resolves `virtual:llhttp-wasm` in the package build. */
export function llhttpWasmForEsbuild(): EsbuildPlugin {
  return {
    name: moduleName,
    setup(build) {
      build.onResolve({ filter: /^virtual:llhttp-wasm$/ }, () => ({ path: moduleName, namespace: moduleName }))
      build.onLoad({ filter: /.*/, namespace: moduleName }, () => ({ contents: llhttpModuleSource(), loader: 'js' }))
    },
  }
}

/** Resolves `virtual:llhttp-wasm` in tests, which run from the sources. */
export function llhttpWasmForVite(): VitePlugin {
  // Rollup's convention: a leading NUL keeps other plugins from resolving the id as a file.
  const resolvedId = `\0${moduleName}`
  return {
    name: moduleName,
    resolveId: (id) => (id === moduleName ? resolvedId : undefined),
    load: (id) => (id === resolvedId ? llhttpModuleSource() : undefined),
  }
}
