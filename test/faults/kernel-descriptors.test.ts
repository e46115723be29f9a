/** A process that is out of descriptors (EMFILE, getrlimit(2)): requests fail clearly, and all is well when it has some again. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { behaveWell } from '../support/laboratory.js'
import { rawServer } from '../support/raw-server.js'
import { isNative } from '../support/transport.js'
import type { Task } from './programs/descriptors.js'

const LIMIT = 128

let program: Program
let ca: string
let certificate: Certificate

beforeAll(async () => {
  program = await Program.from(new URL('./programs/descriptors.ts', import.meta.url))
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1'])
})

afterAll(() => program.delete())

async function run(task: Omit<Task, 'origin' | 'ca'>, isSecure = false) {
  const { origin } = await rawServer(behaveWell, isSecure ? { secure: certificate } : {})
  const { stdout, stderr, code, signal } = await program.run({
    args: [JSON.stringify({ ...task, origin, ca } satisfies Task)],
    descriptorLimit: LIMIT,
    // Not of the environment in which the tests themselves are run.
    under: ['env', '-u', 'RECYCLING_AGENT_TRANSPORT'],
  })
  expect({ code, signal, stderr: task.scenario === 'requests' ? stderr : '' }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
  })
  return JSON.parse(stdout)
}

const times = (count: number, word: string): string[] => Array.from({ length: count }, () => word)

describe('six requests at a time and three descriptors', () => {
  // The descriptor of the request before is there to be recycled.
  it.each<[client: Task['client'], isSecure: boolean, served: number, error: string]>([
    ['undici', false, 3, 'connect EMFILE'],
    ['undici', true, 3, 'connect EMFILE'],
    ['net', false, 3, 'connect EMFILE'],
    ['net', true, 3, 'connect EMFILE'],
    ...(isNative
      ? ([
          ['native', false, 4, 'socket EMFILE'],
          ['native', true, 4, 'socket EMFILE'],
        ] satisfies [Task['client'], boolean, number, string][])
      : []),
  ])('%s, TLS %s: %i are served, the others fail with %s; later all are', async (client, isSecure, served, error) => {
    expect(await run({ scenario: 'requests', client, free: 3 }, isSecure)).toEqual({
      first: 'fine',
      atOnce: [...times(served, 'fine'), ...times(6 - served, error)],
      afterwards: times(3, 'fine'),
      withRoom: times(6, 'fine'),
      leased: 0,
      left: 0,
    })
  })
})

describe.runIf(isNative)('six https requests at a time and five descriptors besides an idle one', () => {
  it('fail where there is none for the duplicate that Node gets; later all are served', async () => {
    const { atOnce, ...rest } = await run({ scenario: 'requests', client: 'lent', free: 5 }, true)
    // A connection takes two, and one that has failed leaves its own to the next.
    const failed = atOnce.filter((outcome: string) => outcome !== 'fine')
    expect(new Set(failed)).toEqual(new Set(['dup EMFILE']))
    expect(failed.length).toBeLessThanOrEqual(4)
    expect(rest).toEqual({
      first: 'fine',
      afterwards: times(3, 'fine'),
      withRoom: times(6, 'fine'),
      leased: 0,
      left: 0,
    })
  })
})

describe('an agent that is made without a descriptor', () => {
  it('throws EMFILE, where transport native is asked for; the next one recycles', async () => {
    expect(await run({ scenario: 'construction', client: 'native', free: 0 })).toEqual({
      thrown: ['open EMFILE', 'epoll_create1 EMFILE'],
      answers: ['fine'],
      recycles: [true],
      warnings: [],
    })
  })

  it('works over ordinary sockets and says so; the next one recycles', async () => {
    expect(await run({ scenario: 'construction', client: 'default', free: 0 })).toEqual({
      thrown: [],
      answers: ['fine', 'fine', 'fine'],
      recycles: [false, false, true],
      warnings: [expect.stringMatching(/EMFILE.*open/), expect.stringContaining('(epoll_create1 EMFILE)')],
    })
  })
})
