/** One run of vitest under one Node.js with one undici, and what its report says. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const CELL_TIMEOUT_MS = 900_000

/**
 * @param {{ node: { path: string }, undici: { major: number } }} cell
 * @param {string[]} args for vitest
 */
export function runCell({ node, undici }, args) {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-matrix-'))
  const file = join(directory, 'report.json')
  const start = performance.now()
  const { stdout, stderr, status } = spawnSync(
    node.path,
    [vitest, 'run', '--reporter=json', `--outputFile=${file}`, ...args],
    {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      timeout: CELL_TIMEOUT_MS,
      killSignal: 'SIGKILL',
      // Whoever starts `node` by its name gets the same one.
      env: { ...process.env, UNDICI: String(undici.major), PATH: `${dirname(node.path)}:${process.env.PATH}` },
    },
  )
  const seconds = Math.round((performance.now() - start) / 1000)
  try {
    return { ...summaryOf(JSON.parse(readFileSync(file, 'utf8')), status), seconds }
  } catch {
    const failures = `vitest has written no report\n${stdout}\n${stderr}`.trim().split('\n').slice(-40)
    return { passed: 0, failed: 1, skipped: 0, seconds, isGood: false, failures }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A test file that could not even be loaded holds no test: it counts as one failure. */
function summaryOf({ testResults, numPassedTests, numPendingTests }, status) {
  const failures = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed')
    if (failed.length === 0 && status === 'failed') return [`failed as a file: ${name} ${firstLine(message)}`]
    return failed.map(({ fullName, failureMessages }) => `failed: ${fullName}: ${firstLine(failureMessages[0])}`)
  })
  // vitest also fails for errors outside of tests, which are in no report.
  if (failures.length === 0 && status !== 0) failures.push(`vitest has ended with ${status}`)
  return {
    passed: numPassedTests,
    failed: failures.length,
    skipped: numPendingTests,
    isGood: failures.length === 0 && numPassedTests > 0,
    failures,
  }
}

const firstLine = (text = '') => text.split('\n', 1)[0]
