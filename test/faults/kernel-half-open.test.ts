/** Peers that are cut off in the middle of something, of which nobody tells: half-open connections (RFC 9293 3.5.1). */
import { setTimeout as after } from 'node:timers/promises'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RecyclingAgent, RecyclingAgentOptions } from '../../src/index.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { arms, type Behaviour, type Laboratory, laboratory } from '../support/laboratory.js'
import { deleteNamespaces, Link, whyNoNamespaces } from '../support/namespaces.js'
import { type GetOptions, type Outcome, outcomeOf } from '../support/outcomes.js'
import { answering, ok } from '../support/raw-server.js'

expectNoDescriptorLeft()
afterAll(deleteNamespaces)

const MINUTE_MS = 60_000
const headersTimeout = ['HeadersTimeoutError', 'UND_ERR_HEADERS_TIMEOUT', 'Headers Timeout Error']
const bodyTimeout = ['BodyTimeoutError', 'UND_ERR_BODY_TIMEOUT', 'Body Timeout Error']

/** More than the buffers of both ends hold. */
const LARGE = Buffer.alloc(32 << 20, 'x')

const keepAlive = answering(ok('kept'))

describe.runIf(isTried(whyNoNamespaces)).each(arms)('a peer that is cut off (%s)', (_name, options) => {
  let link: Link

  beforeEach(() => {
    link = new Link()
  })

  /** Runs with a peer at the other end of the link. */
  async function withPeer(
    { more = {}, behaviour = keepAlive }: { more?: RecyclingAgentOptions; behaviour?: Behaviour },
    run: (lab: Laboratory, agent: RecyclingAgent) => Promise<void>,
  ): Promise<void> {
    const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
    lab.behaviour = behaviour
    await link.client.enter(() => run(lab, lab.agent({ ...options, ...more })))
  }

  const send = (lab: Laboratory, agent: RecyclingAgent, request: Partial<GetOptions> = {}): Promise<Outcome> =>
    outcomeOf(agent, { origin: lab.origin, ...request })

  async function expectServesOn(lab: Laboratory, agent: RecyclingAgent): Promise<void> {
    await link.mend()
    await lab.expectRecovered(agent)
  }

  it('before its answer: HeadersTimeoutError', async () => {
    const cutOff: Behaviour = async (peer) => {
      await peer.request()
      link.cut()
      peer.write(ok())
    }
    await withPeer({ more: { headersTimeout: 200 }, behaviour: cutOff }, async (lab, agent) => {
      expect((await send(lab, agent)).end).toEqual(headersTimeout)
      await expectServesOn(lab, agent)
    })
  })

  it.each([
    ['of known length', 'content-length: 8\r\n\r\nhalf'],
    ['in chunks', 'transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['until the end of the connection', '\r\nhalf'],
  ])('in the middle of a response %s: BodyTimeoutError', async (_kind, half) => {
    const answerHalf: Behaviour = async (peer) => {
      await peer.request()
      peer.write(`HTTP/1.1 200 OK\r\n${half}`)
    }
    await withPeer({ more: { bodyTimeout: 500 }, behaviour: answerHalf }, async (lab, agent) => {
      const outcome = outcomeOf(agent, { origin: lab.origin })
      const peer = await lab.peerAfter(0)
      await vi.waitFor(() => expect(peer.requests).toHaveLength(1))
      // The half is on the wire as soon as it was written, within a turn.
      await after(20)
      link.cut()
      peer.write('half')
      expect(await outcome).toMatchObject({ body: 'half', end: bodyTimeout })
      await expectServesOn(lab, agent)
    })
  })

  it('in the middle of an upload: HeadersTimeoutError, and its source is ended', async () => {
    await withPeer({ more: { headersTimeout: 500 }, behaviour: () => {} }, async (lab, agent) => {
      let isEnded = false
      async function* source(): AsyncGenerator<Buffer> {
        try {
          for (;;) yield LARGE.subarray(0, 65_536)
        } finally {
          isEnded = true
        }
      }
      const outcomes = [
        send(lab, agent, { method: 'PUT', body: LARGE }),
        send(lab, agent, { method: 'PUT', body: source() as never }),
      ]
      await lab.peerAfter(1)
      link.cut()
      for (const outcome of await Promise.all(outcomes)) expect(outcome.end).toEqual(headersTimeout)
      expect(isEnded).toBe(true)
      await expectServesOn(lab, agent)
    })
  })

  it('while its connection is idle: the next request fails with HeadersTimeoutError, the one after it is served', async () => {
    await withPeer({ more: { headersTimeout: 200, keepAliveTimeout: MINUTE_MS } }, async (lab, agent) => {
      expect(await get(agent, lab.origin)).toBe('kept')
      link.cut()
      expect((await send(lab, agent)).end).toEqual(headersTimeout)
      expect(lab.peers).toHaveLength(1)
      await expectServesOn(lab, agent)
    })
  })

  it('while it is connected to: ConnectTimeoutError', async () => {
    await withPeer({ more: { connectTimeout: 300 } }, async (lab, agent) => {
      link.cut()
      expect((await send(lab, agent)).end.slice(0, 2)).toEqual(['ConnectTimeoutError', 'UND_ERR_CONNECT_TIMEOUT'])
      await expectServesOn(lab, agent)
    })
  })

  it('comes back in time: nobody notices', async () => {
    await withPeer({ more: { headersTimeout: MINUTE_MS } }, async (lab, agent) => {
      expect(await get(agent, lab.origin)).toBe('kept')
      link.cut()
      const outcome = send(lab, agent)
      await after(300)
      await link.mend()
      expect(await outcome).toMatchObject({ body: 'kept', end: ['complete'] })
      expect(lab.peers).toHaveLength(1)
    })
  })

  it('holds up neither destroy() nor close()', async () => {
    const once: Behaviour = async (peer) => {
      await peer.request()
      peer.write(ok('kept'))
    }
    for (const end of ['destroy', 'close'] as const) {
      const lab = await link.server.enter(() => laboratory({ host: link.serverAddress }))
      lab.behaviour = once
      await link.client.enter(async () => {
        const agent = lab.agent({ ...options, headersTimeout: 500, keepAliveTimeout: MINUTE_MS })
        await Promise.all([1, 2, 3].map(() => get(agent, lab.origin)))
        expect(lab.peers).toHaveLength(3)
        // One that waits for its answer, one that uploads, and the third is idle.
        const outcomes = [send(lab, agent), send(lab, agent, { method: 'PUT', body: LARGE })]
        await vi.waitFor(() => expect(lab.peers.filter(({ pending }) => pending !== '')).toHaveLength(2))
        link.cut()
        const endedAt = performance.now()
        await agent[end]()
        // The kernel's own patience lasts for minutes.
        expect(performance.now() - endedAt).toBeLessThan(10_000)
        const codes = (await Promise.all(outcomes)).map((outcome) => outcome.end[1])
        const code = end === 'destroy' ? 'UND_ERR_DESTROYED' : 'UND_ERR_HEADERS_TIMEOUT'
        expect(codes).toEqual([code, code])
        // Behind close() the FIN of the third is still awaited, for a second.
        if (end === 'close') await quiet(agent)
        expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
        await link.mend()
      })
    }
  })
})
