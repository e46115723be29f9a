/** What a listener for the agent's events may do: destroy it, while requests wait for what the event is about. */
import { describe, expect, it } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

describe('a listener that destroys the agent', () => {
  it.each(['connect', 'disconnect', 'connectionError'] as const)('on %s ends what waits', async (event) => {
    // Loses the first connection with three requests on it.
    const { origin, peers } = await rawServer(async (peer) => {
      // Or the agent, destroyed on 'connect', has gone before that.
      await peer.received(/\/2 .*\r\n\r\n$/s).catch(() => {})
      peer.socket.end()
    })
    const agent = recyclingAgent({ connections: 1, pipelining: 3 })
    const target = event === 'connectionError' ? 'http://127.0.0.1:1' : origin
    let destroyed: Promise<unknown> | undefined
    let connections = 0
    agent.on(event as 'disconnect', () => {
      destroyed ??= agent.destroy()
    })
    agent.on('connect', () => connections++)
    const recordings = [0, 1, 2, 3].map((i) => {
      const recorded = recording('new')
      agent.dispatch({ origin: target, path: `/${i}`, method: 'GET', blocking: false }, recorded.handler)
      return recorded
    })
    for (const { done } of recordings) await done
    await destroyed
    expect(
      recordings.flatMap(({ events }) => events.filter(([name]) => name === 'error' || name === 'end')),
    ).toHaveLength(4)
    expect(recordings.at(-1)?.events.at(-1)?.[2]).toBe(
      event === 'connectionError' ? 'ECONNREFUSED' : 'UND_ERR_DESTROYED',
    )
    expect(connections).toBe(event === 'connectionError' ? 0 : 1)
    expect(peers.length).toBeLessThanOrEqual(1)
    expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
  })

  it('on the disconnect of a connection that has ended unnoticed fails the request that was to have it', async () => {
    const { origin, peers } = await rawServer(answering(ok()))
    const agent = recyclingAgent({ connections: 1 })
    await get(agent, origin)
    let destroyed: Promise<unknown> | undefined
    agent.on('disconnect', () => {
      destroyed ??= agent.destroy()
    })
    // Closed, and seen by nobody yet, when the next request is dispatched.
    const closed = new Promise<void>((resolve) => peers[0]!.socket.end(resolve))
    await closed
    const { handler, done } = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)?.[2]).toBe('UND_ERR_DESTROYED')
    await destroyed
    expect(peers).toHaveLength(1)
  })
})
