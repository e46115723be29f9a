/** Programs that use the package, bundled into one file: they recycle, and say what is missing where they cannot. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { rolldown } from 'rolldown'
import { rollup } from 'rollup'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeNative } from '../support/transport.js'
import { startNodeUpstream, type Upstream } from '../support/upstream.js'
import { PATIENCE_MS, pack, project, type Result, run, undici } from './project.js'

type Format = 'esm' | 'cjs'
type Bundle = (directory: string, format: Format, external: string[], file: string) => Promise<unknown>

const PROGRAM = `
  import { RecyclingAgent } from 'recycling-agent'
  async function main() {
    const globals = [1, 2].filter((n) => Symbol.for('undici.globalDispatcher.' + n) in globalThis)
    const agent = new RecyclingAgent()
    const { body } = await agent.request({ origin: process.argv[2], path: '/', method: 'GET' })
    const text = await body.text()
    while (agent.stats.sockets.leased > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    const { dissolved } = agent.stats.sockets
    await agent.close()
    console.log(JSON.stringify({ text, dissolved, globals }))
  }
  main()
`
/** What bundles of ES modules with CommonJS in them need: undici requires Node's modules. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`

const withEsbuild: Bundle = (directory, format, external, file) =>
  build({
    absWorkingDir: directory,
    entryPoints: ['program.mjs'],
    outfile: file,
    bundle: true,
    format,
    platform: 'node',
    external,
    banner: { js: format === 'esm' ? REQUIRE : '' },
  })

const withRolldown: Bundle = async (directory, format, external, file) => {
  const input = join(directory, 'program.mjs')
  await (await rolldown({ input, platform: 'node', external })).write({ format, file })
}

/** Without plugins it follows paths only. */
const withRollup: Bundle = async (directory, format, external, file) => {
  const resolve = {
    name: 'resolve',
    resolveId: (name: string) =>
      name === 'recycling-agent' ? join(directory, 'node_modules/recycling-agent/dist/index.js') : null,
  }
  const isExternal = (name: string): boolean => name.startsWith('node:') || external.includes(name.split('/')[0]!)
  const input = join(directory, 'program.mjs')
  await (await rollup({ input, external: isExternal, plugins: [resolve] })).write({ format, file, interop: 'auto' })
}

describeNative('a bundle', () => {
  let directory: string
  let installed: string
  let upstream: Upstream

  beforeAll(async () => {
    upstream = await startNodeUpstream()
    directory = mkdtempSync(join(tmpdir(), 'recycling-agent-bundles-'))
    const { filename } = await pack(directory)
    installed = join(directory, 'installed')
    await project(installed, [join(directory, filename), `undici@${undici}`])
    writeFileSync(join(installed, 'program.mjs'), PROGRAM)
  }, PATIENCE_MS)

  afterAll(async () => {
    await upstream.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const runBundle = (file: string): Promise<Result> => run(directory, process.execPath, [file, upstream.origin])

  const recycles = { text: 'hello world\n', dissolved: 1, globals: [] }

  it.each<[bundler: string, format: Format, external: string[], bundle: Bundle]>([
    ['esbuild', 'cjs', ['koffi'], withEsbuild],
    ['esbuild', 'esm', ['koffi'], withEsbuild],
    ['esbuild', 'cjs', [], withEsbuild],
    ['esbuild', 'esm', ['koffi', 'undici'], withEsbuild],
    ['rolldown', 'cjs', ['koffi'], withRolldown],
    ['rolldown', 'esm', ['koffi'], withRolldown],
    ['rollup', 'cjs', ['koffi', 'undici'], withRollup],
    ['rollup', 'esm', ['koffi', 'undici'], withRollup],
  ])('by %s, %s with %j external, recycles', async (bundler, format, external, bundle) => {
    const extension = format === 'cjs' ? 'cjs' : 'mjs'
    const file = join(installed, 'bundles', `${bundler}-${external.length}.${extension}`)
    await bundle(installed, format, external, file)
    const { code, stdout, stderr } = await runBundle(file)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual(recycles)
  })

  it.each(['cjs', 'esm'] as const)('as %s without koffi beside it works, and says what is missing', async (format) => {
    const name = format === 'cjs' ? 'alone.cjs' : 'alone.mjs'
    await withEsbuild(installed, format, ['koffi'], join(installed, 'bundles', name))
    copyFileSync(join(installed, 'bundles', name), join(directory, name))
    const { code, stdout, stderr } = await runBundle(join(directory, name))
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ text: 'hello world\n', dissolved: 0 })
    expect(stderr).toContain("koffi cannot be loaded: Cannot find module 'koffi'.")
    expect(stderr).toContain('install it where the program runs, and mark it as external')
    expect(stderr.match(/RECYCLING_AGENT_NET\]/g)).toHaveLength(1)
  })
})
