/** What the package is named after: N connections, one socket, and nothing left behind on either side. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import type { RecycleMode } from '../../src/socket-pool/socket-pool.js'
import { type ChildResult, Program } from '../support/child.js'
import { get, quiet } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { descriptorOf, inodeOf, type SocketRow, socketsOn } from '../support/socket-table.js'
import { describeNative, whyNotNative } from '../support/transport.js'
import { nginxCommand, startClosingNginx, startNodeUpstream, type Upstream } from '../support/upstream.js'

const REQUESTS = 40
const TIME_WAIT = '06'

const upstreams: [string, () => Promise<Upstream>][] = [['node:http', () => startNodeUpstream()]]
if (nginxCommand === undefined) console.info('not tried with nginx, which is not installed')
else upstreams.push(['nginx', startClosingNginx])

const hasStrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0
if (!hasStrace) console.info('calls of socket(2) are counted by inode only: strace is not installed, or may not trace')

describeNative.each(upstreams)('sequential requests to a closing upstream (%s)', (_name, start) => {
  let upstream: Upstream
  let strangers = new Set<string>()
  let agent: RecyclingAgent
  /** The client's socket of each connection, as the kernel lists it when it is connected. */
  let connections: SocketRow[]

  beforeEach(async () => {
    connections = []
    // One for each test: what TIME_WAIT a mode leaves behind is listed under the upstream's port.
    upstream = await start()
    // A port that was in use a minute ago may still be named by somebody else's TIME_WAIT.
    strangers = new Set(socketsOn(upstream.port).map((row) => JSON.stringify(row)))
  })

  const ourSockets = (): ReturnType<typeof socketsOn> =>
    socketsOn(upstream.port).filter((row) => !strangers.has(JSON.stringify(row)))

  afterEach(async () => {
    await agent.destroy()
    await upstream.close()
  })

  async function run(recycle: RecycleMode): Promise<void> {
    agent = new RecyclingAgent({ recycle })
    agent.on('connect', () => {
      connections.push(
        ...socketsOn(upstream.port).filter(
          ({ remotePort, state }) => remotePort === upstream.port && state !== TIME_WAIT,
        ),
      )
    })
    for (let i = 0; i < REQUESTS; i++) {
      expect(await get(agent, upstream.origin)).toBe('hello world\n')
      await quiet(agent)
    }
    expect(connections).toHaveLength(REQUESTS)
  }

  it('live on one socket, one descriptor, and a new local port each', async () => {
    await run('dissolve')
    const { fresh, recycled, dissolved, closed, refused, aborted } = agent.stats.sockets
    expect({ fresh, recycled, dissolved, closed, refused, aborted }).toEqual({
      fresh: 1,
      recycled: REQUESTS - 1,
      dissolved: REQUESTS,
      closed: 0,
      refused: 0,
      aborted: 0,
    })
    const inodes = new Set(connections.map(({ inode }) => inode))
    expect(inodes.size).toBe(1)
    const [inode] = inodes
    expect(inodeOf(descriptorOf(inode!))).toBe(inode)
    expect(new Set(connections.map(({ localPort }) => localPort)).size).toBe(REQUESTS)
  })

  it('leave no socket in any state on either side', async () => {
    await run('dissolve')
    expect(ourSockets()).toEqual([])
  })

  it('live on one socket in mode graceful, too', async () => {
    await run('graceful')
    const { fresh, graceful, closed } = agent.stats.sockets
    expect({ fresh, graceful, closed }).toEqual({ fresh: 1, graceful: REQUESTS, closed: 0 })
    expect(new Set(connections.map(({ inode }) => inode)).size).toBe(1)
    // TIME_WAIT is the peer's, who closed first.
    for (const row of ourSockets()) expect(row).toMatchObject({ localPort: upstream.port, state: TIME_WAIT })
  })

  it('take a fresh socket each in mode off', async () => {
    await run('off')
    const { fresh, recycled, dissolved, closed } = agent.stats.sockets
    expect({ fresh, recycled, dissolved, closed }).toEqual({
      fresh: REQUESTS,
      recycled: 0,
      dissolved: 0,
      closed: REQUESTS,
    })
    expect(new Set(connections.map(({ inode }) => inode)).size).toBe(REQUESTS)
    for (const { state } of ourSockets()) expect(state).toBe(TIME_WAIT)
  })

  it('need hardly more sockets when each is sent as soon as the one before is answered', async () => {
    agent = new RecyclingAgent()
    for (let i = 0; i < REQUESTS; i++) await get(agent, upstream.origin)
    await quiet(agent)
    const { fresh, dissolved, aborted } = agent.stats.sockets
    // A response may be complete before its FIN is there; the next request does not wait for it.
    expect(fresh).toBeLessThanOrEqual(3)
    expect({ dissolved, aborted }).toEqual({ dissolved: REQUESTS, aborted: 0 })
    expect(ourSockets()).toEqual([])
  })
})

describe.runIf(hasStrace && isTried(whyNotNative))('socket(2), as strace counts it', () => {
  let program: Program
  let upstream: Upstream
  let directory: string

  beforeAll(async () => {
    program = await Program.from(new URL('./programs/sequence.ts', import.meta.url))
    upstream = await startNodeUpstream()
    directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
  })

  afterAll(async () => {
    program.delete()
    await upstream.close()
    rmSync(directory, { recursive: true, force: true })
  })

  async function trace(mode: RecycleMode): Promise<{ calls: string[]; result: ChildResult }> {
    const log = join(directory, mode)
    const result = await program.run({
      args: [upstream.origin, String(REQUESTS), mode],
      under: ['strace', '-f', '-qq', '-e', 'trace=socket', '-o', log],
    })
    const calls = readFileSync(log, 'utf8')
      .split('\n')
      // The one with a protocol is the trial, once per thread, whether this kernel dissolves at all.
      .filter((line) => /\bsocket\(AF_INET6?, SOCK_STREAM\S+ IPPROTO_IP\)/.test(line))
    return { calls, result }
  }

  it.each([
    ['once', 'dissolve', 1],
    ['once', 'graceful', 1],
    ['for each connection', 'off', REQUESTS],
  ] as const)('is called %s in mode %s', async (_often, mode, count) => {
    const { calls, result } = await trace(mode)
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(calls).toHaveLength(count)
    expect(JSON.parse(result.stdout)).toMatchObject({ fresh: count })
  })
})
