/**
 * Memory per idle keep-alive connection, ours and undici's, side by side:
 * node test/soak/memory.mjs [--connections=4000,10000] [--rounds=3] [--clients=ours,undici-pool,undici-agent]
 *
 * Every round of every client is a process of its own. Ends with 1 when ours is more than a third of undici's.
 */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { bundle } from './bundle.mjs'

const TIMEOUT_MS = 60_000
/** What ours may cost of what undici's do. */
const SHARE = 1 / 3
const SPARE_DESCRIPTORS = 200

const run = promisify(execFile)

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]

/**
 * @param {{ connections?: number[], rounds?: number, clients?: string[] }} options
 * @returns {Promise<{ connections: number, client: string, rss: number, heap: number, rounds: number[] }[]>} medians,
 *   in bytes per connection
 */
export async function measureMemory({
  connections = [4000, 10_000],
  rounds = 3,
  clients = ['ours', 'undici-pool', 'undici-agent'],
} = {}) {
  const [upstream, program] = await Promise.all([
    bundle('test/soak/programs/gathering-upstream.ts'),
    bundle('test/soak/programs/idle-connections.ts'),
  ])
  const descriptors = Math.max(...connections) + SPARE_DESCRIPTORS
  const limit = `ulimit -n ${descriptors} && exec "$@"`
  const server = fork(upstream.file, { execPath: '/bin/sh', execArgv: ['-c', limit, 'sh', process.execPath] })
  try {
    const [port] = await once(server, 'message')
    const results = []
    // Each round has an address of its own: what the one before has left in TIME_WAIT is not in its way.
    let address = 1
    for (const count of connections) {
      const figures = new Map(clients.map((client) => [client, []]))
      for (let round = 0; round < rounds; round++) {
        for (const client of clients) {
          const args = [client, `http://127.0.0.${++address}:${port}`, String(count)]
          const command = ['-c', limit, 'sh', process.execPath, '--disable-warning=ExperimentalWarning', program.file, ...args]
          const { stdout } = await run('sh', command, { timeout: TIMEOUT_MS })
          figures.get(client).push(JSON.parse(stdout))
        }
      }
      for (const [client, all] of figures) {
        const of = (key) => all.map((figure) => figure[key])
        results.push({
          connections: count,
          client,
          rss: median(of('rss')),
          heap: median(of('heap')),
          external: median(of('external')),
          rounds: of('rss'),
        })
      }
    }
    return results
  } finally {
    server.kill()
    upstream.delete()
    program.delete()
  }
}

/** Of each number of connections: what ours cost of the cheapest of undici's. */
export function shares(results) {
  return [...new Set(results.map(({ connections }) => connections))].map((count) => {
    const rows = results.filter(({ connections }) => connections === count)
    const ours = rows.find(({ client }) => client === 'ours').rss
    const theirs = rows.filter(({ client }) => client.startsWith('undici')).map(({ rss }) => rss)
    return { connections: count, share: ours / Math.min(...theirs) }
  })
}

const listed = (list) => list?.split(',')

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { connections: { type: 'string' }, rounds: { type: 'string' }, clients: { type: 'string' } },
  })
  const results = await measureMemory({
    connections: listed(values.connections)?.map(Number),
    rounds: values.rounds === undefined ? undefined : Number(values.rounds),
    clients: listed(values.clients),
  })
  const bytes = (number) => Math.round(number)
  console.table(results.map((row) => ({ ...row, rss: bytes(row.rss), heap: bytes(row.heap), external: bytes(row.external), rounds: row.rounds.map(bytes).join(' ') })))
  for (const { connections, share } of shares(results)) {
    console.log(`${connections} connections: ours are ${share.toFixed(3)} of undici's`)
    if (share > SHARE) process.exitCode = 1
  }
}
