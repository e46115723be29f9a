/** One request after the other on one socket: how long the next one waits for the descriptor of the one before. */
import { setTimeout as after } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { ok, type RawServer, rawServer } from '../support/raw-server.js'
import { itNative } from '../support/transport.js'

expectNoDescriptorLeft()

const last = ok('ok', 'connection: close\r\n')

itNative('does not wait for a peer that closes too late time and again', async () => {
  const server = await rawServer(async (peer) => {
    // The FIN of a connection comes only when the next one is there.
    if (peer.index > 0) server.peers[peer.index - 1]!.socket.end()
    await peer.request()
    peer.write(last)
  })
  const agent = recyclingAgent()
  for (let i = 0; i < 6; i++) expect(await get(agent, server.origin)).toBe('ok')
  expect(agent.stats.sockets.leased).toBeGreaterThan(0)
  expect(server.peers).toHaveLength(6)
})

itNative('waits for nothing any more when the request that was to have the descriptor is given up', async () => {
  const server = await rawServer(async (peer) => {
    await peer.request()
    peer.write(last)
  })
  const agent = recyclingAgent()
  expect(await get(agent, server.origin)).toBe('ok')
  const { handler, done } = recording('new')
  agent.dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
  await agent.destroy()
  expect((await done).at(-1)?.[1]).toBe('ClientDestroyedError')
  // Longer than it would have waited.
  await after(30)
  expect(server.peers).toHaveLength(1)
  expect(agent.stats.sockets.leased).toBe(0)
})

it.each(['native', 'net'] as const)('counts what is dropped while it is being connected (%s)', async (transport) => {
  const server = await rawServer(() => {})
  const agent = recyclingAgent({ ...(transport === 'net' && { transport }) })
  const { handler, done } = recording('new')
  agent.dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
  await agent.destroy()
  expect((await done).at(-1)?.[1]).toBe('ClientDestroyedError')
  expect(agent.stats.sockets.leased).toBe(0)
})

it('does not keep a server waiting for the ACK of the first piece of its response', async () => {
  const agent = recyclingAgent()
  /** @param noDelay `false`: by Nagle's algorithm the second piece waits for that ACK */
  const serverWith = (noDelay: boolean): Promise<RawServer> =>
    rawServer(async (peer) => {
      peer.socket.setNoDelay(noDelay)
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n')
      peer.write('ok')
      await peer.ended()
    })
  const [nagle, other] = [await serverWith(false), await serverWith(true)]
  const longest = async ({ origin }: RawServer): Promise<number> => {
    const start = performance.now()
    await Promise.all(Array.from({ length: 5 }, () => get(agent, origin)))
    return performance.now() - start
  }
  // An ACK that is delayed comes after 40 ms (TCP_DELACK_MIN of Linux). Of a busy machine the best of some counts.
  let difference = Number.POSITIVE_INFINITY
  for (let i = 0; i < 10 && difference > 20; i++) {
    difference = Math.min(difference, (await longest(nagle)) - (await longest(other)))
  }
  expect(difference).toBeLessThan(20)
})
