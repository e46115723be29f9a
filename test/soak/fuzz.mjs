/**
 * The fuzzer, for a long time: node test/soak/fuzz.mjs [cases] [seed] [seconds] [first case].
 *
 * Without a seed it takes RECYCLING_AGENT_SEED, or one by chance. Ends with 1 when something was found, or when the time
 * was up before that many cases were tried.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { runnerImport } from 'vite'

const DEFAULT_CASES = 200_000
const DEFAULT_SECONDS = 900

const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** Bundled for this process; within the package, so that its dependencies are found. */
async function load(entry) {
  const { module: plugins } = await runnerImport(fromRoot('build/llhttp-wasm.ts'))
  const directory = fromRoot(`node_modules/.cache/soak-${process.pid}`)
  mkdirSync(directory, { recursive: true })
  try {
    const outfile = `${directory}/program.mjs`
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
    return await import(pathToFileURL(outfile).href)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * Prints what it does and what it finds.
 *
 * @param {{ cases?: number, seed?: number, seconds?: number, first?: number }} options
 * @returns {Promise<boolean>} whether all cases were tried, and nothing was found
 */
export async function soakFuzz({
  cases = DEFAULT_CASES,
  seed = seedByChance(),
  seconds = DEFAULT_SECONDS,
  first = 0,
} = {}) {
  console.log(`fuzz: seed ${seed}, ${cases} cases from ${first}, at most ${seconds} s`)
  const { fuzz } = await load('test/soak/fuzz.ts')
  const began = performance.now()
  const onProgress = (done) => console.log(`fuzz: ${done} cases, ${Math.round((performance.now() - began) / 1000)} s`)
  const { done, failures } = await fuzz({ seed, cases, first, timeMs: seconds * 1000, onProgress })
  for (const failure of failures) console.error(failure)
  console.log(`fuzz: seed ${seed}, ${done} of ${cases} cases tried, ${failures.length} failures`)
  return done === cases && failures.length === 0
}

function seedByChance() {
  return Number(process.env.RECYCLING_AGENT_SEED ?? Math.floor(Math.random() * 2 ** 32))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [cases, seed, seconds, first] = process.argv.slice(2).map(Number)
  process.exitCode = (await soakFuzz({ cases, seed, seconds, first })) ? 0 : 1
}
