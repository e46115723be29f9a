/** Events, statistics, and the end: close() and destroy(). */
import { errors } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, type recyclingAgent } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

describe.each(dispatchers)('%s', (name, make) => {
  it('emits connect before the start callback and disconnect with its reason, the agent as first target', async () => {
    const { origin } = await rawServer(answering(ok('', 'connection: close\r\n')))
    const agent = make()
    const seen: unknown[][] = []
    const ended = new Promise<void>((resolve) => {
      agent.on('connect', (url, targets) => seen.push(['connect', url, targets[0] === agent]))
      agent.on('disconnect', (url, targets, error) => {
        seen.push(['disconnect', url, targets[0] === agent, error.message])
        resolve()
      })
    })
    const { handler, done } = recording('new', { start: () => seen.push(['start']), end: () => seen.push(['end']) })
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await done
    await ended
    expect(seen).toEqual([
      ['connect', new URL(origin), true],
      ['start'],
      ['end'],
      ['disconnect', new URL(origin), true, 'reset'],
    ])
  })

  it('emits connectionError after the error callback', async () => {
    const agent = make({ socketPath: '/nowhere/socket' })
    const seen: unknown[][] = []
    const failed = new Promise<void>((resolve) => {
      agent.on('connectionError', (url, targets, error) => {
        seen.push(['connectionError', url, targets[0] === agent, (error as Error & { code: string }).code])
        resolve()
      })
    })
    const { handler } = recording('new', { error: () => seen.push(['error']) })
    agent.dispatch({ origin: 'http://a.test', path: '/', method: 'GET' }, handler)
    await failed
    expect(seen).toEqual([['error'], ['connectionError', new URL('http://a.test'), true, 'ENOENT']])
  })

  it('emits disconnect after the error callback of the request that was lost', async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.end()
    })
    const agent = make()
    const seen: unknown[][] = []
    const ended = new Promise<void>((resolve) => {
      agent.on('disconnect', (_url, _targets, error) => {
        seen.push(['disconnect', error.message])
        resolve()
      })
    })
    const { handler } = recording('new', { error: (_flow, [, ...error]) => seen.push(['error', error[2]]) })
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await ended
    expect(seen).toEqual([
      ['error', 'other side closed'],
      ['disconnect', 'other side closed'],
    ])
  })

  it('finishes what it has when it is closed, and refuses what comes later', async () => {
    const { origin } = await rawServer(answering(ok()))
    const agent = make({ connections: 1 })
    const recordings = [recording('new'), recording('legacy')]
    for (const { handler } of recordings) agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    const seen: string[] = []
    agent.on('disconnect', () => seen.push('disconnect'))
    const closed = agent.close().then((result) => {
      seen.push('closed')
      return result
    })
    expect(agent).toMatchObject({ closed: true, destroyed: false })
    const again = agent.close()
    const late = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, late.handler)
    expect(late.events).toEqual([['error', 'ClientClosedError', 'UND_ERR_CLOSED', 'The client is closed']])
    for (const { done } of recordings) expect((await done).at(-1)).toEqual(['end', []])
    expect(await closed).toBe(null)
    expect(await again).toBe(null)
    expect(seen).toEqual(['disconnect', 'closed'])
    expect(agent).toMatchObject({ closed: true, destroyed: true })
    await expect(agent.close()).rejects.toBeInstanceOf(errors.ClientDestroyedError)
    const afterwards = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, afterwards.handler)
    expect(afterwards.events[0]?.[1]).toBe('ClientDestroyedError')
  })

  it('fails what it has when it is destroyed, with the error given', async () => {
    const { origin } = await rawServer(() => {})
    const agent = make({ connections: 1 })
    const inFlight = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, inFlight.handler)
    await new Promise<void>((resolve) => agent.once('connect', () => setImmediate(resolve)))
    const queued = recording('legacy')
    agent.dispatch({ origin, path: '/', method: 'GET' }, queued.handler)
    const reason = new Error('that is all')
    const disconnected = new Promise((resolve) => agent.once('disconnect', (...[, , error]) => resolve(error)))
    const destroyed = agent.destroy(reason)
    expect(agent).toMatchObject({ destroyed: true })
    expect(queued.error).toBe(reason)
    expect(await destroyed).toBe(null)
    expect(inFlight.error).toBe(reason)
    expect(await disconnected).toBe(reason)
    expect(await agent.destroy()).toBe(null)
    expect(await agent.destroy(new Error('again'))).toBe(null)
  })

  it('gives ClientDestroyedError when destroyed without an error, and abandons a connection in the making', async () => {
    const { origin } = await rawServer(() => {})
    const agent = make()
    const { handler, done } = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    const destroyed = agent.destroy()
    expect(await done).toEqual([['error', 'ClientDestroyedError', 'UND_ERR_DESTROYED', 'The client is destroyed']])
    await destroyed
  })

  it('takes callbacks for close and destroy, and calls them later with (null, null)', async () => {
    for (const end of ['close', 'destroy'] as const) {
      const agent = make()
      const calls: unknown[][] = []
      const called = new Promise<void>((resolve) => {
        const callback = (...all: unknown[]): void => {
          calls.push(all)
          resolve()
        }
        expect(agent[end](callback)).toBe(undefined)
      })
      expect(calls).toEqual([])
      await called
      expect(calls).toEqual([[null, null]])
      expect(() => make()[end](null as never, 'no function' as never)).toThrow(
        end === 'close' ? 'invalid callback' : 'invalid callback',
      )
    }
    const agent = make()
    await new Promise<void>((resolve) => agent.destroy(null, resolve))
  })

  it('can be closed and destroyed from its callbacks', async () => {
    const { origin } = await rawServer(answering(ok()))
    for (const end of ['close', 'destroy'] as const) {
      for (const callback of ['start', 'head', 'data', 'end'] as const) {
        const agent = make()
        let ended: Promise<unknown> = Promise.resolve()
        const { handler, done } = recording('new', {
          [callback]() {
            ended = agent[end]()
          },
        })
        agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
        const [last] = (await done).at(-1)!
        expect([end, callback, last]).toEqual([
          end,
          callback,
          end === 'destroy' && callback !== 'end' ? 'error' : 'end',
        ])
        await ended
      }
    }
  })

  it.each([
    ['no limit', {}, { connected: 1, free: 0, pending: 0, queued: 0, running: 1, size: 1 }],
    ['one connection', { connections: 1 }, { connected: true, pending: 0, running: 1, size: 1 }],
    ['two connections', { connections: 2 }, { connected: 1, free: 0, pending: 0, queued: 0, running: 1, size: 1 }],
  ])('counts with %s', async (_what, options, counts) => {
    const { origin, peer } = await rawServer(() => {})
    const agent = make(options) as ReturnType<typeof recyclingAgent>
    expect({ ...agent.stats }).toEqual({})
    const { handler } = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await (await peer(0)).request()
    expect(JSON.parse(JSON.stringify(agent.stats))).toEqual({ [origin]: counts })
    await agent.destroy()
  })

  it('has a dispatch of two parameters', () => {
    expect(make().dispatch).toHaveLength(2)
    expect(name).not.toBe('')
  })
})
