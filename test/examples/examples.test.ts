/** Every example runs, ends by itself and shows what it promises; and every file in examples/ belongs to one. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { examplesDirectory, startExample } from '../support/examples.js'
import { isNative } from '../support/transport.js'

interface Example {
  args?: string[]
  /**
   * Lines of the output, in this order. Where a line has them, the groups `created` and `recycled` add up to `connections`,
   * and sockets were recycled on descriptors of the agent only.
   */
  lines: RegExp[]
}

const quarters = (what: string): RegExp[] => [25, 50, 75, 100].map((percent) => new RegExp(`^${what}: ${percent} %$`))
const turns = [1, 2, 3].map((turn) => new RegExp(`^  ${turn}: descriptor \\d+, local port \\d+$`))

const examples: Record<string, Example> = {
  'global-dispatcher.mjs': {
    lines: ['the global dispatcher', 'installed'].map(
      (title) =>
        new RegExp(
          `^${title}: (?<connections>15) connections, (?<created>\\d+) on a new socket, (?<recycled>\\d+) on a recycled one$`,
        ),
    ),
  },
  'per-client.mjs': {
    lines: [
      /^fetch and request: 6 connections, (?<recycled>\d+) of them on a recycled socket$/,
      /^the client was told: Forty-two\.$/,
      /^with the client: 9 connections, (?<recycled>\d+) of them on a recycled socket$/,
      /^the upstream has accepted 10 connections$/,
    ],
  },
  'fastify-proxy.mjs': {
    lines: [
      /^GET {2}\/healthy {5}yes$/,
      /^GET {2}\/api\/things {2}\/v1\/things of the upstream$/,
      /^POST \/api\/echo {4}sent and received$/,
      /^(?<connections>82) connections to the upstream: (?<created>\d+) new sockets, (?<recycled>\d+) recycled$/,
    ],
  },
  'reverse-proxy.mjs': {
    lines: [
      /^an upload that comes back: 1000000 bytes$/,
      // Neither `x-secret` nor `te`; `connection` is the agent's own.
      /^fields that the upstream sees: connection host via x-request-id$/,
      /^a client went away: its request to the upstream was aborted$/,
      /^\/crash: 502 UND_ERR_SOCKET$/,
      /^\/never: 504 UND_ERR_HEADERS_TIMEOUT$/,
      /^(?<connections>25) connections to the upstream: (?<created>\d+) new sockets, (?<recycled>\d+) recycled$/,
    ],
  },
  'streaming.mjs': {
    lines: [
      ...quarters('upload'),
      /^stored: 67108864 bytes$/,
      // Never the whole: the buffers of two sockets hold a part of it.
      /^upload: 64 MiB; what was under way at a time: [1-4]?\d MiB$/,
      ...quarters('download'),
      /^download: 64 MiB; what was under way at a time: [1-4]?\d MiB$/,
    ],
  },
  'https.mjs': {
    lines: [
      /^handshakes: 1 full, 9 resumed$/,
      /^sockets: (?<created>\d+) created, (?<recycled>\d+) recycled$/,
      /^UNABLE_TO_VERIFY_LEAF_SIGNATURE: /,
    ],
  },
  'websocket.mjs': {
    lines: [
      /^text: hello$/,
      /^binary: 1000000 bytes$/,
      /^sockets: 1 created, 1 given away$/,
      /^closed: 1000 done, clean$/,
    ],
  },
  'preconnect.mjs': {
    lines: [
      /^at the start: 4 connections are open$/,
      /^the first 4 requests: 4 connections were made in all$/,
      /^a burst of 8 requests: 0 of them waited for a handshake$/,
      /^10 requests, one after the other: \d+ found a connection open, 0 of those were closed before$/,
    ],
  },
  'worker-threads.mjs': {
    lines: [
      ...[1, 2, 3].map(() => /^thread \d+: 50 connections, (?<recycled>\d+) on a recycled socket$/),
      /^the upstream has accepted 150 connections$/,
    ],
  },
  'cluster.mjs': {
    lines: [
      ...[1, 2].map((id) => new RegExp(`^process ${id}: \\d+ connections, (?<recycled>\\d+) on a recycled socket$`)),
      /^the upstream has accepted 60 connections$/,
    ],
  },
  'untrusted.mjs': {
    lines: [
      /^a connection for many requests: alice gets "words of mallory, for somebody else"$/,
      /^ {2}1 connections, 1 sockets$/,
      /^a connection per request: alice gets "words of alice"$/,
      /^ {2}2 connections, [12] sockets$/,
      /^no answer: UND_ERR_HEADERS_TIMEOUT$/,
      /^a body that stops: UND_ERR_BODY_TIMEOUT$/,
      /^a body without end: UND_ERR_RES_EXCEEDED_MAX_SIZE$/,
      /^a head without end: UND_ERR_HEADERS_OVERFLOW$/,
      /^a body cut short: UND_ERR_SOCKET$/,
      /^two lengths: UND_ERR_RES_CONTENT_LENGTH_MISMATCH$/,
      /^a byte a moment: TimeoutError$/,
    ],
  },
  // The pool has descriptors of its own, whichever transport the agent uses.
  'socket-pool.mjs': {
    lines: ['tcp', 'udp'].flatMap((type) => [
      new RegExp(`^${type} to 127\\.0\\.0\\.1:\\d+$`),
      ...turns,
      /^ {2}1 created, 2 recycled, 1 idle, 0 aborted$/,
    ]),
  },
  'metrics.mjs': {
    args: ['--seconds=1'],
    lines: [
      /^the page is on http:\/\/127\.0\.0\.1:\d+\/, the metrics are on http:\/\/127\.0\.0\.1:\d+\/metrics$/,
      /^after the load: (?<created>\d+) created, (?<recycled>\d+) recycled, \d+ idle, 0 in use$/,
      /^recycling_agent_sockets_created_total (?<created>\d+)$/,
      /^recycling_agent_sockets_recycled_total (?<recycled>\d+)$/,
      /^recycling_agent_sockets_in_use 0$/,
    ],
  },
  'demo.mjs': {
    args: ['--seconds=1', '--concurrency=8'],
    lines: [/^requests per second +[\d,]+ +[\d,]+$/, /^Every response was checked: all were right\.$/],
  },
}

/** Every file of the directory, relative to it. */
const files = readdirSync(examplesDirectory, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(examplesDirectory.length))
const programs = Object.keys(examples)

const read = (file: string): string => readFileSync(join(examplesDirectory, file), 'utf8')

describe('each example runs to its end', () => {
  it.each(Object.entries(examples))(
    '%s',
    async (file, { args, lines }) => {
      const result = await startExample(file, args).finished
      expect(result, result.stderr || result.stdout).toMatchObject({ code: 0, signal: null, stderr: '' })
      const printed = result.stdout.split('\n')
      let next = 0
      for (const pattern of lines) {
        const at = printed.findIndex((line, i) => i >= next && pattern.test(line))
        expect(at, `${pattern} in\n${result.stdout}`).toBeGreaterThanOrEqual(next)
        expectSockets(pattern.exec(printed[at]!)!.groups ?? {})
        next = at + 1
      }
    },
    70_000,
  )
})

function expectSockets({ connections, created, recycled }: Record<string, string>): void {
  if (connections !== undefined) expect(Number(created) + Number(recycled)).toBe(Number(connections))
  if (recycled !== undefined && isNative) expect(Number(recycled)).toBeGreaterThan(0)
  if (recycled !== undefined && !isNative) expect(Number(recycled)).toBe(0)
}

/** Files that a file names in quotes: those it imports, or starts as processes out of the folder of its own name. */
function namedBy(file: string): string[] {
  const names = [...read(file).matchAll(/'([\w./-]+\.(?:mjs|html))'/g)].map(([, name]) => name!)
  const folders = [dirname(file), file.replace(/\.mjs$/, '')]
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).filter((path) => files.includes(path))
}

it('every file in examples/ is run above, or used by one that is', () => {
  const used = new Set(programs)
  // Those that are added on the way are visited, too.
  for (const file of used) for (const other of namedBy(file)) used.add(other)
  expect(files.filter((file) => !used.has(file) && file !== 'README.md')).toEqual([])
})

it('the table in examples/README.md has a row for each', () => {
  const rows = [...read('README.md').matchAll(/^\| \[([^\]]+)\]\(([^)]+)\)/gm)]
  expect(rows.map(([, title]) => title).sort()).toEqual([...programs].sort())
  for (const [, title, link] of rows) expect(link).toBe(title)
})
