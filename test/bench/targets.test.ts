/** Targets are those of the Node.js that was measured, and all of them are published. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'

const run = promisify(execFile)
const bench = fileURLToPath(new URL('../../bench/', import.meta.url))

const summary = (microseconds: number): object => ({
  cpuSecondsPerRequest: { median: microseconds / 1e6 },
  requestsPerSecond: { median: 1 },
})

/** What is said of results in which ours costs 100 us where undici's Agent costs 500. */
async function judgementOf(node: string): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-targets-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const json = join(directory, 'results.json')
  const clients = [
    { name: 'recycling', summary: summary(100) },
    { name: 'undici-agent', summary: summary(500) },
  ]
  writeFileSync(json, JSON.stringify({ environment: { node }, loads: [{ name: 'secure12-64', clients }] }))
  // It ends with 1 when one is missed.
  const { stdout } = await run(process.execPath, [`${bench}targets.mjs`, json]).catch((error) => error)
  return stdout.split('\n').filter((line: string) => line.includes('secure12-64') && line.includes('undici Agent'))
}

it.each([
  ['v20.20.2', /^ +secure12-64 +less CPU than undici Agent +7x +5\.00x +MISS$/],
  ['v24.1.0', /^ +secure12-64 +less CPU than undici Agent +4x +5\.00x +pass$/],
])('holds results against the targets of their Node.js, %s', async (node, line) => {
  expect(await judgementOf(node)).toEqual([expect.stringMatching(line)])
})

it('publishes the load of each target, with both of its clients, on each Node.js that it is a target on', async () => {
  const program = `
    import { mainNodeMajor, publishedRuns } from '${bench}published-set.mjs'
    import { targets } from '${bench}report/target-list.mjs'
    const runs = publishedRuns({ rounds: 1, seconds: 1 }).map(({ args }) => args.map((arg) => arg.split('=')[1].split(',')))
    const missing = targets.flatMap(({ load, client, than, nodeMajors = [mainNodeMajor] }) =>
      nodeMajors
        .filter((major) => !runs.some(([node, loads, clients]) =>
          node[0] === String(major) && loads.includes(load) && clients.includes(client) && clients.includes(than)))
        .map((major) => [load, than, major]))
    console.log(JSON.stringify(missing))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
  expect(JSON.parse(stdout)).toEqual([])
})

it('says how long publishing takes before it begins', async () => {
  const minutesOf = async (rounds: number): Promise<number> => {
    const args = [`${bench}publish.mjs`, '--estimate', `--rounds=${rounds}`, '--seconds=1']
    const { stdout } = await run(process.execPath, args)
    return Number(/^\d+ runs, about (\d+) min in all:$/m.exec(stdout)?.[1])
  }
  const [short, long] = [await minutesOf(1), await minutesOf(19)]
  // One round of each client is not counted.
  expect(long / short).toBeGreaterThan(7)
  expect(long / short).toBeLessThan(12)
})
