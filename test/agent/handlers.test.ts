/** What handlers of either kind are told about one exchange, and in which order. */
import { describe, expect, it } from 'vitest'
import { undiciMajor } from '../../build/undici-under-test.js'
import { dispatchers, expectNoDescriptorLeft } from '../support/dispatchers.js'
import { recording, styles } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const cases = dispatchers.flatMap(([name, make]) => styles.map((style) => [name, style, make] as const))

describe.each(cases)('%s with a handler of the %s kind', (name, style, make) => {
  /** undici 7 tells only legacy handlers what was sent. */
  const tellsWhatWasSent = style === 'legacy' || name === 'RecyclingAgent' || undiciMajor === 8
  const sent = (...events: unknown[][]): unknown[][] => (tellsWhatWasSent ? events : [])

  it('tells the whole of an exchange in order', async () => {
    const { origin } = await rawServer(
      answering(
        'HTTP/1.1 200 All Right\r\nX-One: 1\r\nSet-Cookie: a\r\nset-cookie: b\r\nTransfer-Encoding: chunked\r\n\r\n' +
          '5\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n',
      ),
    )
    const { handler, done } = recording(style)
    make().dispatch({ origin, path: '/', method: 'POST', body: 'sent' }, handler)
    expect(await done).toEqual([
      ['start'],
      ...sent(['bodySent', 'sent'], ['requestSent']),
      ['started'],
      ['head', 200, ['X-One', '1', 'Set-Cookie', 'a', 'set-cookie', 'b', 'Transfer-Encoding', 'chunked'], 'All Right'],
      ['data', 'hello world'],
      ['end', ['X-Trailer', 't']],
    ])
  })

  it('tells an empty reason phrase and an empty trailer section', async () => {
    const { origin } = await rawServer(answering('HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n'))
    const { handler, done } = recording(style)
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).filter(([event]) => event === 'head' || event === 'end')).toEqual([
      ['head', 200, ['content-length', '0'], ''],
      ['end', []],
    ])
  })

  it('tells each informational response, whose pause means nothing', async () => {
    const { origin } = await rawServer(
      answering(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n${ok()}`),
    )
    const { handler, done } = recording(style, {
      head(flow, [, statusCode]) {
        if (style === 'legacy' && statusCode === 103) {
          flow.pause()
          queueMicrotask(() => flow.resume())
        }
      },
    })
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).filter(([event]) => event !== 'started' && event !== 'requestSent')).toEqual([
      ['start'],
      ['head', 102, [], 'Processing'],
      ['head', 103, ['link', 'x'], 'Early Hints'],
      ['head', 200, ['content-length', '2'], 'OK'],
      ['data', 'ok'],
      ['end', []],
    ])
  })

  it.each(['head', 'data'] as const)('pauses in the %s callback until it is resumed later', async (callback) => {
    const { origin } = await rawServer(answering(ok('x'.repeat(200_000))))
    let pauses = 0
    let isPaused = false
    const { handler, done } = recording(style, {
      [callback](flow: { pause(): void; resume(): void }) {
        expect(isPaused).toBe(false)
        pauses++
        isPaused = true
        flow.pause()
        setImmediate(() => {
          isPaused = false
          flow.resume()
        })
      },
      ...(callback === 'head' ? { data: () => expect(isPaused).toBe(false) } : {}),
    })
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    const events = await done
    expect(events.at(-1)).toEqual(['end', []])
    expect(events.at(-2)?.[1]).toHaveLength(200_000)
    expect(pauses).toBeGreaterThan(0)
  })

  it('resumes within the callback that paused', async () => {
    const { origin } = await rawServer(answering(ok('x'.repeat(200_000))))
    const { handler, done } = recording(style, {
      data(flow) {
        flow.pause()
        flow.resume()
        flow.resume()
      },
    })
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).at(-1)).toEqual(['end', []])
  })

  it('keeps what came before a FIN while paused', async () => {
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\n\r\nuntil the end')
      peer.socket.end()
    })
    const { handler, done } = recording(style, {
      head(flow) {
        flow.pause()
        setTimeout(() => flow.resume(), 20)
      },
    })
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect((await done).slice(-2)).toEqual([
      ['data', 'until the end'],
      ['end', []],
    ])
  })

  it.each(['start', 'head', 'data', 'end'] as const)(
    'turns what the %s callback throws into the error callback',
    async (callback) => {
      const { origin, peers } = await rawServer(answering(ok()))
      const thrown = new Error(`thrown in ${callback}`)
      const agent = make()
      const failing = recording(style, {
        [callback]() {
          throw thrown
        },
      })
      agent.dispatch({ origin, path: '/', method: 'GET' }, failing.handler)
      await failing.done
      await new Promise((resolve) => setImmediate(resolve))
      expect(failing.events.filter(([event]) => event === 'error')).toEqual([
        ['error', 'Error', undefined, `thrown in ${callback}`],
      ])
      expect(failing.error).toBe(thrown)
      const next = recording(style)
      agent.dispatch({ origin, path: '/next', method: 'GET' }, next.handler)
      expect((await next.done).at(-1)).toEqual(['end', []])
      // Before anything was written, and after everything was read, the connection lives on. undici 7 opens another
      // one as soon as one was lost.
      if (callback === 'start' || callback === 'end') expect(peers).toHaveLength(1)
      else if (name === 'RecyclingAgent') expect(peers).toHaveLength(2)
      expect(peers[0]!.requests.map(({ head }) => head.split(' ')[1])).toEqual(
        { start: ['/next'], end: ['/', '/next'], head: ['/'], data: ['/'] }[callback],
      )
    },
  )

  if (tellsWhatWasSent) {
    it.each(['bodySent', 'requestSent'] as const)('aborts for what the %s callback throws', async (callback) => {
      const { origin, peers } = await rawServer(() => {})
      const thrown = new Error(`thrown in ${callback}`)
      const recorded = recording(style, {
        [callback]() {
          throw thrown
        },
      })
      make().dispatch({ origin, path: '/', method: 'POST', body: 'sent' }, recorded.handler)
      // undici goes on to tell that the request was sent.
      expect(await recorded.done).toContainEqual(['error', 'Error', undefined, thrown.message])
      expect(recorded.error).toBe(thrown)
      await peers[0]?.ended()
    })
  }

  it.each(['start', 'head', 'data'] as const)('aborts in the %s callback with the reason given', async (callback) => {
    const { origin } = await rawServer(answering(ok('x'.repeat(1000))))
    const reason = new Error('no longer wanted')
    const { handler, done, ...recorded } = recording(style, {
      [callback](flow: { abort(reason: Error): void }) {
        flow.abort(reason)
        flow.abort(new Error('second'))
      },
    })
    make().dispatch({ origin, path: '/', method: 'GET' }, handler)
    const events = await done
    await new Promise((resolve) => setImmediate(resolve))
    expect(events.filter(([event]) => event === 'error')).toEqual([['error', 'Error', undefined, 'no longer wanted']])
    expect(events.at(-1)?.[0]).toBe('error')
    expect(recorded.events).toBe(events)
  })

  it('gives RequestAbortedError for an abort without a reason, and ignores one after the end', async () => {
    const { origin } = await rawServer(answering(ok()))
    const agent = make()
    const aborted = recording(style, { start: (flow) => flow.abort() })
    agent.dispatch({ origin, path: '/', method: 'GET' }, aborted.handler)
    expect(await aborted.done).toEqual([
      ['start'],
      ['error', 'RequestAbortedError', 'UND_ERR_ABORTED', 'Request aborted'],
    ])
    const complete = recording(style, { end: (flow) => queueMicrotask(() => flow.abort()) })
    agent.dispatch({ origin, path: '/', method: 'GET' }, complete.handler)
    const events = await complete.done
    await new Promise((resolve) => setImmediate(resolve))
    expect(events.at(-1)).toEqual(['end', []])
  })
})
