/** Bundles the programs of the soak from src/, so that none of them needs a build before. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { runnerImport } from 'vite'

const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/**
 * @param {string} entry from the root of the package
 * @returns {Promise<{ file: string, delete: () => void }>} lies within the package, so that dependencies are found
 */
export async function bundle(entry) {
  const { module: plugins } = await runnerImport(fromRoot('build/llhttp-wasm.ts'))
  const cache = fromRoot('node_modules/.cache/')
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'soak-'))
  const outfile = join(directory, 'program.mjs')
  await build({
    entryPoints: [fromRoot(entry)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['koffi', 'undici', 'undici-8'],
    plugins: [plugins.llhttpWasmForEsbuild()],
    logLevel: 'error',
  })
  return { file: outfile, delete: () => rmSync(directory, { recursive: true, force: true }) }
}

/** A bundled module, for this process. @param {string} entry from the root of the package */
export async function load(entry) {
  const program = await bundle(entry)
  try {
    return await import(pathToFileURL(program.file).href)
  } finally {
    program.delete()
  }
}
