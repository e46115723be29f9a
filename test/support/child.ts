/** Programs of the tests that need a process of their own: bundled from src/, run, and watched to their end. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { llhttpWasmForEsbuild } from '../../build/llhttp-wasm.js'
import { undiciUnderTest } from '../../build/undici-under-test.js'

// Within the package, so that the programs find its dependencies.
const cache = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url))

export interface ChildOptions {
  args?: string[]
  /** RLIMIT_NOFILE of the child. */
  descriptorLimit?: number
  /** A command that runs the program, with its arguments: `strace` and its like. */
  under?: string[]
  /** Of node: `--expose-gc` and its like. */
  nodeFlags?: string[]
  /** Variables, besides those of this process. */
  env?: Record<string, string>
  /** A program that takes longer is killed. @default 20000 */
  timeoutMs?: number
}

export interface ChildResult {
  code: number | null
  signal: string | null
  stdout: string
  stderr: string
}

/** A bundled program. */
export class Program {
  readonly #directory: string
  readonly #file: string

  private constructor(directory: string) {
    this.#directory = directory
    this.#file = join(directory, 'program.mjs')
  }

  static async from(entry: URL): Promise<Program> {
    mkdirSync(cache, { recursive: true })
    const program = new Program(mkdtempSync(join(cache, 'program-')))
    await build({
      entryPoints: [fileURLToPath(entry)],
      outfile: program.#file,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      external: ['koffi', 'undici', 'undici-8', 'selfsigned'],
      // An alias to itself would be refused.
      alias: undiciUnderTest === 'undici' ? {} : { undici: undiciUnderTest },
      plugins: [llhttpWasmForEsbuild()],
      logLevel: 'error',
    })
    return program
  }

  /** The bundle, for those who start it on their own. */
  get file(): string {
    return this.#file
  }

  /** Runs the program to its end, however it ends. */
  run({ timeoutMs = 20_000, env, ...options }: ChildOptions = {}): Promise<ChildResult> {
    return new Promise((resolve) => {
      const child = execFile(
        'sh',
        this.#command(options),
        { timeout: timeoutMs, env: { ...process.env, ...env } },
        (_error, stdout, stderr) => {
          resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr })
        },
      )
    })
  }

  /** Starts the program, with a channel for messages. */
  start(options: Omit<ChildOptions, 'timeoutMs' | 'env'> = {}): ChildProcess {
    return spawn('sh', this.#command(options), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  }

  #command({ args = [], descriptorLimit, under = [], nodeFlags = [] }: ChildOptions): string[] {
    const limit = descriptorLimit === undefined ? '' : `ulimit -n ${descriptorLimit}; `
    return ['-c', `${limit}exec "$@"`, 'sh', ...under, process.execPath, ...nodeFlags, this.#file, ...args]
  }

  delete(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
