/** Many dispatches at once, and signals that come at any time. */
import { Writable } from 'node:stream'
import * as undici from 'undici'
import { describe, expect, it } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { startNodeUpstream } from '../support/upstream.js'

expectNoDescriptorLeft()

const MANY = 1000

describe('a thousand dispatches in one tick', () => {
  it.each([
    ['over as many connections as it takes', {}],
    ['over four connections', { connections: 4 }],
    ['over four pipelining connections', { connections: 4, pipelining: 10 }],
    ['over four connections that are closed after each response', { connections: 4, pipelining: 0 }],
  ])('are each answered once, %s', async (_how, options) => {
    const upstream = await startNodeUpstream((request, response) => response.end(request.url))
    const agent = recyclingAgent(options)
    const recordings = Array.from({ length: MANY }, (_, i) => {
      const recorded = recording(i % 2 === 0 ? 'new' : 'legacy')
      agent.dispatch({ origin: upstream.origin, path: `/${i}`, method: 'GET' }, recorded.handler)
      return recorded
    })
    for (const [i, { done }] of recordings.entries()) {
      expect((await done).slice(-2).map(([name, said]) => [name, name === 'data' ? said : null])).toEqual([
        ['data', `/${i}`],
        ['end', null],
      ])
    }
    await agent.close()
    await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
    await upstream.close()
  })

  it.each(['abort', 'destroy'] as const)('all fail, each once, on %s in the same tick', async (end) => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = recyclingAgent(end === 'abort' ? {} : { connections: 4 })
    const controller = new AbortController()
    const all = Array.from({ length: MANY }, () =>
      agent.request({ origin, path: '/', method: 'GET', signal: controller.signal }),
    )
    if (end === 'abort') controller.abort()
    else void agent.destroy()
    const outcomes = await Promise.allSettled(all)
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']))
    await (end === 'abort' ? agent.close() : agent.destroy())
    // So many peers do not close at once.
    if (end === 'abort') await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
    expect(peers.flatMap(({ requests }) => requests)).toEqual([])
  })
})

describe('a signal', () => {
  const sink = (): Writable => new Writable({ write: (_chunk, _encoding, done) => done() })

  it.each(['before', 'in the same tick', 'after the head', 'after the end'] as const)(
    'that aborts undici.stream %s',
    async (when) => {
      const { origin } = await rawServer(async (peer) => {
        await peer.request()
        peer.write(when === 'after the head' ? 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf' : ok())
      })
      const agent = recyclingAgent()
      const controller = new AbortController()
      if (when === 'before') controller.abort()
      const streamed = undici.stream(origin, { dispatcher: agent, method: 'GET', signal: controller.signal }, () => {
        if (when === 'after the head') setImmediate(() => controller.abort())
        return sink()
      })
      if (when === 'in the same tick') controller.abort()
      if (when === 'after the end') {
        await streamed
        controller.abort()
      } else {
        await expect(streamed).rejects.toMatchObject({ name: 'AbortError' })
      }
      await agent.close()
      expect(agent.stats.sockets).toMatchObject({ leased: 0 })
    },
  )

  it('of a hundred requests aborts them wherever they are', async () => {
    const { origin } = await rawServer(async (peer) => {
      // Answers one half of the requests, one half of the other half by halves, and the rest not at all.
      for (let i = peer.index; ; i++) {
        if ((await peer.request()) === null) return
        if (i % 4 < 2) peer.write(ok())
        else if (i % 4 === 2) peer.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')
      }
    })
    const agent = recyclingAgent({ connections: 10 })
    const controller = new AbortController()
    const { signal } = controller
    let answered = 0
    const all = Array.from({ length: 100 }, async (_, i) => {
      const { body } = await agent.request({ origin, path: `/${i}`, method: 'GET', signal })
      await body.text()
      if (++answered === 5) controller.abort()
    })
    const outcomes = await Promise.allSettled(all)
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(5)
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0)
    await agent.close()
    await quiet(agent)
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
  })
})
