/** Where connections go to, and where they come from. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { itNative } from '../support/transport.js'

expectNoDescriptorLeft()

type Answer = (error: null, addresses: { address: string; family: number }[]) => void

/** Answers any name with these addresses, and notes what it was asked for. */
function lookupOf(...addresses: string[]) {
  const asked: { host: string; options: Record<string, unknown> }[] = []
  const lookup = (host: string, options: Record<string, unknown>, callback: Answer): void => {
    asked.push({ host, options })
    const all = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all) callback(null, all)
    else
      (callback as unknown as (error: null, address: string, family: number) => void)(
        null,
        all[0]!.address,
        all[0]!.family,
      )
  }
  return { asked, lookup: lookup as never }
}

describe.each(dispatchers)('%s', (_name, make) => {
  it.each(['127.0.0.1', '::1'])('finds localhost where only %s listens', async (host) => {
    const { port, peers } = await rawServer(answering(ok()), { host })
    const { handler, done } = recording('new')
    // What the resolver of a host with both families says.
    const { lookup } = lookupOf('::1', '127.0.0.1')
    const agent = make({ connect: { lookup } })
    agent.dispatch({ origin: `http://localhost:${port}`, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(peers[0]!.requests[0]!.fields.host).toBe(`localhost:${port}`)
  })

  it('takes an IPv6 literal', async () => {
    const { origin, port, peers } = await rawServer(answering(ok()), { host: '::1' })
    const { handler, done } = recording('new')
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(peers[0]!.requests[0]!.fields.host).toBe(`[::1]:${port}`)
  })

  it('goes to the next address when one refuses', async () => {
    const { port } = await rawServer(answering(ok()))
    const { lookup, asked } = lookupOf('::1', '127.0.0.2', '127.0.0.1')
    const { handler, done } = recording('new')
    const agent = make({ connect: { lookup } })
    agent.dispatch({ origin: `http://several.test:${port}`, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(asked).toMatchObject([{ host: 'several.test', options: { all: true } }])
  })

  it('asks for one address of the family given', async () => {
    const { port } = await rawServer(answering(ok()))
    const { lookup, asked } = lookupOf('127.0.0.1')
    const { handler, done } = recording('new')
    const agent = make({ connect: { lookup, family: 4 } as object })
    agent.dispatch({ origin: `http://one.test:${port}`, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(asked).toMatchObject([{ host: 'one.test', options: { family: 4 } }])
  })

  it('connects from localAddress', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const { handler, done } = recording('new')
    make({ localAddress: '127.0.0.3' }).dispatch({ origin, path: '/', method: 'GET' }, handler)
    await done
    expect(peers[0]!.socket.remoteAddress).toBe('127.0.0.3')
  })

  it('connects to a Unix socket, with the host of the origin', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const path = join(directory, 'socket')
    const { peers } = await rawServer(answering(ok()), { path })
    const agent = make({ socketPath: path })
    const { handler, done } = recording('new')
    agent.dispatch({ origin: 'http://name.test', path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
    expect(peers[0]!.requests[0]!.fields.host).toBe('name.test')
    await agent.close()
    if (agent instanceof RecyclingAgent) expect(agent.stats.sockets).toMatchObject({ idle: 0, recycled: 0 })
  })

  it('reports a Unix socket that is not there as Node does', async () => {
    const recorded = recording('new')
    const agent = make({ socketPath: '/nowhere/socket' })
    agent.dispatch({ origin: 'http://name.test', path: '/', method: 'GET' }, recorded.handler)
    expect(await recorded.done).toEqual([['error', 'Error', 'ENOENT', 'connect ENOENT /nowhere/socket']])
    expect(recorded.error).toMatchObject({ syscall: 'connect', address: '/nowhere/socket' })
  })

  it.each([
    ['no address', []],
    ['what is no IP address', [{ address: 'nowhere', family: 4 }]],
  ])('reports a resolver that says %s', async (_what, addresses) => {
    const lookup = (_host: string, _options: object, done: Answer): void => done(null, addresses)
    const recorded = recording('new')
    make({ connect: { lookup: lookup as never } }).dispatch(
      { origin: 'http://name.test', path: '/', method: 'GET' },
      recorded.handler,
    )
    expect((await recorded.done)[0]!.slice(0, 2)).toEqual(['error', 'TypeError'])
  })

  it('asks for a name once more for each connection', async () => {
    const { port, peers } = await rawServer(answering(ok('', 'connection: close\r\n')))
    const { lookup, asked } = lookupOf('127.0.0.1')
    const agent = make({ connect: { lookup } })
    for (let i = 0; i < 3; i++) {
      const { handler, done } = recording('new')
      agent.dispatch({ origin: `http://name.test:${port}`, path: '/', method: 'GET' }, handler)
      expect((await done).at(-1)).toEqual(['end', []])
    }
    expect(asked).toHaveLength(3)
    expect(peers).toHaveLength(3)
  })

  it.each([
    ['a path that is too long for a Unix socket', { socketPath: `/${'x'.repeat(200)}` }],
    ['a local port that is none', { localPort: 70_000 }],
  ])('fails a request for %s', async (_what, connect) => {
    const { origin, peers } = await rawServer(answering(ok()))
    const { handler, done } = recording('new')
    make({ connect: connect as never }).dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).map(([name]) => name)).toEqual(['error'])
    expect(peers).toEqual([])
  })

  it("reports what a resolver of the caller's throws", async () => {
    const thrown = new Error('no resolver')
    const lookup = (): never => {
      throw thrown
    }
    const recorded = recording('new')
    make({ connect: { lookup } }).dispatch({ origin: 'http://name.test', path: '/', method: 'GET' }, recorded.handler)
    expect(await recorded.done).toEqual([['error', 'Error', undefined, 'no resolver']])
  })
})

itNative('keeps the descriptor of a connection that has ended for the next one', async () => {
  const { origin, peers } = await rawServer(answering(ok('', 'connection: close\r\n')))
  const agent = recyclingAgent()
  for (let i = 0; i < 5; i++) {
    const { handler, done } = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await done
    peers[i]!.socket.end()
    // Until the peer's FIN the descriptor is still in use.
    while (agent.stats.sockets.idle === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  expect(peers).toHaveLength(5)
  expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 4 })
})

// Node's net wants to be told.
itNative('finds a family by the address where a resolver does not name it', async () => {
  const { port } = await rawServer(answering(ok()))
  const lookup = (_host: string, _options: object, done: (error: null, address: string) => void): void =>
    done(null, '127.0.0.1')
  const { handler, done } = recording('new')
  const agent = recyclingAgent({ autoSelectFamily: false, connect: { lookup: lookup as never } })
  agent.dispatch({ origin: `http://name.test:${port}`, path: '/', method: 'GET' }, handler)
  expect((await done).at(-1)).toEqual(['end', []])
})
