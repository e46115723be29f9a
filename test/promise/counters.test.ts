/** What the counters of the host show of recycled connections (RFC 4022, proc_net(5)), in a namespace of its own. */
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import type { RecyclingAgentOptions, SocketPoolStats } from '../../src/index.js'
import { recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { deleteNamespaces, Namespace, whyNoNamespaces } from '../support/namespaces.js'
import { whyNotNative } from '../support/transport.js'
import { startNodeUpstream } from '../support/upstream.js'

afterAll(deleteNamespaces)

const REQUESTS = 50

/** Two lines of each group: names, then values. */
function tcpCounters(): Record<string, number> {
  const [names, values] = readFileSync('/proc/thread-self/net/snmp', 'latin1')
    .split('\n')
    .filter((line) => line.startsWith('Tcp: '))
    .map((line) => line.split(' ').slice(1))
  return Object.fromEntries(names!.map((name, i) => [name, Number(values![i])]))
}

/** TCP sockets that are not closed: the line of proc_net(5)'s sockstat. */
function socketsInUse(): number {
  const [, inUse] = /^TCP: inuse (\d+)/m.exec(readFileSync('/proc/thread-self/net/sockstat', 'latin1'))!
  return Number(inUse)
}

interface Counted {
  estabResets: number
  outRsts: number
  /** Sockets that are not closed, on both sides. */
  inUse: number
  sockets: SocketPoolStats
}

/** What the requests have added, served one after the other. */
async function count(options: RecyclingAgentOptions): Promise<Counted> {
  const namespace = new Namespace()
  const counted = await namespace.enter(async () => {
    const upstream = await startNodeUpstream()
    const agent = recyclingAgent(options)
    const before = tcpCounters()
    const inUse = socketsInUse()
    for (let i = 0; i < REQUESTS; i++) {
      await get(agent, upstream.origin)
      await quiet(agent)
    }
    const after = tcpCounters()
    const counted = {
      estabResets: after.EstabResets! - before.EstabResets!,
      outRsts: after.OutRsts! - before.OutRsts!,
      inUse: socketsInUse() - inUse,
      sockets: agent.stats.sockets,
    }
    await agent.close()
    await upstream.close()
    return counted
  })
  namespace.delete()
  return counted
}

describe.runIf(isTried(whyNotNative ?? whyNoNamespaces))('the counters of the host', () => {
  it('tcpEstabResets and tcpOutRsts count each connection that was dissolved', async () => {
    expect(await count({ recycle: 'dissolve' })).toMatchObject({ estabResets: REQUESTS, outRsts: REQUESTS })
  })

  it.each(['graceful', 'off'] as const)('neither of them counts connections in mode %s', async (recycle) => {
    expect(await count({ recycle })).toMatchObject({ estabResets: 0, outRsts: 0 })
  })

  it('a dissolved socket is not in use', async () => {
    const { inUse, sockets } = await count({})
    expect(sockets).toMatchObject({ idle: 1, dissolved: REQUESTS, recycled: REQUESTS - 1, fresh: 1 })
    expect(inUse).toBe(0)
  })
})
