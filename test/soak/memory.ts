/** Memory per idle keep-alive connection: every round of every client is a process of its own. */
import { once } from 'node:events'
import { Program } from '../support/child.js'

/** What ours may take of what undici's connections do. */
export const MOST_SHARE = 1 / 3
/** The same of https. */
export const MOST_SECURE_SHARE = 1 / 2
const SPARE_DESCRIPTORS = 200
const TIMEOUT_MS = 60_000

export type IdleClient = 'ours' | 'ours-node-tls' | 'ours-net' | 'undici-agent' | 'undici-pool'

/** In bytes per connection; medians. */
export interface MemoryFigure {
  connections: number
  client: IdleClient
  /** Of the whole process: heap, what lies outside of it and the parsers' memory. */
  rss: number
  heap: number
  /** The RSS of each round. */
  rounds: number[]
}

export interface MemoryOptions {
  connections: number[]
  rounds: number
  /** @default ours and both of undici's; of https ours by both ways of TLS, and undici's Agent */
  clients?: IdleClient[]
  /** Whether the connections are https. @default false */
  isSecure?: boolean
  /** What is done before memory is looked at. @default 'ordinary' */
  collection?: Collection
  /**
   * How many requests are sent over one connection before the first look. In a new process V8 optimizes code meanwhile,
   * the parser's above all, and does not give back all the memory that takes: it would count as the connections'.
   *
   * @default 3000
   */
  warmUp?: number
}

/** Ordinary collections, after which V8 keeps some of what is free, or those that give it back. */
export type Collection = 'ordinary' | 'reducing'

const medianOf = (numbers: number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!

/** @throws when a round fails */
export async function measureMemory({
  connections,
  rounds,
  isSecure = false,
  clients = isSecure ? ['ours', 'ours-node-tls', 'undici-agent'] : ['ours', 'undici-pool', 'undici-agent'],
  collection = 'ordinary',
  warmUp = 3000,
}: MemoryOptions): Promise<MemoryFigure[]> {
  const server = await Program.from(new URL('./programs/gathering-upstream.ts', import.meta.url))
  const program = await Program.from(new URL('./programs/idle-connections.ts', import.meta.url))
  // A connection that Node.js reads and writes takes two.
  const descriptorLimit = Math.max(...connections) * (isSecure ? 2 : 1) + SPARE_DESCRIPTORS
  const upstream = server.start({ descriptorLimit, args: isSecure ? ['secure'] : [] })
  // Each round has an address of its own: what the one before has left in TIME_WAIT is not in its way.
  let address = 1
  const measure = async (client: IdleClient, count: number, port: number): Promise<{ rss: number; heap: number }> => {
    const args = [
      client,
      `${isSecure ? 'https' : 'http'}://127.0.0.${++address}:${port}`,
      String(count),
      collection,
      String(warmUp),
    ]
    const result = await program.run({ args, nodeFlags: ['--expose-gc'], descriptorLimit, timeoutMs: TIMEOUT_MS })
    if (result.code !== 0) throw new Error(`${client} failed: ${result.signal} ${result.stdout} ${result.stderr}`)
    return JSON.parse(result.stdout)
  }
  try {
    const [port] = await once(upstream, 'message')
    const figures: MemoryFigure[] = []
    for (const count of connections) {
      const of = new Map(clients.map((client) => [client, { rss: [] as number[], heap: [] as number[] }]))
      for (let round = 0; round < rounds; round++) {
        for (const [client, { rss, heap }] of of) {
          const measured = await measure(client, count, port as number)
          rss.push(measured.rss)
          heap.push(measured.heap)
        }
      }
      for (const [client, { rss, heap }] of of) {
        figures.push({ connections: count, client, rss: medianOf(rss), heap: medianOf(heap), rounds: rss })
      }
    }
    return figures
  } finally {
    upstream.disconnect()
    server.delete()
    program.delete()
  }
}

/** Of each number of connections: what ours take of what the cheapest of undici's do. */
export function sharesOf(figures: MemoryFigure[], ours: IdleClient = 'ours'): { connections: number; share: number }[] {
  return [...new Set(figures.map(({ connections }) => connections))].map((connections) => {
    const rows = figures.filter((figure) => figure.connections === connections)
    const own = rows.filter(({ client }) => client === ours).map(({ rss }) => rss)
    const theirs = rows.filter(({ client }) => client.startsWith('undici')).map(({ rss }) => rss)
    return { connections, share: Math.min(...own) / Math.min(...theirs) }
  })
}
