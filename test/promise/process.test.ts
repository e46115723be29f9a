/** Native handles and descriptors must not be felt when something ends: a program, a worker, a child's inheritance. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { Program } from '../support/child.js'
import { get } from '../support/exchange.js'
import { inodeOf, socketsOn } from '../support/socket-table.js'
import { describeNative } from '../support/transport.js'
import { startNodeUpstream, type Upstream } from '../support/upstream.js'

/** Keeps connections; does not answer to /silent. */
const startKeepAliveUpstream = (): Promise<Upstream> =>
  startNodeUpstream((request, response) => {
    if (request.url !== '/silent') response.writeHead(200, { 'content-length': 2 }).end('ok')
  })

describeNative('a process whose workers alone load the package', () => {
  const WORKERS = 12
  let program: Program

  beforeAll(async () => {
    program = await Program.from(new URL('./programs/workers.ts', import.meta.url))
  })

  afterAll(() => program.delete())

  it.each([
    ['close their agent and come to their natural end', 'natural'],
    ['come to their natural end with idle connections', 'idle-connections'],
    ['call process.exit with requests in flight', 'exit'],
    ['throw with requests in flight', 'throw'],
    ['are terminated while idle', 'idle'],
    ['are terminated under load', 'load'],
  ])('lives on, without a descriptor more, when they %s', { timeout: 60_000 }, async (_what, ending) => {
    const args = [ending, String(WORKERS)]
    const { code, signal, stdout, stderr } = await program.run({ args, timeoutMs: 50_000 })
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({ isLoadedHere: false, ended: WORKERS, gained: 0 })
  })
})

describe('a program', () => {
  let program: Program
  let upstream: Upstream

  beforeAll(async () => {
    program = await Program.from(new URL('./programs/ends.ts', import.meta.url))
    upstream = await startKeepAliveUpstream()
  })

  afterAll(async () => {
    program.delete()
    await upstream.close()
  })

  it('ends at once after its last response, with an idle connection', async () => {
    const { code, signal, stdout, stderr } = await program.run({ args: ['idle', upstream.origin] })
    expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' })
    const { connected, lingeredMs } = JSON.parse(stdout)
    expect(connected).toBe(1)
    expect(lingeredMs).toBeLessThan(1000)
  })

  it('ends with the code of process.exit while requests are in flight', async () => {
    const { code, signal, stderr } = await program.run({ args: ['exit', upstream.origin] })
    expect({ code, signal, stderr }).toEqual({ code: 3, signal: null, stderr: '' })
  })

  it('ends with code 1 after an uncaught exception while requests are in flight', async () => {
    const { code, signal, stderr } = await program.run({ args: ['throw', upstream.origin] })
    expect({ code, signal }).toEqual({ code: 1, signal: null })
    expect(stderr).toContain('Error: the end')
    expect(stderr).not.toContain('FATAL')
  })

  it('ends by a signal while requests are in flight as any other does', async () => {
    const { code, signal, stderr } = await program.run({ args: ['kill', upstream.origin] })
    expect({ code, signal, stderr }).toEqual({ code: null, signal: 'SIGTERM', stderr: '' })
  })
})

describe('a child process', () => {
  it('inherits no descriptor', async () => {
    const upstream = await startKeepAliveUpstream()
    const agent = new RecyclingAgent()
    await get(agent, upstream.origin)
    const inFlight = agent.request({ origin: upstream.origin, path: '/silent', method: 'GET' })
    const failed = expect(inFlight).rejects.toThrow()
    // Inode 0 is a TIME_WAIT of whoever spoke to this port a minute ago.
    const ours = socketsOn(upstream.port).filter(({ remotePort, inode }) => remotePort === upstream.port && inode !== 0)
    expect(ours.length).toBeGreaterThan(0)
    const { stdout } = await promisify(execFile)('ls', ['-l', '/proc/self/fd'])
    for (const { inode } of ours) expect(stdout).not.toContain(`socket:[${inode}]`)
    expect(stdout).not.toContain('eventpoll')
    // They are open here all the while.
    expect(Array.from({ length: 1024 }, (_, fd) => inodeOf(fd))).toEqual(
      expect.arrayContaining(ours.map(({ inode }) => inode)),
    )
    await agent.destroy()
    await failed
    await upstream.close()
  })
})
