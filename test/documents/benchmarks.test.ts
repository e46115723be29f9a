/** docs/benchmarks.md and its charts show what the published results give, and nothing else. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const published = `${root}bench/published/`
const jsonIn = (directory: string): string[] => readdirSync(directory).filter((file) => file.endsWith('.json'))
const files = jsonIn(published)
const SLOWER = 'slower-machine/'

interface Spread {
  median: number
  min: number
  max: number
}

/** What is not measured of every client in every load. */
const optional = ['residentBytes', 'medianMs', 'p99Ms'] as const
type Optional = (typeof optional)[number]

interface Results {
  environment: Record<string, string>
  options: { rounds: number }
  loads: {
    name: string
    clients: {
      name: string
      error?: string
      rounds: ({ requests: number; seconds: number; cpuSeconds: number } & Partial<Record<Optional, number>>)[]
      summary?: { cpuSecondsPerRequest: Spread; requestsPerSecond: Spread } & Partial<Record<Optional, Spread>>
    }[]
  }[]
}

const read = (file: string): Results => JSON.parse(readFileSync(published + file, 'utf8'))

/** Asks which documents are not up to date with these results; those of bench/published/ if there are none. */
function check(paths: string[] = []): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const args = [`${root}bench/charts.mjs`, '--check', ...paths]
    const child = execFile(process.execPath, args, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
  })
}

it('docs/benchmarks.md and docs/pictures/ are what the published results give (else: npm run docs:pictures)', async () => {
  expect(await check()).toEqual({ code: 0, stdout: '', stderr: '' })
})

it('a result that changes is seen in its table and in its chart', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-published-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const paths = files.map((file) => {
    const results = read(file)
    for (const load of results.loads) {
      if (load.name !== 'keepalive-1') continue
      for (const { summary } of load.clients) summary!.requestsPerSecond.median *= 1.5
    }
    const path = join(directory, file)
    writeFileSync(path, JSON.stringify(results))
    return path
  })
  const { code, stdout } = await check(paths)
  expect(code).toBe(1)
  expect(stdout.match(/^docs\/\S+/gm)).toEqual(['docs/benchmarks.md', 'docs/pictures/keepalive-1.svg'])
})

it('docs/pictures/ holds the pictures that docs/benchmarks.md and the README show, and no other', () => {
  const text = ['docs/benchmarks.md', 'README.md'].map((name) => readFileSync(root + name, 'utf8')).join()
  const shown = [...text.matchAll(/\]\((?:docs\/)?pictures\/([^)]+)\)/g)].map(([, name]) => name!)
  expect([...new Set(shown)].sort()).toEqual(readdirSync(`${root}docs/pictures`).sort())
})

it.each(['http', 'https'])('%s connections that idle: all rounds of each client, and their medians', (scheme) => {
  const { environment, options, figures } = JSON.parse(readFileSync(`${published}idle-memory/${scheme}.json`, 'utf8'))
  expect(environment['command line']).toMatch(/^node test\/soak\/memory\.mjs /)
  expect(figures.map(({ client }: { client: string }) => client)).toContain('ours')
  for (const { rss, rounds } of figures) {
    expect(rounds).toHaveLength(options.rounds)
    expect(rss).toBe(rounds.sort((a: number, b: number) => a - b)[options.rounds >> 1])
  }
})

describe.each([...files, ...jsonIn(published + SLOWER).map((file) => SLOWER + file)])('bench/published/%s', (file) => {
  const { environment, options, loads } = read(file)
  const clients = loads.flatMap((load) => load.clients)
  const measured = clients.filter(({ error }) => error === undefined)

  it('says where it comes from, and by which command', () => {
    expect(environment).toMatchObject({
      node: expect.stringMatching(/^v\d+\./),
      upstream: expect.stringMatching(/nginx/),
    })
    expect(environment['command line']).toMatch(
      new RegExp(`^npm run bench -- .* --json=bench/published/${basename(file)}$`),
    )
  })

  it('has all rounds of every client but those of others that failed, whose tables say so', () => {
    expect(clients.filter(({ name, error }) => error !== undefined && name.startsWith('recycling'))).toEqual([])
    expect(measured.map(({ rounds }) => rounds.length)).toEqual(measured.map(() => options.rounds))
  })

  it('has summaries that are those of the rounds', () => {
    for (const { rounds, summary } of measured) {
      const spread = (unsorted: number[]): Spread => {
        const values = unsorted.sort((a, b) => a - b)
        const middle = (values.length - 1) / 2
        const median = (values[Math.floor(middle)]! + values[Math.ceil(middle)]!) / 2
        return { median, min: values[0]!, max: values.at(-1)! }
      }
      const measures = optional.flatMap((measure) => {
        const values = rounds.flatMap((round) => round[measure] ?? [])
        return values.length === 0 ? [] : [[measure, spread(values)]]
      })
      expect(summary).toEqual({
        cpuSecondsPerRequest: spread(rounds.map(({ cpuSeconds, requests }) => cpuSeconds / requests)),
        requestsPerSecond: spread(rounds.map(({ seconds, requests }) => requests / seconds)),
        ...Object.fromEntries(measures),
      })
    }
  })
})
