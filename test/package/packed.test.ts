/** The package as its users get it: packed, installed into an empty project, imported, required and type-checked. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { preProcessFile } from 'typescript'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeNative } from '../support/transport.js'
import { startNodeUpstream, type Upstream } from '../support/upstream.js'
import { nodeTypes, PATIENCE_MS, type Packed, pack, project, type Result, root, run, undici } from './project.js'

const tsc = join(root, 'node_modules/typescript/bin/tsc')
const NAMES = ['install', 'RecyclingAgent', 'RecyclingPool', 'SocketPool']
/** The same in all versions that are admitted, and none of them has a side effect that anybody could notice. */
const MODULES_OF_UNDICI = [
  'undici/lib/api/index.js',
  'undici/lib/core/connect.js',
  'undici/lib/core/diagnostics.js',
  'undici/lib/core/errors.js',
  'undici/lib/core/symbols.js',
  'undici/lib/dispatcher/dispatcher.js',
]

// Whatever the transport of the other tests, these are the same.
describeNative('the packed package', () => {
  let directory: string
  let complete: string
  let upstream: Upstream
  let packed: Packed

  beforeAll(async () => {
    upstream = await startNodeUpstream()
    directory = mkdtempSync(join(tmpdir(), 'recycling-agent-package-'))
    packed = await pack(directory)
    complete = join(directory, 'complete')
    const tarball = join(directory, packed.filename)
    await project(complete, [tarball, `undici@${undici}`, `@types/node@${nodeTypes}`])
    cpSync(fileURLToPath(new URL('./consumers/', import.meta.url)), complete, { recursive: true })
  }, PATIENCE_MS)

  afterAll(async () => {
    await upstream.close()
    rmSync(directory, { recursive: true, force: true })
  })

  it('holds what it should and no more', () => {
    expect(packed.files.map(({ path }) => path).sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist/cli.js',
      'dist/index.cjs',
      'dist/index.d.cts',
      'dist/index.d.ts',
      'dist/index.js',
      'package.json',
    ])
    const sizes = packed.files.filter(({ path }) => path.startsWith('dist/')).map(({ path, size }) => `${path} ${size}`)
    console.info(`packed ${packed.size} bytes, unpacked ${packed.unpackedSize}: ${sizes.join(', ')}`)
    // Not that anything was bundled by mistake.
    expect(packed.size).toBeLessThan(300_000)
  })

  it('depends on koffi alone, and imports of undici what has no side effect', () => {
    expect(
      readdirSync(join(complete, 'node_modules'))
        .filter((name) => !name.startsWith('.'))
        .sort(),
    ).toEqual(['@koromix', '@types', 'koffi', 'recycling-agent', 'undici', 'undici-types'])
    for (const file of ['index.js', 'index.cjs', 'index.d.ts', 'index.d.cts']) {
      const text = readFileSync(join(complete, 'node_modules/recycling-agent/dist', file), 'utf8')
      const imports = preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName)
      const packages = imports.filter((name) => !isBuiltin(name))
      const expected = file.includes('.d.') ? ['undici'] : MODULES_OF_UNDICI
      expect([...new Set(packages)].filter((name) => name !== 'koffi').sort()).toEqual(expected)
    }
  })

  const files = ['consumer.mts', 'consumer.cts']
  /** Declarations of libraries are checked, too: ours is one of them. */
  const compile = (options: string[]): Promise<Result> =>
    run(complete, process.execPath, [tsc, '--strict', '--target', 'es2022', '--types', 'node', ...options, ...files])

  it(
    'compiles and runs from ES modules and CommonJS in TypeScript (node16)',
    async () => {
      const compiled = await compile(['--module', 'node16', '--moduleResolution', 'node16'])
      expect(compiled).toEqual({ code: 0, stdout: '', stderr: '' })
      for (const file of files) {
        const output = file.replace('ts', 'js')
        const { code, stdout, stderr } = await run(complete, process.execPath, [output, upstream.origin])
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        expect(JSON.parse(stdout)).toEqual({ statusCode: 200, text: 'hello world\n', names: NAMES })
      }
    },
    PATIENCE_MS,
  )

  it(
    'type-checks with the resolution of bundlers',
    async () => {
      const compiled = await compile(['--noEmit', '--module', 'preserve', '--moduleResolution', 'bundler'])
      expect(compiled).toEqual({ code: 0, stdout: '', stderr: '' })
    },
    PATIENCE_MS,
  )

  it(
    'works over ordinary sockets where optional dependencies were left out, and says so once',
    async () => {
      const bare = join(directory, 'bare')
      await project(bare, [join(directory, packed.filename), `undici@${undici}`], '--omit=optional')
      writeFileSync(
        join(bare, 'program.mjs'),
        `import { RecyclingAgent } from 'recycling-agent'
      import { request } from 'undici'
      const answers = []
      for (let i = 0; i < 2; i++) {
        const dispatcher = new RecyclingAgent()
        answers.push(await (await request(process.argv[2], { dispatcher })).body.text())
        await dispatcher.close()
      }
      let refusal
      try { new RecyclingAgent({ transport: 'native' }) } catch (error) { refusal = error.message }
      console.log(JSON.stringify({ answers, refusal }))`,
      )
      const { code, stdout, stderr } = await run(bare, process.execPath, ['program.mjs', upstream.origin])
      expect(code).toBe(0)
      const refusal = expect.stringContaining('Cannot find the native Koffi module')
      expect(JSON.parse(stdout)).toEqual({ answers: ['hello world\n', 'hello world\n'], refusal })
      expect(stderr.match(/RECYCLING_AGENT_NET\]/g)).toHaveLength(1)
    },
    PATIENCE_MS,
  )

  it.each([
    ['import', ['--input-type=module', '-e', "import 'recycling-agent'; console.log(globals())"]],
    ['require', ['-e', "require('recycling-agent'); console.log(globals())"]],
  ])('by %s leaves the global dispatcher to the program', async (_how, args) => {
    const flags = [
      '--import',
      'data:text/javascript,globalThis.globals = () => [1, 2].map((n) => Symbol.for("undici.globalDispatcher." + n) in globalThis).join()',
    ]
    const { stdout, stderr } = await run(complete, process.execPath, [...flags, ...args])
    expect({ stdout, stderr }).toEqual({ stdout: 'false,false\n', stderr: '' })
  })

  it('has native code for the systems that it names: glibc and musl, x64 and arm64', () => {
    const koffi = JSON.parse(readFileSync(join(complete, 'node_modules/koffi/package.json'), 'utf8'))
    for (const arch of ['x64', 'arm64'])
      expect(koffi.optionalDependencies).toHaveProperty(`@koromix/koffi-linux-${arch}`)
    const prebuilt = readdirSync(join(complete, 'node_modules/@koromix/koffi-linux-x64'))
    expect(prebuilt).toEqual(expect.arrayContaining(['musl_x64', 'linux_x64']))
  })
})
