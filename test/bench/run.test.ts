/** The benchmark measures what it is asked to, on the Node.js that it is asked for. Uses the built package. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { isTried } from '../support/gate.js'
import { itNative } from '../support/transport.js'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))
const running = Number.parseInt(process.versions.node, 10)
/** Another one where it has been downloaded already. */
const other = [22, 24, 26].find((major) => major !== running && existsSync(`${root}.nodes/${major}`))

itNative.each([...new Set([running, other ?? running])])(
  'measures each client in each load, on Node.js %i',
  async (major) => {
    const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-bench-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const json = join(directory, 'results.json')
    const clients = ['recycling', 'recycling-off', 'recycling-net', 'undici-agent', 'node-http']
    const args = [
      `--node=${major}`,
      '--loads=closing-1,keepalive-1',
      `--clients=${clients.join(',')}`,
      `--json=${json}`,
    ]
    await run(process.execPath, [`${root}bench/run.mjs`, '--quick', '--rounds=1', '--seconds=0.02', ...args])
    const { environment, loads } = JSON.parse(readFileSync(json, 'utf8'))
    expect(environment.node).toMatch(new RegExp(`^v${major}\\.`))
    for (const load of loads) {
      expect(load.clients.map(({ name, error }: { name: string; error?: string }) => [name, error])).toEqual(
        clients.map((name) => [name, undefined]),
      )
      for (const { summary } of load.clients) {
        expect(summary.cpuSecondsPerRequest.median).toBeGreaterThan(0)
        expect(summary.requestsPerSecond.median).toBeGreaterThan(0)
      }
    }
    expect(loads.map(({ name }: { name: string }) => name)).toEqual(['closing-1', 'keepalive-1'])
  },
  60_000,
)

/** Why what needs a program is not tried, or `null`. */
const whyNotWith = (program: string): string | null =>
  spawnSync(program, ['--version']).error === undefined ? null : `${program} is not installed`

interface Measured {
  name: string
  clients: { name: string; error?: string; summary?: { medianMs?: { median: number } } }[]
}

/** Measures as shortly as it can. */
async function measure(loads: string[], clients: string[], env = process.env): Promise<[Measured[], stdout: string]> {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-bench-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const json = join(directory, 'results.json')
  const args = [`--loads=${loads.join(',')}`, `--clients=${clients.join(',')}`, `--json=${json}`]
  const options = ['--quick', '--rounds=1', '--seconds=0.02']
  const { stdout } = await run(process.execPath, [`${root}bench/run.mjs`, ...options, ...args], { env })
  return [JSON.parse(readFileSync(json, 'utf8')).loads, stdout]
}

const failuresOf = (loads: Measured[]): string[] =>
  loads.flatMap(({ name, clients }) => clients.flatMap(({ error }) => (error === undefined ? [] : `${name}: ${error}`)))

const entrantsOf = (loads: Measured[]): Record<string, string[]> =>
  Object.fromEntries(loads.map((load) => [load.name, load.clients.map(({ name }) => name)]))

itNative(
  'measures how long requests take where there is a delayed link in between, round trips and all',
  async () => {
    const clients = ['recycling', 'undici-agent', 'node-http']
    const [loads] = await measure(['delayed-closing', 'delayed-keepalive', 'delayed-secure'], clients)
    expect(failuresOf(loads)).toEqual([])
    // Of 20 ms each: the handshake of TCP, that of TLS 1.3, the exchange.
    const roundTrips = [2, 1, 3]
    for (const [i, load] of loads.entries()) {
      for (const { summary } of load.clients) {
        expect(summary!.medianMs!.median).toBeGreaterThanOrEqual(20 * roundTrips[i]!)
      }
    }
  },
  60_000,
)

itNative(
  'asks thousands of origins in turn, without the clients that are for one',
  async () => {
    const [loads] = await measure(['origins-5000'], ['recycling', 'undici-agent', 'undici-pool'])
    expect(failuresOf(loads)).toEqual([])
    expect(entrantsOf(loads)).toEqual({ 'origins-5000': ['recycling', 'undici-agent'] })
  },
  60_000,
)

itNative.runIf(isTried(whyNotWith('openssl')))(
  'has openssl s_time as a yardstick of TLS on connections that are closed, and of nothing else',
  async () => {
    const [loads] = await measure(['secure12-64', 'secure-keepalive-1', 'closing-1'], ['recycling', 's-time'])
    expect(failuresOf(loads)).toEqual([])
    expect(entrantsOf(loads)).toEqual({
      'secure12-64': ['recycling', 's-time'],
      'secure-keepalive-1': ['recycling'],
      'closing-1': ['recycling'],
    })
  },
  60_000,
)

itNative.runIf(isTried(whyNotWith('taskset')))(
  'has client and server on one core where a load says so, and then where they were',
  async () => {
    const [loads] = await measure(['keepalive-1-pinned', 'keepalive-1'], ['recycling', 'undici-pool'])
    expect(failuresOf(loads)).toEqual([])
    expect(loads.map(({ name }) => name)).toEqual(['keepalive-1-pinned', 'keepalive-1'])
    const program = `
      import { execFileSync } from 'node:child_process'
      import { onOneCore } from '${root}bench/affinity.mjs'
      const cores = () => execFileSync('taskset', ['-c', '-p', process.pid], { encoding: 'utf8' }).trim().split(': ')[1]
      console.log(JSON.stringify([cores(), await onOneCore([process.pid], async () => cores()), cores()]))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
    const [before, meanwhile, after] = JSON.parse(stdout)
    expect([meanwhile, after]).toEqual(['0', before])
  },
  60_000,
)

itNative('skips a load that has to be on one core where there is no taskset, and says so', async () => {
  const [loads, stdout] = await measure(['keepalive-1-pinned'], ['recycling'], { ...process.env, PATH: '/nowhere' })
  expect(loads).toEqual([])
  expect(stdout).toContain('keepalive-1-pinned: skipped: taskset is not installed\n')
})

it('refuses a Node.js that is no number', async () => {
  const failure = await run(process.execPath, [`${root}bench/run.mjs`, '--node=latest']).catch((error) => error)
  expect([failure.code, failure.stderr]).toEqual([1, "--node takes a positive number, not 'latest'\n"])
})
