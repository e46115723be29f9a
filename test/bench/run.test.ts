/** The benchmark measures what it is asked to, on the Node.js that it is asked for. Uses the built package. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
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

it('refuses a Node.js that is no number', async () => {
  const failure = await run(process.execPath, [`${root}bench/run.mjs`, '--node=latest']).catch((error) => error)
  expect([failure.code, failure.stderr]).toEqual([1, "--node takes a positive number, not 'latest'\n"])
})
