/** Which transport an agent gets, where recycling is possible and where it is not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Program } from '../support/child.js'
import { ok, rawServer } from '../support/raw-server.js'

let program: Program

beforeAll(async () => {
  program = await Program.from(new URL('./programs/transport.ts', import.meta.url))
})

afterAll(() => {
  program.delete()
})

/** What agents with these options do, one after the other, in a process of their own. */
async function run(obstacle: string, agents: object[], variable?: string) {
  const { origin } = await rawServer(async (peer) => {
    await peer.request()
    peer.socket.end(ok('ok', 'connection: close\r\n'))
  })
  // Not of the environment in which the tests themselves are run.
  const environment = variable === undefined ? ['-u', VARIABLE] : [`${VARIABLE}=${variable}`]
  const { stdout, stderr } = await program.run({
    args: [JSON.stringify({ obstacle, origin, agents })],
    under: ['env', ...environment],
  })
  const lines = stdout.trim().split('\n')
  return { results: lines.map((line) => JSON.parse(line)), stderr }
}

const VARIABLE = 'RECYCLING_AGENT_TRANSPORT'
const OBSTACLES: [obstacle: string, reason: string][] = [
  ['no koffi', "Cannot find module 'koffi'"],
  ['another platform', 'darwin is not Linux'],
  ['a kernel that refuses', 'connect EAFNOSUPPORT'],
]

const recycling = { answer: 'ok', recycles: true, warnings: [], hasKoffi: true }
const overNet = { answer: 'ok', recycles: false, warnings: [], hasKoffi: false }

describe('where sockets can be recycled', () => {
  it('they are, but with the option net: then koffi is not even loaded', async () => {
    const { results, stderr } = await run('none', [{ transport: 'net' }, {}, { transport: 'native' }])
    expect(results).toEqual([overNet, recycling, recycling])
    expect(stderr).toBe('')
  })

  it(`they are not with ${VARIABLE}=net, but with the option native`, async () => {
    const { results, stderr } = await run('none', [{}, { transport: 'native' }], 'net')
    expect(results).toEqual([overNet, recycling])
    expect(stderr).toBe('')
  })

  it(`they are with any other value of ${VARIABLE}`, async () => {
    expect((await run('none', [{}], 'neither')).results).toEqual([recycling])
  })
})

describe.each(OBSTACLES)('where there is %s', (obstacle, reason) => {
  it('agents work over ordinary sockets, and one says so; the option native throws', async () => {
    const { results, stderr } = await run(obstacle, [{ transport: 'net' }, { transport: 'native' }, {}, {}])
    const [asked, native, first, second] = results
    for (const result of [asked, first, second]) expect(result).toMatchObject({ answer: 'ok', recycles: false })
    expect(native).toMatchObject({ thrown: expect.stringContaining(reason) })
    expect([asked, native, second].map(({ warnings }) => warnings)).toEqual([[], [], []])
    expect(first.warnings).toEqual([
      { name: 'RecyclingAgentWarning', code: 'RECYCLING_AGENT_NET', message: expect.stringContaining(reason) },
    ])
    expect(stderr).toContain('[RECYCLING_AGENT_NET] RecyclingAgentWarning: Sockets are not recycled')
  })
})

it(`nothing is said to those who have set ${VARIABLE}=net`, async () => {
  const { results, stderr } = await run('no koffi', [{}], 'net')
  expect(results).toEqual([overNet])
  expect(stderr).toBe('')
})

it('a kernel that refuses to dissolve does not matter where nothing is to be recycled', async () => {
  const { results, stderr } = await run('a kernel that refuses', [{ recycle: 'off', transport: 'native' }])
  expect(results).toEqual([{ ...overNet, hasKoffi: true }])
  expect(stderr).toBe('')
})
