/** A peer that never comes to an end, at once or drop by drop: what bounds it, and that nothing piles up meanwhile. */
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { usedHeap } from '../support/heap.js'
import { arms, type Behaviour, type Laboratory, laboratory } from '../support/laboratory.js'
import { inWords } from '../support/outcomes.js'
import type { RawPeer } from '../support/raw-server.js'

const HEAD = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n'
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const MiB = 1 << 20

/** Says `start`, then `more` for as long as anybody reads. */
const withoutEnd =
  (start: string, more: string): Behaviour =>
  async (peer) => {
    await peer.request()
    peer.write(start)
    const piece = Buffer.from(more.repeat(Math.ceil((1 << 16) / more.length)), 'latin1')
    const send = (): void => {
      while (!peer.socket.destroyed && peer.socket.write(piece));
    }
    peer.socket.on('drain', send)
    send()
  }

/** Says `start`, then a drop of `more` every 20 ms: for ever, or so many and then `end` and FIN. */
interface Drip {
  what: string
  start: string
  more: string
  drops?: number
  end?: string
  answer: string
}

async function drip(peer: RawPeer, { start, more, drops = Number.POSITIVE_INFINITY, end = '' }: Drip): Promise<void> {
  peer.write(start)
  for (let i = 0; i < drops && !peer.socket.destroyed; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    peer.write(more)
  }
  peer.socket.end(end)
}

/** Reads up to `limit` events of one kind, and aborts; what the heap has grown by in the second half. */
function growthWhile(peer: Laboratory, agent: RecyclingAgent, limit: number): Promise<number> {
  let [count, half] = [0, 0]
  return new Promise((resolve) => {
    const see = (controller: Dispatcher.DispatchController): void => {
      count++
      if (count === limit / 2) half = usedHeap()
      if (count !== limit) return
      resolve(usedHeap() - half)
      controller.abort(new Error('enough'))
    }
    agent.dispatch(
      { origin: peer.origin, path: '/', method: 'GET' },
      {
        onRequestStart() {},
        onResponseStart: (controller, status) => status < 200 && see(controller),
        onResponseData: see,
        onResponseEnd: () => expect.unreachable(),
        onResponseError() {},
      },
    )
  })
}

describe.each(arms)('%s', (_name, options) => {
  it.each<[what: string, behaviour: Behaviour, answer: string]>([
    ['fields', withoutEnd(HEAD, 'name: value\r\n'), '! Headers Overflow Error'],
    ['fields of no length', withoutEnd(HEAD, 'a:\r\n'), '! Headers Overflow Error'],
    ['field name', withoutEnd(HEAD, 'n'), '! Headers Overflow Error'],
    ['field value', withoutEnd(`${HEAD}name:`, 'v'), '! Headers Overflow Error'],
    ['run of blanks before a field value', withoutEnd(`${HEAD}name:`, ' '), '! Headers Overflow Error'],
    ['reason phrase', withoutEnd('HTTP/1.1 200 ', 'x'), '! Headers Overflow Error'],
    ['run of empty lines', withoutEnd('', '\r\n'), '! Headers Overflow Error'],
    [
      'trailer section',
      withoutEnd(`${CHUNKED}2\r\nok\r\n0\r\n`, 'name: value\r\n'),
      '200 "ok" ! Headers Overflow Error',
    ],
    ['Content-Length', withoutEnd(`${HEAD}content-length: 0`, '0'), '! Headers Overflow Error'],
    ['chunk size', withoutEnd(`${CHUNKED}1`, '0'), '200 ! Chunk size overflow'],
    ['close-delimited body', withoutEnd(`${HEAD}\r\n`, 'x'), '200 ! Response content exceeded max size'],
    ['series of chunks', withoutEnd(CHUNKED, '1\r\nx\r\n'), '200 ! Response content exceeded max size'],
  ])('an endless %s is refused', async (_what, behaviour, answer) => {
    const peer = await laboratory()
    const agent = peer.agent({ ...options, maxResponseSize: MiB })
    const outcome = await peer.meet(agent, behaviour)
    expect(inWords({ ...outcome, body: outcome.body.length > 2 ? '' : outcome.body })).toBe(answer)
    await peer.expectRecovered(agent)
  })

  it('an endless series of 100, which are no sign of life, is bounded by headersTimeout', async () => {
    const peer = await laboratory()
    const agent = peer.agent({ ...options, headersTimeout: 150 })
    expect(inWords(await peer.meet(agent, withoutEnd('', CONTINUE)))).toBe('! Headers Timeout Error')
    await peer.expectRecovered(agent)
  })

  it.each([
    ['an endless series of 1xx', withoutEnd('', HINTS), 40_000],
    ['an endless body', withoutEnd(`${HEAD}\r\n`, 'x'), 1000],
    ['an endless series of chunks', withoutEnd(CHUNKED, '4\r\nbody\r\n'), 40_000],
  ])('%s leaves nothing behind in memory', async (_what, behaviour, limit) => {
    const peer = await laboratory()
    const agent = peer.agent(options)
    peer.behaviour = behaviour
    expect(await growthWhile(peer, agent, limit)).toBeLessThan(2 * MiB)
    await peer.expectRecovered(agent)
  })
})

describe('drop by drop', () => {
  const headersTimeout = '! Headers Timeout Error'
  const bodyTimeout = '! Body Timeout Error'
  const bounded: Drip[] = [
    { what: 'a head', start: `${HEAD}name: `, more: 'v', answer: headersTimeout },
    { what: 'empty lines', start: '', more: '\r\n', answer: headersTimeout },
    { what: 'nothing', start: '', more: '', answer: headersTimeout },
    { what: 'nothing behind a 1xx', start: HINTS, more: '', answer: `103 ${headersTimeout}` },
    { what: 'a chunk size', start: `${CHUNKED}0`, more: '0', answer: `200 ${bodyTimeout}` },
    { what: 'a chunk extension', start: `${CHUNKED}1;`, more: 'a', answer: `200 ${bodyTimeout}` },
    { what: 'trailers', start: `${CHUNKED}2\r\nok\r\n0\r\na: `, more: 'b', answer: `200 "ok" ${bodyTimeout}` },
    { what: 'half a body', start: `${HEAD}content-length: 4\r\n\r\nbo`, more: '', answer: `200 "bo" ${bodyTimeout}` },
  ]
  const body = 'x'.repeat(30)
  /** Each drop is a sign of life: they last longer than any timeout. */
  const living: Drip[] = [
    {
      what: '1xx heads',
      start: '',
      more: 'HTTP/1.1 103 X\r\n\r\n',
      drops: 30,
      end: `${HEAD}content-length: 0\r\n\r\n`,
      answer: `${'103 '.repeat(30)}200 end`,
    },
    { what: 'a body', start: `${HEAD}content-length: 30\r\n\r\n`, more: 'x', drops: 30, answer: `200 "${body}" end` },
    { what: 'chunks', start: CHUNKED, more: '1\r\nx\r\n', drops: 30, end: '0\r\n\r\n', answer: `200 "${body}" end` },
  ]
  const timeouts = { headersTimeout: 150, bodyTimeout: 150 }

  /** All at the same time, for time is what it is about. */
  async function answers(peer: Laboratory, dispatcher: Dispatcher, drips: Drip[]): Promise<string[][]> {
    const behaviour: Behaviour = async (connection) => {
      const { head } = (await connection.request())!
      await drip(connection, drips[Number(/ \/(\d+) /.exec(head)![1])]!)
    }
    const all = drips.map(async ({ what }, i) => [
      what,
      inWords(await peer.meet(dispatcher, behaviour, { path: `/${i}` })),
    ])
    return Promise.all(all)
  }

  it.each(arms)('what is no progress is bounded by the timeouts, as with undici: %s', async (_name, options) => {
    const peer = await laboratory()
    const agent = peer.agent({ ...options, ...timeouts })
    const expected = bounded.map(({ what, answer }) => [what, answer])
    const ours = answers(peer, agent, bounded)
    const theirs = answers(peer, peer.reference(timeouts), bounded)
    expect(await ours).toEqual(expected)
    expect(await theirs).toEqual(expected)
    await peer.expectRecovered(agent)
  })

  it.each(arms)('what is progress may last: %s', async (_name, options) => {
    const peer = await laboratory()
    const agent = peer.agent({ ...options, headersTimeout: 400, bodyTimeout: 400 })
    expect(await answers(peer, agent, living)).toEqual(living.map(({ what, answer }) => [what, answer]))
    await peer.expectRecovered(agent)
  })
})
