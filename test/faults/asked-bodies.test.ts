/** What a body's source may do as it begins, which is when the server asks for it, or did not in time. */
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { asking, ended, send } from '../support/expecting.js'
import { type Flow, type Hooks, styles } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

type Act = () => void

const sources: [name: string, make: (act: Act) => unknown][] = [
  [
    'the read method of a stream',
    (act) =>
      new Readable({
        read() {
          act()
          this.push('piece')
          this.push(null)
        },
      }),
  ],
  [
    'the method that makes an iterator',
    (act) => ({
      [Symbol.iterator]() {
        act()
        return ['piece'][Symbol.iterator]()
      },
    }),
  ],
  [
    'a generator',
    async function* (act: Act) {
      act()
      yield 'piece'
    },
  ],
  [
    'the stream method of a Blob',
    (act) => {
      const blob = new Blob(['piece'])
      const stream = (): ReadableStream => {
        act()
        return new Blob(['piece']).stream()
      }
      return Object.assign(blob, { stream })
    },
  ],
]

interface Scene {
  agent: RecyclingAgent
  flow: Flow
  closed: Promise<unknown>[]
}

const boom = new Error('boom')
const destroyed = ['error', 'ClientDestroyedError', 'UND_ERR_DESTROYED', 'The client is destroyed']
const failed = ['error', 'Error', undefined, 'boom']

const actions: [what: string, act: (scene: Scene) => void, end: unknown[]][] = [
  [
    'throws',
    () => {
      throw boom
    },
    failed,
  ],
  ['aborts its request', ({ flow }) => flow.abort(boom), failed],
  ['destroys the agent', ({ agent, closed }) => void closed.push(agent.destroy()), destroyed],
  ['closes the agent', ({ agent, closed }) => void closed.push(agent.close()), ended],
]

const ways: [way: string, serve: typeof asking, options: object][] = [
  ['is asked for', asking, { expectContinueTimeout: 60_000 }],
  ['was not asked for in time', answering, { expectContinueTimeout: 1 }],
]

describe.each(ways)('a body that %s', (_way, serve, options) => {
  describe.each(sources)('%s', (_source, make) => {
    it.each(actions)('that %s harms nobody else', async (what, act, end) => {
      for (const style of styles) {
        const server = await rawServer(serve(ok()))
        const scene: Scene = {
          agent: recyclingAgent({ connections: 1, ...options }),
          flow: { pause() {}, resume() {}, abort() {} },
          closed: [],
        }
        const hooks: Hooks = {
          start(flow) {
            scene.flow = flow
          },
        }
        const sent = send(scene.agent, { origin: server.origin, body: make(() => act(scene)) }, style, hooks)
        const behind = what.includes('agent') ? Promise.resolve('ok') : get(scene.agent, server.origin)
        expect((await sent.done).at(-1)).toEqual(end)
        expect(await behind).toBe('ok')
        await Promise.all(scene.closed)
        expect(sent.told.filter((name) => name === 'end' || name === 'error')).toHaveLength(1)
      }
    })
  })
})
