/**
 * What a handler may do within its callbacks: end its request, end the agent, or give it more work. Whatever it does,
 * every request hears of its end exactly once, and no descriptor stays leased.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { type Flow, type Hooks, type Recording, recording, type Style, styles } from '../support/handlers.js'
import { answering, ok, type RawServer, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

let authority: Authority
let certificate: Certificate

beforeAll(async () => {
  authority = await Authority.create()
  certificate = await authority.issue(['127.0.0.1'])
})

type Callback = keyof Hooks
const callbacks: Callback[] = ['start', 'bodySent', 'requestSent', 'started', 'head', 'data', 'end']

const protocols = ['http', 'https'] as const
/** What becomes of a connection after each response. */
const fates = [
  ['kept', ''],
  ['closed', 'connection: close\r\n'],
] as const

const cases = protocols.flatMap((protocol) =>
  styles
    // What a handler is told does not depend on what is below it.
    .filter((style) => protocol === 'http' || style === 'new')
    .flatMap((style) => fates.map(([fate, field]) => ({ protocol, style, fate, field }))),
)

interface Scene {
  agent: RecyclingAgent
  server: RawServer
}

async function scene(protocol: 'http' | 'https', field: string): Promise<Scene> {
  const secure = protocol === 'https' ? { secure: certificate } : {}
  const serve = answering(ok('answer', field))
  const server = await rawServer(async (peer) => {
    if (field === '') return serve(peer)
    // Answers what is pipelined behind, too: the client has no use for it.
    await peer.request()
    peer.write(ok('answer', field))
    peer.socket.end()
  }, secure)
  const agent = recyclingAgent({ connections: 1, pipelining: 3, connect: { ca: authority.ca } })
  return { agent, server }
}

/** The request whose handler misbehaves, and others before and behind it on the one connection. */
function dispatchAmongOthers({ agent, server }: Scene, style: Style, hooks: Hooks) {
  const plain = (path: string): Recording => {
    const recorded = recording('new')
    agent.dispatch({ origin: server.origin, path, method: 'GET', blocking: false }, recorded.handler)
    return recorded
  }
  const before = plain('/before')
  const culprit = recording(style, hooks)
  const options = { origin: server.origin, path: '/culprit', method: 'PUT', body: 'sent', blocking: false }
  agent.dispatch(options, culprit.handler)
  return { culprit, others: [before, plain('/behind-1'), plain('/behind-2'), plain('/behind-3')] }
}

const ends = ({ events }: Recording): string[] =>
  events.map(([name]) => name).filter((name) => name === 'end' || name === 'error')

/** All that was said after the end of a request would have been said by then. */
async function settled(...recordings: Recording[]): Promise<void> {
  for (const { done } of recordings) await done
  await new Promise((resolve) => setImmediate(resolve))
}

/** The agent can still be used, and when it has ended nothing of it is left. */
async function expectSound({ agent, server }: Scene): Promise<void> {
  expect(await get(agent, server.origin)).toBe('answer')
  await agent.close()
  await quiet(agent)
  expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
}

describe.each(cases)(
  'over $protocol, connections $fate, a handler of the $style kind',
  ({ protocol, style, field }) => {
    it.each(callbacks)('that throws in its %s callback fails alone', async (callback) => {
      const arena = await scene(protocol, field)
      const thrown = new Error('thrown')
      const { culprit, others } = dispatchAmongOthers(arena, style, {
        [callback]() {
          throw thrown
        },
      })
      await Promise.all([culprit, ...others].map(({ done }) => done))
      await new Promise((resolve) => setImmediate(resolve))
      expect(culprit.error).toBe(thrown)
      expect(ends(culprit).at(-1)).toBe('error')
      for (const other of others) expect(ends(other)).toEqual(['end'])
      await expectSound(arena)
    })

    it.each(callbacks.filter((callback) => callback !== 'end'))(
      'that aborts in its %s callback fails alone',
      async (callback) => {
        const arena = await scene(protocol, field)
        const reason = new Error('not wanted')
        const { culprit, others } = dispatchAmongOthers(arena, style, {
          [callback]: (flow: Flow) => flow.abort(reason as never),
        })
        await settled(culprit, ...others)
        expect(culprit.error).toBe(reason)
        expect(ends(culprit)).toEqual(['error'])
        for (const other of others) expect(ends(other)).toEqual(['end'])
        await expectSound(arena)
      },
    )

    it.each([...callbacks, 'error'] as const)('that dispatches in its %s callback is served', async (callback) => {
      const arena = await scene(protocol, field)
      const inner: Recording[] = []
      const { culprit, others } = dispatchAmongOthers(arena, style, {
        ...(callback === 'error' ? { start: (flow: Flow) => flow.abort() } : {}),
        [callback]() {
          if (inner.length > 0) return
          for (const kind of styles) {
            const recorded = recording(kind)
            inner.push(recorded)
            arena.agent.dispatch({ origin: arena.server.origin, path: '/inner', method: 'GET' }, recorded.handler)
          }
        },
      })
      await settled(culprit, ...others)
      await settled(...inner)
      expect(ends(culprit)).toEqual([callback === 'error' ? 'error' : 'end'])
      for (const other of [...others, ...inner]) expect(ends(other)).toEqual(['end'])
      await expectSound(arena)
    })

    it.each([...callbacks, 'error'] as const)(
      'that destroys the agent in its %s callback ends all',
      async (callback) => {
        const arena = await scene(protocol, field)
        let destroyed: Promise<unknown> | undefined
        let startsAfterwards = 0
        const { culprit, others } = dispatchAmongOthers(arena, style, {
          ...(callback === 'error' ? { head: (flow: Flow) => flow.abort() } : {}),
          [callback]() {
            destroyed ??= arena.agent.destroy()
            arena.agent.on('connect', () => startsAfterwards++)
          },
        })
        await settled(culprit, ...others)
        await destroyed
        expect(ends(culprit)).toEqual([callback === 'end' ? 'end' : 'error'])
        for (const other of others) expect(ends(other)).toHaveLength(1)
        // Those behind were not answered when the agent ended.
        expect(others.slice(-1).map(ends)).toEqual([['error']])
        expect(startsAfterwards).toBe(0)
        expect(arena.agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
      },
    )

    it.each([...callbacks, 'error'] as const)(
      'that closes the agent in its %s callback ends it after the others',
      async (callback) => {
        const arena = await scene(protocol, field)
        let closed: Promise<unknown> | undefined
        const { culprit, others } = dispatchAmongOthers(arena, style, {
          ...(callback === 'error' ? { head: (flow: Flow) => flow.abort() } : {}),
          [callback]() {
            closed ??= arena.agent.close()
          },
        })
        await settled(culprit, ...others)
        await closed
        expect(ends(culprit)).toEqual([callback === 'error' ? 'error' : 'end'])
        for (const other of others) expect(ends(other)).toEqual(['end'])
        expect(arena.agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
      },
    )

    it.each(['head', 'data'] as const)(
      'that pauses in its %s callback for ever fails when the agent is destroyed',
      async (callback) => {
        const arena = await scene(protocol, field)
        let onPaused: () => void
        const paused = new Promise<void>((resolve) => {
          onPaused = resolve
        })
        const { culprit, others } = dispatchAmongOthers(arena, style, {
          [callback](flow: Flow) {
            flow.pause()
            onPaused()
          },
        })
        await paused
        await new Promise((resolve) => setImmediate(resolve))
        expect(ends(culprit)).toEqual([])
        await arena.agent.destroy()
        await settled(culprit, ...others)
        expect(ends(culprit)).toEqual(['error'])
        expect((culprit.error as NodeJS.ErrnoException).code).toBe('UND_ERR_DESTROYED')
        for (const other of others) expect(ends(other)).toHaveLength(1)
        expect(arena.agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
      },
    )

    it('that resumes whenever it likes hears everything once', async () => {
      const arena = await scene(protocol, field)
      let flow: Flow | undefined
      const resume = (control: Flow): void => {
        flow = control
        for (let i = 0; i < 3; i++) control.resume()
      }
      const { culprit, others } = dispatchAmongOthers(arena, style, {
        start: resume,
        head(control) {
          control.pause()
          setImmediate(() => resume(control))
        },
        data: resume,
        end: resume,
      })
      await settled(culprit, ...others)
      resume(flow!)
      expect(
        culprit.events.filter(([name]) => name === 'head' || name === 'data' || name === 'end').map(([name]) => name),
      ).toEqual(['head', 'data', 'end'])
      for (const other of others) expect(ends(other)).toEqual(['end'])
      await expectSound(arena)
    })
  },
)
