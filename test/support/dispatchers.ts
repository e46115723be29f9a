/** undici's Agent and ours, for what both must do alike. */
import * as undici from 'undici'
import { Agent, Client, type Dispatcher } from 'undici'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { countDescriptors } from './descriptors.js'

type WrapHandler = (handler: Dispatcher.DispatchHandler) => Dispatcher.DispatchHandler

/** undici 8 takes legacy handlers only through this wrapper of its own. */
const { Dispatcher1Wrapper } = undici as unknown as { Dispatcher1Wrapper?: { wrapHandler: WrapHandler } }
const accepted: WrapHandler = (handler) => Dispatcher1Wrapper?.wrapHandler(handler) ?? handler

class ReferenceAgent extends Agent {
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return super.dispatch(options as never, accepted(handler))
  }
}

/** undici's Client, which takes handlers of both kinds. */
export class ReferenceClient extends Client {
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return super.dispatch(options, accepted(handler))
  }
}

export type MakeDispatcher = (options?: RecyclingAgentOptions) => Dispatcher

/** Ends the dispatcher with the test. */
function ending<D extends Dispatcher>(dispatcher: D): D {
  onTestFinished(async () => {
    await dispatcher.destroy()
  })
  return dispatcher
}

export const recyclingAgent = (options?: RecyclingAgentOptions): RecyclingAgent => ending(new RecyclingAgent(options))

/** @returns how many connections the agent has made since this call */
export function countConnections(agent: RecyclingAgent): () => number {
  let count = 0
  agent.on('connect', () => count++)
  return () => count
}

/** For describe.each. */
export const dispatchers: [name: string, make: MakeDispatcher][] = [
  ["undici's Agent", (options) => ending(new ReferenceAgent(options as Agent.Options))],
  ['RecyclingAgent', recyclingAgent],
]

/** The same, for what is to be alike over TLS, whoever does the cryptography. */
export const secureDispatchers: [name: string, make: MakeDispatcher][] = [
  ...dispatchers,
  ['RecyclingAgent over TLSSocket', (options) => recyclingAgent({ ...options, tlsTransport: 'node' })],
]

/** The file leaves no descriptor open. */
export function expectNoDescriptorLeft(): void {
  let before = 0
  beforeAll(async () => {
    // The first use opens what a thread keeps: its epoll instance, the resolver.
    for (const transport of ['native', 'net'] as const) await new RecyclingAgent({ transport }).close()
    before = countDescriptors()
  })
  afterAll(async () => {
    // What Node closes, it closes at the end of a turn.
    await new Promise((resolve) => setImmediate(resolve))
    expect(countDescriptors()).toBeLessThanOrEqual(before)
  })
}
