/** A peer that does what it is told, right or wrong, and agents that meet it, one connection at a time. */
import type { Dispatcher } from 'undici'
import { expect, onTestFinished } from 'vitest'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { countDescriptors } from './descriptors.js'
import { quiet } from './exchange.js'
import { type GetOptions, type Outcome, outcomeOf } from './outcomes.js'
import { ok, type RawPeer, type RawServerOptions, rawServer } from './raw-server.js'
import { isNative } from './transport.js'
import { undici7 } from './undicis.js'

/** What the peer does with a connection. */
export type Behaviour = (peer: RawPeer) => unknown

/** Agents of ours: each fault is met on descriptors of the pool and over net sockets. For describe.each. */
export const arms: [name: string, options: RecyclingAgentOptions][] = [
  ...(isNative ? ([['native', {}]] satisfies [string, RecyclingAgentOptions][]) : []),
  ['net', { transport: 'net' }],
]

/** Reads a request, and answers it as it should be. */
export async function behaveWell(peer: RawPeer): Promise<void> {
  await peer.request()
  peer.write(ok('fine', 'connection: close\r\n'))
  peer.socket.end()
}

export class Laboratory {
  /** Of the connections to come. */
  behaviour: Behaviour = behaveWell
  origin = ''
  port = 0
  readonly peers: RawPeer[] = []

  /** Resolves with the latest connection, once there is one more than `count`. */
  async peerAfter(count: number): Promise<RawPeer> {
    while (this.peers.length <= count) await new Promise((resolve) => setImmediate(resolve))
    return this.peers.at(-1)!
  }

  /** Our agent, for this test. */
  agent(options: RecyclingAgentOptions = {}): RecyclingAgent {
    const agent = new RecyclingAgent(options)
    onTestFinished(() => agent.destroy())
    return agent
  }

  /** undici's, which ours is compared with. */
  reference(options: object = {}): Dispatcher {
    const agent = new undici7.Agent(options)
    onTestFinished(() => agent.destroy())
    return agent
  }

  /** One request to a peer of this behaviour. */
  meet(dispatcher: Dispatcher, behaviour: Behaviour, options: Partial<GetOptions> = {}): Promise<Outcome> {
    this.behaviour = behaviour
    return outcomeOf(dispatcher, { origin: this.origin, ...options })
  }

  /** Nothing is left of what happened, and the agent serves on. */
  async expectRecovered(agent: RecyclingAgent): Promise<void> {
    await quiet(agent)
    expect(agent.stats).toEqual({})
    expect(await this.meet(agent, behaveWell)).toMatchObject({ body: 'fine', end: ['complete'] })
    await quiet(agent)
    expect(agent.stats).toEqual({})
    const { fresh, closed, idle } = agent.stats.sockets
    expect(fresh - closed).toBe(idle)
  }
}

/** Set up for one test, which must leave no descriptor open. */
export async function laboratory(options: RawServerOptions = {}): Promise<Laboratory> {
  // What a thread keeps is opened by the first use.
  await new RecyclingAgent().close()
  const before = countDescriptors()
  // Called last, since hooks are called in reverse order.
  onTestFinished(async () => {
    const deadline = performance.now() + 2000
    while (countDescriptors() > before && performance.now() < deadline) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(countDescriptors()).toBeLessThanOrEqual(before)
  })
  const laboratory = new Laboratory()
  const server = await rawServer((peer) => {
    laboratory.peers.push(peer)
    return laboratory.behaviour(peer)
  }, options)
  laboratory.origin = server.origin
  laboratory.port = server.port
  return laboratory
}
