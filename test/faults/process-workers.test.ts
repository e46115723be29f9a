/** Workers that end in each way there is, busy with connections of each kind: nothing of theirs is left. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Authority } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { seedOf } from '../support/random.js'
import { isNative } from '../support/transport.js'
import type { Ending, Experiment, Kind, Result } from './programs/worker-ends.js'

/** For each ending. With RECYCLING_AGENT_SOAK set, as many as it takes to meet what happens once in a hundred times. */
const WORKERS = process.env.RECYCLING_AGENT_SOAK ? 300 : 2
const TIMEOUT_MS = 60_000 + WORKERS * 10_000

const kinds: [what: string, kind: Kind][] = [
  ...(isNative
    ? ([
        ['plain connections', 'plain'],
        ['TLS on descriptors', 'tls'],
        ['TLS over lent descriptors', 'lent'],
        ['sockets that were handed over', 'upgraded'],
      ] satisfies [string, Kind][])
    : []),
  ['net sockets', 'net'],
]

/** With the exit code, and the message of an error. */
const endings: Record<Ending, string> = {
  natural: '0',
  exit: '5',
  throw: '1 the end',
  // Terminated: while they wait for answers, under load, with idle connections.
  waiting: '1',
  load: '1',
  unref: '1',
}

let program: Program
let secure: Experiment['secure']

beforeAll(async () => {
  program = await Program.from(new URL('./programs/worker-ends.ts', import.meta.url))
  const authority = await Authority.create()
  secure = { ...(await authority.issue(['127.0.0.1'])), ca: authority.ca }
})

afterAll(() => program.delete())

it.each(kinds)(
  'a process lives on without a descriptor more, however its workers with %s end',
  { timeout: TIMEOUT_MS },
  async (what, kind) => {
    const seed = seedOf(`workers with ${what}`)
    const experiment: Experiment = { kind, endings: Object.keys(endings) as Ending[], workers: WORKERS, seed, secure }
    const args = [JSON.stringify(experiment)]
    const { code, signal, stdout, stderr } = await program.run({ args, timeoutMs: TIMEOUT_MS - 2000 })
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    const expected: Result = {}
    for (const [ending, exit] of Object.entries(endings)) expected[ending] = { exits: { [exit]: WORKERS }, gained: 0 }
    expect(JSON.parse(stdout)).toEqual(expected)
  },
)
