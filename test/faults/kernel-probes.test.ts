/** Idle connections whose peer is gone: what the kernel's probes find out (SO_KEEPALIVE, tcp(7)). */
import { setTimeout as after } from 'node:timers/promises'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { arms, type Laboratory, laboratory } from '../support/laboratory.js'
import { deleteNamespaces, Link, whyNoNamespaces } from '../support/namespaces.js'
import { answering, ok } from '../support/raw-server.js'

expectNoDescriptorLeft()
afterAll(deleteNamespaces)

describe.runIf(isTried(whyNoNamespaces))('the peer of an idle connection', { timeout: 60_000 }, () => {
  let link: Link

  beforeEach(() => {
    link = new Link()
  })

  const disconnected = (agent: RecyclingAgent): Promise<NodeJS.ErrnoException> =>
    new Promise((resolve) => agent.once('disconnect', (_origin, _targets, error) => resolve(error)))

  /** Agents of all arms that have an idle connection each, and the errors with which these will end. */
  async function idleAgents(lab: Laboratory, keepAlive: boolean) {
    lab.behaviour = answering(ok('kept'))
    const agents = arms.map(([, options]) =>
      lab.agent({ ...options, keepAliveTimeout: 300_000, connect: { keepAlive, keepAliveInitialDelay: 1000 } }),
    )
    for (const agent of agents) expect(await get(agent, lab.origin)).toBe('kept')
    return { agents, errors: agents.map(disconnected) }
  }

  /** The host of the peer knows nothing of its connections any more, and what it said of them was lost. */
  async function startAnew(lab: Laboratory): Promise<void> {
    link.cut()
    for (const { tcp } of lab.peers) tcp.resetAndDestroy()
    await after(100)
    await link.mend()
  }

  it('is found by the first probe to have forgotten it: disconnect with ECONNRESET', async () => {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    await link.client.enter(async () => {
      const { agents, errors } = await idleAgents(lab, true)
      await startAnew(lab)
      for (const error of errors) expect(await error).toMatchObject({ code: 'ECONNRESET' })
      for (const agent of agents) await lab.expectRecovered(agent)
    })
  })

  it('that has forgotten it resets the next request, where there are no probes', async () => {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    await link.client.enter(async () => {
      const { agents } = await idleAgents(lab, false)
      await startAnew(lab)
      for (const agent of agents) {
        const post = agent.request({ origin: lab.origin, path: '/', method: 'POST', body: 'x' })
        await expect(post).rejects.toMatchObject({ code: 'ECONNRESET' })
        await lab.expectRecovered(agent)
      }
    })
  })

  it('the same, and a request that can be repeated is sent once more', async () => {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    await link.client.enter(async () => {
      const { agents } = await idleAgents(lab, false)
      await startAnew(lab)
      for (const agent of agents) {
        expect(await get(agent, lab.origin)).toBe('kept')
        expect(agent.stats.sentAgain).toBe(1)
      }
    })
  })

  it('is given up after ten probes without an answer: disconnect with ETIMEDOUT', async () => {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    await link.client.enter(async () => {
      const { agents, errors } = await idleAgents(lab, true)
      link.cut()
      for (const error of errors) expect(await error).toMatchObject({ code: 'ETIMEDOUT' })
      await link.mend()
      for (const agent of agents) await lab.expectRecovered(agent)
    })
  })
})
