/** A host with eight ephemeral ports (ip(7), ip_local_port_range), and what becomes of them. */
import { setTimeout as after } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { arms, behaveWell, laboratory } from '../support/laboratory.js'
import { deleteNamespaces, Namespace, whyNoNamespaces } from '../support/namespaces.js'
import { type Outcome, outcomeOf } from '../support/outcomes.js'
import { ok, type RawPeer } from '../support/raw-server.js'
import { socketsOn } from '../support/socket-table.js'
import { whyNotNative } from '../support/transport.js'

expectNoDescriptorLeft()
afterAll(deleteNamespaces)

const PORTS = 8
const TIME_WAIT = '06'
/** None of the ephemeral ones. */
const listen = { port: 8080 }

describe.runIf(isTried(whyNoNamespaces))('with eight local ports', () => {
  /** For each test another one: what TIME_WAIT is counted is the test's own. */
  let host: Namespace

  beforeEach(async () => {
    host = new Namespace()
    await host.sysctl('ipv4/ip_local_port_range', `40000 ${40_000 + PORTS - 1}`)
    // Otherwise a port may be used again after a second.
    await host.sysctl('ipv4/tcp_tw_reuse', 0)
  })

  const inWords = ({ head, end }: Outcome): string => (head === null ? `${end[1]}` : `${head[0]} ${end[0]}`)

  /** Twelve requests at a time to a peer that answers when they have all been sent. */
  async function twelve(dispatcher: Dispatcher, origin: string, release: () => void): Promise<Outcome[]> {
    const outcomes = Array.from({ length: 12 }, () => outcomeOf(dispatcher, { origin }))
    // Those that fail do so at once.
    await Promise.race(outcomes)
    release()
    return Promise.all(outcomes)
  }

  it('more connections at a time fail with EADDRNOTAVAIL, as with undici, and are made again later', async () => {
    await host.enter(async () => {
      const lab = await laboratory(listen)
      const agents = arms.map(([, options]) => lab.agent(options))
      for (const dispatcher of [lab.reference(), ...agents]) {
        let release = (): void => {}
        const released = new Promise<void>((resolve) => {
          release = resolve
        })
        lab.behaviour = async (peer) => {
          await peer.request()
          await released
          // The peer closes first, and TIME_WAIT is its own.
          peer.write(ok('fine', 'connection: close\r\n'))
          peer.socket.end()
        }
        const outcomes = await twelve(dispatcher, lab.origin, release)
        const words = outcomes.map(inWords)
        expect(words.slice(0, PORTS)).toEqual(Array.from({ length: PORTS }, () => '200 complete'))
        expect(words.slice(PORTS)).toEqual(Array.from({ length: 4 }, () => 'EADDRNOTAVAIL'))
        expect(outcomes.at(-1)!.end[2]).toContain(`connect EADDRNOTAVAIL 127.0.0.1:${lab.port}`)
        await dispatcher.close()
      }
      for (const [, options] of arms) {
        const agent = lab.agent(options)
        for (let i = 0; i < 3; i++) await lab.expectRecovered(agent)
      }
    })
  })

  it.each(arms)('requests wait for one of as many connections as there are ports (%s)', async (_name, options) => {
    await host.enter(async () => {
      const lab = await laboratory(listen)
      const agent = lab.agent({ ...options, connections: PORTS })
      lab.behaviour = behaveWell
      const outcomes = await Promise.all(
        Array.from({ length: 5 * PORTS }, () => outcomeOf(agent, { origin: lab.origin })),
      )
      expect(new Set(outcomes.map(inWords))).toEqual(new Set(['200 complete']))
      await lab.expectRecovered(agent)
    })
  })

  /** Says that it will close the connection, and does so a moment later. */
  async function closeLater(peer: RawPeer): Promise<void> {
    await peer.request()
    peer.write(ok('fine', 'connection: close\r\n'))
    await after(2)
    peer.socket.end()
  }

  const timeWaits = (): number => socketsOn(listen.port).filter(({ state }) => state === TIME_WAIT).length

  it.runIf(isTried(whyNotNative))('many more connections, one after the other, leave no TIME_WAIT', async () => {
    await host.enter(async () => {
      const lab = await laboratory(listen)
      const agent = lab.agent()
      for (let i = 0; i < 20 * PORTS; i++) {
        expect(inWords(await lab.meet(agent, closeLater))).toBe('200 complete')
        await quiet(agent)
      }
      expect(timeWaits()).toBe(0)
      expect(agent.stats.sockets).toMatchObject({ dissolved: 20 * PORTS, aborted: 0, closed: 0, leased: 0 })
    })
  })

  it('undici is out of ports after eight of them, since it closes first', async () => {
    await host.enter(async () => {
      const lab = await laboratory(listen)
      const agent = lab.reference()
      const words = []
      // The peer closes when it has seen the FIN of undici.
      const closeSecond = async (peer: RawPeer): Promise<void> => {
        await peer.request()
        peer.write(ok('fine', 'connection: close\r\n'))
      }
      for (let i = 0; i < PORTS + 1; i++) {
        words.push(inWords(await lab.meet(agent, closeSecond)))
        await lab.peers.at(-1)!.ended()
      }
      expect(words).toEqual([...Array.from({ length: PORTS }, () => '200 complete'), 'EADDRNOTAVAIL'])
      await vi.waitFor(() => expect(timeWaits()).toBe(PORTS))
    })
  })
})
