/**
 * A fake clock that is moved on, in one step or in many, from within a callback or from outside: timeouts expire by it in
 * its order, as they do with undici's Agent, next to which each case is tried; and what we wait for ourselves does not
 * depend on it, be it taken away meanwhile.
 */
import type { Dispatcher } from 'undici'
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import { type Fake, fakes, type Load, loads, turn } from '../support/loaded-anew.js'
import { type GetOptions, outcomeOf } from '../support/outcomes.js'
import { ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'

const { setTimeout: realSetTimeout } = globalThis

let authority: Authority
let certificate: Certificate

beforeAll(async () => {
  authority = await Authority.create()
  certificate = await authority.issue(['127.0.0.1'])
})

afterEach(() => void vi.useRealTimers())

type Protocol = 'http' | 'https'

const serve = (protocol: Protocol, behaviour: (peer: RawPeer) => unknown): Promise<RawServer> =>
  rawServer(behaviour, protocol === 'https' ? { secure: certificate } : {})

async function make(load: Load, options = {}): Promise<Dispatcher> {
  const dispatcher = (await load())({ connect: { ca: authority.ca }, ...options } as never)
  onTestFinished(() => dispatcher.destroy())
  return dispatcher
}

/** What becomes of it, as far as one can tell after a while: what hangs on the clock does not come. */
const within = <T>(ms: number, outcome: Promise<T>): Promise<T | 'nothing'> =>
  Promise.race([outcome, new Promise<'nothing'>((resolve) => realSetTimeout(resolve, ms, 'nothing'))])

/** A request, and what is to be done when a piece of its body comes. */
function errorOf(dispatcher: Dispatcher, options: GetOptions, onData = (): void => {}): Promise<string> {
  return new Promise((resolve) => {
    dispatcher.dispatch(
      { path: '/', method: 'GET', ...options },
      {
        onRequestStart() {},
        onResponseStart() {},
        onResponseData: onData,
        onResponseEnd: () => resolve('none'),
        onResponseError: (_controller, { name }) => resolve(name),
      },
    )
  })
}

/** It answers, and does not close its side. */
const keepingOpen =
  (fields: string) =>
  async (peer: RawPeer): Promise<void> => {
    await peer.request()
    peer.socket.removeAllListeners('end')
    peer.write(ok('', fields))
  }

const steps: [how: string, ms: number[]][] = [
  ['in one step', [10_000]],
  ['in many steps', Array.from({ length: 10 }, () => 1000)],
]
const move = (by: number[]): void => {
  for (const ms of by) vi.advanceTimersByTime(ms)
}

const cases = loads.flatMap(([name, load]) =>
  fakes.flatMap(([what, fake]) =>
    (['http', 'https'] as const).map((protocol): [string, Protocol, string, Load, Fake] => [
      name,
      protocol,
      what,
      load,
      fake,
    ]),
  ),
)

describe.each(cases)('with %s over %s, a clock that fakes %s', (name, protocol, _what, load, fake) => {
  it.each([
    [2000, 3000],
    [300_000, 301_000],
  ])('and comes to a headersTimeout of %i ms before an answer at %i', async (headersTimeout, answerAt) => {
    const dispatcher = await make(load, { headersTimeout })
    const server = await serve(protocol, async (peer) => {
      await peer.request()
      setTimeout(() => peer.write(ok('late')), answerAt)
      vi.advanceTimersByTime(answerAt)
    })
    vi.useFakeTimers(fake)
    expect(await errorOf(dispatcher, server)).toBe('HeadersTimeoutError')
  })

  it.each(steps)('and is moved beyond bodyTimeout %s, from outside', async (_how, by) => {
    const dispatcher = await make(load, { bodyTimeout: 2000 })
    const server = await serve(protocol, async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n')
      realSetTimeout(() => peer.write('some'), 20)
    })
    vi.useFakeTimers(fake)
    const outcome = errorOf(dispatcher, server, () => realSetTimeout(move, 20, by))
    expect(await within(5000, outcome)).toBe('BodyTimeoutError')
  })

  it.each(steps)('and is moved beyond bodyTimeout %s, while a piece of the body is handed over', async (_how, by) => {
    const dispatcher = await make(load, { bodyTimeout: 2000 })
    const server = await serve(protocol, async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n')
      realSetTimeout(() => peer.write('some'), 20)
    })
    vi.useFakeTimers(fake)
    const outcome = errorOf(dispatcher, server, () => move(by))
    expect(await within(5000, outcome)).toBe('BodyTimeoutError')
  })

  it('and is moved less than bodyTimeout with each piece of a body, which is received', async () => {
    const dispatcher = await make(load, { headersTimeout: 2500, bodyTimeout: 2500 })
    const server = await serve(protocol, async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n')
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => realSetTimeout(resolve, 5))
        peer.write('x')
      }
    })
    vi.useFakeTimers(fake)
    expect(await errorOf(dispatcher, server, () => move([1000]))).toBe('none')
  })

  it.each(steps)('and is moved beyond the timeout of a connection in the making %s', async (_how, by) => {
    const lookup = (): void => {}
    const dispatcher = await make(load, { connect: { ca: authority.ca, timeout: 2000, lookup } })
    vi.useFakeTimers(fake)
    const outcome = errorOf(dispatcher, { origin: `${protocol}://a.test` })
    move(by)
    expect(await within(5000, outcome)).toBe('ConnectTimeoutError')
  })

  // undici's fast timers may take it for a timeout, by what else they have to do.
  it.runIf(name !== loads[0]![0])(
    'and is moved beyond the timeout of a connection that has just been made: it is in time',
    async () => {
      const dispatcher = await make(load, { connect: { ca: authority.ca, timeout: 2000 } })
      const server = await serve(protocol, async (peer) => {
        await peer.request()
        peer.write(ok())
      })
      dispatcher.once('connect', () => move([10_000]))
      vi.useFakeTimers(fake)
      expect(await errorOf(dispatcher, server)).toBe('none')
    },
  )

  it.each(steps)('and is moved beyond keepAliveTimeout %s: the peer gets its FIN', async (_how, by) => {
    const dispatcher = await make(load, { keepAliveTimeout: 2000 })
    const server = await serve(protocol, async (peer) => {
      await peer.request()
      peer.write(ok())
    })
    vi.useFakeTimers(fake)
    expect(await errorOf(dispatcher, server)).toBe('none')
    // undici counts from the turn after the response.
    await turn()
    move(by)
    expect(await within(5000, (await server.peer(0)).ended())).toBe(undefined)
  })

  it('and is not moved: a request behind one whose peer does not close is answered', async () => {
    const dispatcher = await make(load)
    const server = await serve(protocol, keepingOpen('connection: close\r\n'))
    vi.useFakeTimers(fake)
    for (let i = 0; i < 3; i++) expect((await outcomeOf(dispatcher, server)).end).toEqual(['complete'])
  })

  const ends = [
    ['an idle connection', ''],
    ['one that was ended by the peer', 'connection: close\r\n'],
    ['one that was ended by ourselves', 'keep-alive: timeout=2\r\n'],
  ] as const
  it.each(ends)('and that has come and gone does not hold up close(), with %s', async (_which, fields) => {
    const dispatcher = await make(load)
    const server = await serve(protocol, keepingOpen(fields))
    vi.useFakeTimers(fake)
    expect((await outcomeOf(dispatcher, server)).end).toEqual(['complete'])
    for (let i = 0; i < 5; i++) await turn()
    vi.useRealTimers()
    expect(await within(5000, dispatcher.close())).toBe(null)
  })

  it('and is still there does not hold up what comes behind close(): the peer gets its FIN', async () => {
    const dispatcher = await make(load)
    const server = await serve(protocol, async (peer) => {
      await peer.request()
      peer.write(ok('', 'connection: close\r\n'))
    })
    vi.useFakeTimers(fake)
    expect((await outcomeOf(dispatcher, server)).end).toEqual(['complete'])
    // undici's own close() is up to queueMicrotask as it is then.
    const isUpToClock = name === "undici's Agent" && fake.toFake?.includes('queueMicrotask')
    expect(await within(isUpToClock ? 100 : 5000, dispatcher.close())).toBe(isUpToClock ? 'nothing' : null)
    expect(await within(5000, (await server.peer(0)).ended())).toBe(undefined)
  })
})

const places = ['onRequestStart', 'onResponseStart', 'onResponseData', 'onResponseEnd', 'onResponseError'] as const

describe.each(loads.slice(1))('with %s', (_name, load) => {
  // undici stops the timeout in a microtask behind its listeners.
  it.each(['http', 'https'] as const)(
    'a clock that is moved as a connection is made does not fail it (%s)',
    async (protocol) => {
      const dispatcher = await make(load, { connect: { ca: authority.ca, timeout: 2000 } })
      const server = await serve(protocol, async (peer) => {
        await peer.request()
        peer.write(ok())
      })
      dispatcher.once('connect', () => move([10_000]))
      vi.useFakeTimers()
      expect(await errorOf(dispatcher, server)).toBe('none')
    },
  )

  it.each(places.flatMap((place) => [1, 3].map((pipelining) => [place, pipelining] as const)))(
    'a clock that is moved beyond all timeouts in each %s lets every request end, once (pipelining %i)',
    async (place, pipelining) => {
      const timeouts = { headersTimeout: 2000, bodyTimeout: 2000, keepAliveTimeout: 2000 }
      const dispatcher = await make(load, { ...timeouts, pipelining, connections: 2 })
      const server = await serve('http', async (peer) => {
        for (let count = 0; (await peer.request()) !== null; count++) {
          if (count === 2) peer.socket.destroy()
          peer.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx')
          await turn()
          peer.write('y')
        }
      })
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const ends: number[] = []
      const requests = Array.from({ length: 12 }, (_, i) => {
        ends.push(0)
        return new Promise<void>((resolve) => {
          const noted =
            (name: string, isEnd = false) =>
            (): void => {
              if (name === place) move([10_000])
              if (!isEnd) return
              ends[i]!++
              resolve()
            }
          dispatcher.dispatch(
            { origin: server.origin, path: '/', method: 'GET' },
            {
              onRequestStart: noted('onRequestStart'),
              onResponseStart: noted('onResponseStart'),
              onResponseData: noted('onResponseData'),
              onResponseEnd: noted('onResponseEnd', true),
              onResponseError: noted('onResponseError', true),
            },
          )
        })
      })
      expect(await within(5000, Promise.all(requests))).toHaveLength(12)
      expect(await within(5000, dispatcher.close())).toBe(null)
      expect(ends).toEqual(ends.map(() => 1))
    },
  )
})
