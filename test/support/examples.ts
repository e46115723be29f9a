/** The examples, run as their readers run them: as programs that import the built package by its name. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const examplesDirectory: string = fileURLToPath(new URL('../../examples/', import.meta.url))
const built = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

/** One that takes longer is killed. */
const PATIENCE_MS = 60_000

export interface ExampleResult {
  code: number | null
  signal: string | null
  stdout: string
  stderr: string
}

export interface RunningExample {
  process: ChildProcess
  /** Resolves as soon as a line of its output matches. Rejects when it has ended without one. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  /** Resolves at its end, however it ends. */
  finished: Promise<ExampleResult>
}

/** @throws where the package was not built */
export function startExample(file: string, args: readonly string[] = []): RunningExample {
  if (!existsSync(built)) throw new Error('examples need the built package: npm run build')
  const child = spawn(process.execPath, [join(examplesDirectory, file), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  const result: ExampleResult = { code: null, signal: null, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    result.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    result.stderr += text
  })
  const finished = new Promise<ExampleResult>((resolve) =>
    child.once('close', (code, signal) => resolve({ ...result, code, signal })),
  )
  return {
    process: child,
    finished,
    line(pattern) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          const match = firstLine(result.stdout, pattern)
          if (match !== null) resolve(match)
        }
        child.stdout.on('data', look)
        finished.then(({ stdout, stderr }) => reject(new Error(`${file}: no ${pattern}\n${stdout}${stderr}`)))
        look()
      })
    },
  }
}

/** The first line that matches, of those that are whole. */
function firstLine(stdout: string, pattern: RegExp): RegExpExecArray | null {
  for (const line of stdout.split('\n').slice(0, -1)) {
    const match = pattern.exec(line)
    if (match !== null) return match
  }
  return null
}
