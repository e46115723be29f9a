/** One dispatcher for every undici of the process. */
import type { Dispatcher } from 'undici'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { install, RecyclingAgent } from '../src/index.js'
import { Program } from './support/child.js'
import { countConnections, expectNoDescriptorLeft, recyclingAgent } from './support/dispatchers.js'
import { isTried } from './support/gate.js'
import { ok, type RawPeer, rawServer } from './support/raw-server.js'
import { globalDispatchers, restoreGlobalDispatchers, undicis, whyNoUndici8 } from './support/undicis.js'

const echo = async (peer: RawPeer): Promise<void> => {
  for (;;) {
    const received = await peer.request()
    if (received === null) return
    peer.write(ok(`${received.head.split(' ')[0]} ${received.body}`))
  }
}

describe('install', () => {
  expectNoDescriptorLeft()

  let saved: unknown[]
  beforeEach(() => {
    saved = globalDispatchers()
  })
  afterEach(() => {
    restoreGlobalDispatchers(saved)
  })

  it('returns the dispatcher that it was given', () => {
    const agent = recyclingAgent()
    expect(install(agent)).toBe(agent)
    expect(globalDispatchers()).toEqual([agent, agent])
  })

  it('makes a RecyclingAgent when it was given none', async () => {
    const agent = install()
    expect(agent).toBeInstanceOf(RecyclingAgent)
    expect(globalDispatchers()).toEqual([agent, agent])
    await agent.close()
  })

  it('takes a dispatcher that is composed of others', () => {
    const composed = recyclingAgent().compose((dispatch) => dispatch)
    expect(install(composed)).toBe(composed)
  })

  it.each([null, {}, 'x'])("refuses %j with undici's words, and leaves everything as it was", (dispatcher) => {
    const words = expect.objectContaining({ name: 'InvalidArgumentError', message: thrownByUndici(dispatcher) })
    expect(() => install(dispatcher as unknown as Dispatcher)).toThrow(words)
    expect(globalDispatchers()).toEqual(saved)
  })

  it('leads the built-in fetch through the dispatcher', async () => {
    const { origin } = await rawServer(echo)
    const connections = countConnections(install(recyclingAgent()))
    expect(await (await fetch(origin)).text()).toBe('GET ')
    expect(connections()).toBe(1)
  })

  it('is replaced by the next install', async () => {
    const { origin } = await rawServer(echo)
    const first = countConnections(install(recyclingAgent()))
    const second = countConnections(install(recyclingAgent()))
    expect(await (await fetch(origin)).text()).toBe('GET ')
    expect([first(), second()]).toEqual([0, 1])
  })

  it("defines its properties as undici's are defined", () => {
    install(recyclingAgent())
    for (const version of [1, 2]) {
      expect(
        Object.getOwnPropertyDescriptor(globalThis, Symbol.for(`undici.globalDispatcher.${version}`)),
      ).toMatchObject({ writable: true, enumerable: false, configurable: false })
    }
  })

  describe.each(undicis)('with %s', (_name, undici) => {
    it('is seen by getGlobalDispatcher, fetch and request', async () => {
      const { origin } = await rawServer(echo)
      const agent = install(recyclingAgent({ pipelining: 0 }))
      const connections = countConnections(agent)
      expect(undici.getGlobalDispatcher()).toBe(agent)
      expect(await (await undici.fetch(origin)).text()).toBe('GET ')
      expect(await (await undici.request(origin)).body.text()).toBe('GET ')
      expect(connections()).toBe(2)
    })

    it('is replaced by setGlobalDispatcher, and replaces it', async () => {
      const { origin } = await rawServer(echo)
      const [first, second] = [recyclingAgent({ pipelining: 0 }), recyclingAgent({ pipelining: 0 })]
      const counts = [countConnections(first), countConnections(second)]
      const connections = (): number[] => counts.map((count) => count())
      install(first)
      undici.setGlobalDispatcher(second)
      expect(undici.getGlobalDispatcher()).toBe(second)
      expect(await (await fetch(origin)).text()).toBe('GET ')
      expect(connections()).toEqual([0, 1])
      install(first)
      expect(undici.getGlobalDispatcher()).toBe(first)
      expect(await (await fetch(origin)).text()).toBe('GET ')
      expect(connections()).toEqual([1, 1])
    })
  })

  it.runIf(isTried(whyNoUndici8))('is seen by both copies of undici at once', () => {
    const agent = install(recyclingAgent())
    expect(undicis.map(([, undici]) => undici.getGlobalDispatcher())).toEqual([agent, agent])
  })
})

const thrownByUndici = (dispatcher: unknown): string => {
  try {
    undicis[0]![1].setGlobalDispatcher(dispatcher as Dispatcher)
    return 'nothing thrown'
  } catch (error) {
    return (error as Error).message
  }
}

describe('a program without an undici of its own', () => {
  let program: Program

  beforeAll(async () => {
    program = await Program.from(new URL('./programs/install.ts', import.meta.url))
  })

  afterAll(() => {
    program.delete()
  })

  it.each(['early', 'late'])('has its fetch go through the agent, installed %s', async (mode) => {
    const { origin } = await rawServer(echo)
    expect(await program.run({ args: [mode, origin] })).toMatchObject({ code: 0, stdout: 'POST sent 1\n', stderr: '' })
  })
})
