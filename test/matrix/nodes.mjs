/**
 * The Node.js binaries of the matrix. They come as plain packages, into .nodes/ and without running any install script;
 * as dependencies they would shadow `node` in the scripts of this package.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const DOWNLOAD_TIMEOUT_MS = 180_000

/**
 * The running Node.js for its own major; any other one is downloaded once.
 *
 * @param {number} major
 * @returns {{ path: string, version: string }} the version without a `v`
 * @throws when it can neither be found nor downloaded
 */
export function nodeOfMajor(major) {
  if (process.versions.node.startsWith(`${major}.`)) return { path: process.execPath, version: process.versions.node }
  const prefix = fileURLToPath(new URL(`../../.nodes/${major}`, import.meta.url))
  const name = `node-linux-${process.arch}`
  const path = `${prefix}/node_modules/${name}/bin/node`
  if (!existsSync(path)) download(`${name}@${major}`, prefix)
  if (!existsSync(path)) throw new Error(`${name}@${major} holds no bin/node`)
  return { path, version: execFileSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim() }
}

function download(specifier, prefix) {
  const options = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  const { error, status, stderr } = spawnSync('npm', ['install', '--prefix', prefix, ...options, specifier], {
    encoding: 'utf8',
    timeout: DOWNLOAD_TIMEOUT_MS,
  })
  if (status === 0) return
  const reason = error?.message ?? stderr.trim().split('\n', 4).join('; ')
  throw new Error(`${specifier} could not be downloaded into .nodes/: ${reason}`)
}
