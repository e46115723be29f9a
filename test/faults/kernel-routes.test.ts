/** Addresses to which no way leads, or behind which nobody answers, in a network of the tests' own. */
import type { Dispatcher } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { recording } from '../support/handlers.js'
import { arms, behaveWell, laboratory } from '../support/laboratory.js'
import { deleteNamespaces, Link, whyNoNamespaces } from '../support/namespaces.js'

expectNoDescriptorLeft()
afterAll(deleteNamespaces)

const PORT = 81

/** What the kernel says, how long it takes, and where that is to be had. */
const cases: [what: string, code: string, host: string][] = [
  ['without a route', 'ENETUNREACH', '10.5.0.1'],
  ['without a route, IPv6', 'ENETUNREACH', '2001:db8::1'],
  ['that its own host declares unreachable', 'EHOSTUNREACH', '10.1.0.1'],
  ['that its own host has forbidden', 'EACCES', '10.2.0.1'],
  ['that its own host throws away', 'EINVAL', '10.3.0.1'],
  ['that a router declares unreachable (ICMP)', 'EHOSTUNREACH', '10.6.0.1'],
  ['that nobody has in a network at hand (ARP)', 'EHOSTUNREACH', '10.77.0.77'],
  ['that never answers, until the last SYN is sent', 'ETIMEDOUT', '10.77.0.9'],
  ['on which nobody listens', 'ECONNREFUSED', '10.77.0.2'],
]

async function makeLink(): Promise<Link> {
  const link = new Link()
  const { client, server } = link
  client.ip('route add unreachable 10.1.0.0/24')
  client.ip('route add prohibit 10.2.0.0/24')
  client.ip('route add blackhole 10.3.0.0/24')
  client.ip(`route add 10.6.0.0/24 via ${link.serverAddress}`)
  server.ip('route add unreachable 10.6.0.0/24')
  await server.sysctl('ipv4/ip_forward', 1)
  // A router says so only so often; what is left to it in any case are a few at a time (error_burst).
  await server.sysctl('ipv4/icmp_ratelimit', 0)
  // Is given up after 100 ms without an answer.
  await client.sysctl('ipv4/neigh/eth0/mcast_solicit', 1)
  await client.sysctl('ipv4/neigh/eth0/retrans_time_ms', 100)
  // Packets to a station that is none; the connection is given up after 3 s: 1 for the first SYN, 2 for the second.
  client.ip('neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent')
  await client.sysctl('ipv4/tcp_syn_retries', 1)
  return link
}

async function failureOf(dispatcher: Dispatcher, hostname: string): Promise<Error> {
  const recorded = recording('new')
  const host = hostname.includes(':') ? `[${hostname}]` : hostname
  dispatcher.dispatch({ origin: `http://${host}:${PORT}`, path: '/', method: 'GET' }, recorded.handler)
  expect((await recorded.done).map(([event]) => event)).toEqual(['error'])
  return recorded.error as Error
}

/** Without what Node adds where connect(2) fails at once. */
const describeFailure = (error: Error) => {
  const { code, errno, syscall, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number }
  const message = error.message.replace(/ - Local \(.*\)$/, '')
  return { name: error.constructor.name, code, errno, syscall, address, port, message }
}

const lookupOf = (...addresses: string[]): RecyclingAgentOptions => ({
  connect: {
    lookup: (_host: string, _options: object, callback: (...answer: unknown[]) => void): void =>
      callback(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      ),
    // Longer than any answer but one takes.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1500,
  } as RecyclingAgentOptions['connect'] & object,
})

describe.runIf(isTried(whyNoNamespaces))('an address', () => {
  let link: Link

  beforeAll(async () => {
    link = await makeLink()
  })

  it.each(cases)('%s fails with %s, as with undici, and its descriptor is closed', async (_what, code, host) => {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    await link.client.enter(async () => {
      const agents = arms.map(([, options]) => lab.agent(options))
      const [reference, ...failures] = await Promise.all(
        [lab.reference(), ...agents].map((dispatcher) => failureOf(dispatcher, host)),
      )
      const expected = {
        name: 'Error',
        code,
        syscall: 'connect',
        address: host,
        port: PORT,
        message: `connect ${code} ${host}:${PORT}`,
      }
      expect(describeFailure(reference!)).toMatchObject(expected)
      for (const failure of failures) expect(describeFailure(failure)).toEqual(describeFailure(reference!))
      for (const agent of agents) {
        const { fresh, closed, idle, leased } = agent.stats.sockets
        expect({ idle, leased, open: fresh - closed }).toEqual({ idle: 0, leased: 0, open: 0 })
        await lab.expectRecovered(agent)
      }
    })
  })

  describe.each(arms)('%s', (_name, options) => {
    it('among others is passed over, whatever is wrong with it', async () => {
      const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
      await link.client.enter(async () => {
        const hosts = ['10.5.0.1', '10.1.0.1', '10.2.0.1', '10.3.0.1', '10.77.0.77', link.serverAddress]
        const agent = lab.agent({ ...options, ...lookupOf(...hosts) })
        lab.behaviour = behaveWell
        expect(await get(agent, `http://several.test:${lab.port}`)).toBe('fine')
        await quiet(agent)
        const { fresh, closed, idle } = agent.stats.sockets
        expect(fresh - closed).toBe(idle)
      })
    })
  })

  it('like others that fail is told together with them, as by undici, but by name', async () => {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    await link.client.enter(async () => {
      const several = lookupOf('10.5.0.1', '10.1.0.1', '10.77.0.77', '10.77.0.2')
      const agents = arms.map(([, options]) => lab.agent({ ...options, ...several }))
      const reasons = '10.5.0.1 ENETUNREACH, 10.1.0.1 EHOSTUNREACH, 10.77.0.77 EHOSTUNREACH, 10.77.0.2 ECONNREFUSED'
      const message = `connect failed to several.test:${PORT}: ${reasons}`
      for (const dispatcher of [lab.reference(several), ...agents]) {
        const failure = await failureOf(dispatcher, 'several.test')
        expect(describeFailure(failure)).toMatchObject({
          name: 'AggregateError',
          code: 'ENETUNREACH',
          message: dispatcher instanceof RecyclingAgent ? message : '',
        })
        expect((failure as AggregateError).errors.map((error) => describeFailure(error).message)).toEqual([
          `connect ENETUNREACH 10.5.0.1:${PORT}`,
          `connect EHOSTUNREACH 10.1.0.1:${PORT}`,
          `connect EHOSTUNREACH 10.77.0.77:${PORT}`,
          `connect ECONNREFUSED 10.77.0.2:${PORT}`,
        ])
      }
      for (const agent of agents) expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
    })
  })

  it('that loses its route serves again when it has it back', async () => {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    await link.client.enter(async () => {
      for (const [, options] of arms) {
        const agent = lab.agent(options)
        await lab.expectRecovered(agent)
        link.client.ip('route delete 10.77.0.0/24 dev eth0')
        const outcome = await lab.meet(agent, behaveWell)
        link.client.ip(`route add 10.77.0.0/24 dev eth0 src ${link.clientAddress}`)
        expect(outcome.end.slice(0, 2)).toEqual(['Error', 'ENETUNREACH'])
        await lab.expectRecovered(agent)
      }
    })
  })
})
