/** Projects that have the packed package installed, as its users have it. */
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Of the package. */
export const root = fileURLToPath(new URL('../../', import.meta.url))
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** The versions that this package is developed with. */
export const { undici, '@types/node': nodeTypes }: Record<string, string> = devDependencies
/** Packages are installed, and compilers run. */
export const PATIENCE_MS = 120_000

/** What npm says of a tarball. */
export interface Packed {
  filename: string
  size: number
  unpackedSize: number
  files: { path: string; size: number }[]
}

/** Packs the package, as it was built, into `directory`. */
export async function pack(directory: string): Promise<Packed> {
  const { stdout } = await run(root, 'npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', directory])
  return JSON.parse(stdout)[0]
}

export interface Result {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs a command to its end, with the transport that is the default. */
export function run(cwd: string, command: string, args: string[]): Promise<Result> {
  const { RECYCLING_AGENT_TRANSPORT: _, ...env } = process.env
  return new Promise((resolve) => {
    const child = execFile(command, args, { cwd, env, timeout: PATIENCE_MS }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}

/** A project with `packages` installed as a user would who lets no install script run. */
export async function project(directory: string, packages: string[], ...flags: string[]): Promise<void> {
  mkdirSync(directory)
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }')
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']
  const { code, stderr } = await run(directory, 'npm', ['install', '--ignore-scripts', ...quiet, ...flags, ...packages])
  if (code !== 0) throw new Error(stderr)
}
