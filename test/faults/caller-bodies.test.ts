/** Request bodies that fail, stall, or are not what was announced: the request ends, its source and its descriptor, too. */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording, styles } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

/** Yields `first`, then nothing, until it is asked to return. */
function stalling(first: string): AsyncIterable<string> & { returned: Promise<void> } {
  let onReturn: () => void
  const returned = new Promise<void>((resolve) => {
    onReturn = resolve
  })
  const pieces = [first]
  const iterator: AsyncIterator<string> = {
    next: () => {
      const value = pieces.shift()
      return value === undefined ? new Promise(() => {}) : Promise.resolve({ done: false, value })
    },
    return: async () => {
      onReturn()
      return { done: true, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => iterator, returned }
}

type Body = Exclude<Dispatcher.DispatchOptions['body'], undefined>

describe('a body that stalls', () => {
  it.each(styles)(
    'is let go when its request is aborted, and when its agent is destroyed (%s handlers)',
    async (style) => {
      const { origin, peer } = await rawServer(() => {})
      for (const end of ['abort', 'destroy'] as const) {
        const agent = recyclingAgent({ connections: 1 })
        const index = end === 'abort' ? 0 : 2
        for (const [i, kind] of ['iterable', 'stream'].entries()) {
          const iterable = stalling('piece')
          const stream = new Readable({ read() {} })
          stream.push('piece')
          const body = (kind === 'stream' ? stream : iterable) as unknown as Body
          let abort: () => void
          const { handler, done } = recording(style, {
            start(flow) {
              abort = () => flow.abort()
            },
          })
          const by = end === 'destroy' && i === 1 ? recyclingAgent() : agent
          by.dispatch({ origin, path: '/', method: 'POST', body }, handler)
          await (await peer(index + i)).received(/piece/)
          if (end === 'abort') abort!()
          else void by.destroy()
          expect((await done).at(-1)?.[2]).toBe(end === 'abort' ? 'UND_ERR_ABORTED' : 'UND_ERR_DESTROYED')
          if (kind === 'iterable') await iterable.returned
          else if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
          await quiet(by)
          await (await peer(index + i)).ended()
        }
      }
    },
  )

  it('while others wait for its connection is no matter of theirs: they are served when it is gone', async () => {
    const { origin, peer } = await rawServer(async (peer) => {
      if (peer.index > 0) await answering(ok())(peer)
    })
    const agent = recyclingAgent({ connections: 1, pipelining: 3 })
    let abort: () => void
    const body = stalling('piece')
    const culprit = recording('new', {
      start(flow) {
        abort = () => flow.abort()
      },
    })
    agent.dispatch({ origin, path: '/', method: 'POST', body: body as unknown as Body }, culprit.handler)
    const others = [1, 2, 3].map(() => get(agent, origin))
    await (await peer(0)).received(/piece/)
    abort!()
    expect(await Promise.all(others)).toEqual(['ok', 'ok', 'ok'])
    await culprit.done
  })
})

/** Bodies whose own code fails where a body has code. */
const throwing: [what: string, make: (error: Error) => unknown][] = [
  [
    'a generator, after a chunk',
    (error) =>
      (function* () {
        yield 'a'
        throw error
      })(),
  ],
  [
    'an async generator, after a chunk',
    (error) =>
      (async function* () {
        yield 'a'
        throw error
      })(),
  ],
  [
    'the next() of an iterator',
    (error) => ({
      [Symbol.asyncIterator]: () => ({
        next() {
          throw error
        },
      }),
    }),
  ],
  [
    'the promise of an iterator',
    (error) => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }),
  ],
  [
    'a promise that a synchronous iterator yields',
    (error) =>
      (function* () {
        yield Promise.reject(error)
      })(),
  ],
  [
    'the read() of a stream',
    (error) =>
      new Readable({
        read() {
          throw error
        },
      }),
  ],
]

describe.each(dispatchers)('%s', (_name, make) => {
  it.each(throwing)('fails with what %s throws', async (_what, body) => {
    const { origin } = await rawServer(answering(ok()))
    const error = new Error('no more')
    const recorded = recording('legacy')
    const agent = make()
    agent.dispatch({ origin, path: '/', method: 'POST', body: body(error) as Body }, recorded.handler)
    await recorded.done
    expect(recorded.error).toBe(error)
    // Others are not the worse for it.
    const { body: answer } = await agent.request({ origin, path: '/', method: 'GET' })
    expect(await answer.text()).toBe('ok')
  })
})

describe('an iterator of a body that cannot be had', () => {
  it.each(styles)('fails its request alone (%s handlers)', async (style) => {
    const { origin } = await rawServer(answering(ok()))
    const agent = recyclingAgent({ connections: 1 })
    const error = new Error('no iterator')
    const recorded = recording(style)
    const body = {
      [Symbol.asyncIterator]() {
        throw error
      },
    }
    agent.dispatch({ origin, path: '/', method: 'POST', body: body as unknown as Body }, recorded.handler)
    const other = get(agent, origin)
    await recorded.done
    expect(recorded.error).toBe(error)
    expect(await other).toBe('ok')
    await agent.close()
    expect(agent.stats.sockets.leased).toBe(0)
  })
})
