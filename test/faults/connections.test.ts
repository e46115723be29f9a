/** A peer that ends, stains or stalls connections: before a request, between two, and while a body is on its way up. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { arms, type Behaviour, behaveWell, type Laboratory, laboratory } from '../support/laboratory.js'
import { type Outcome, outcomeOf } from '../support/outcomes.js'
import { answering, ok, type RawPeer } from '../support/raw-server.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** What is due to reach the caller of every request here. */
const FINE = { body: 'fine', end: ['complete'] }
const POISON = `HTTP/1.1 200 OK\r\nx: poison\r\ncontent-length: 6\r\n\r\npoison`

/** An agent whose first request was answered, and whose connection idles. */
async function idling(peer: Laboratory, agent: Dispatcher): Promise<RawPeer> {
  expect(await peer.meet(agent, answering(ok('fine')))).toMatchObject(FINE)
  await turn()
  return peer.peers.at(-1)!
}

describe.each(arms)('%s', (name, options) => {
  describe('on an idle connection', () => {
    const disturbances: [what: string, disturb: (peer: RawPeer) => unknown][] = [
      ['FIN', (peer) => peer.socket.end()],
      ['RST', (peer) => peer.socket.resetAndDestroy()],
      ['a stray byte', (peer) => peer.write('x')],
      ['a second response', (peer) => peer.write(POISON)],
      ['a second response, and FIN', (peer) => peer.socket.end(POISON)],
      ['the beginning of a response', (peer) => peer.write('HTTP/1.1 200 OK\r\nx: poison\r\n')],
      ['a 1xx', (peer) => peer.write('HTTP/1.1 103 Early Hints\r\n\r\n')],
      ['100 KiB of responses', (peer) => peer.write(POISON.repeat(2000))],
    ]

    it.each(disturbances)('%s ends it, in peace', async (_what, disturb) => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const idle = await idling(peer, agent)
      const disconnected = once(agent, 'disconnect')
      disturb(idle)
      await disconnected
      await peer.expectRecovered(agent)
    })

    it.each(disturbances)('%s in the very turn in which it is handed out meets no request', async (_what, disturb) => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const idle = await idling(peer, agent)
      peer.behaviour = behaveWell
      // On loopback it is there when the call returns; nobody has looked for it yet.
      disturb(idle)
      expect(await outcomeOf(agent, { origin: peer.origin })).toMatchObject(FINE)
      expect(idle.requests).toHaveLength(1)
      await peer.expectRecovered(agent)
    })

    it.each([
      ['while it idles', turn],
      ['in the very turn in which it is handed out', () => undefined],
    ])('an empty line %s is read over, as undici reads over it', async (_when, wait) => {
      const peer = await laboratory()
      for (const agent of [peer.agent(options), peer.reference()]) {
        const idle = await idling(peer, agent)
        peer.behaviour = behaveWell
        idle.write('\r\n')
        await wait()
        expect(await outcomeOf(agent, { origin: peer.origin })).toMatchObject(FINE)
        expect(idle.requests).toHaveLength(2)
      }
    })
  })

  describe('behind a response, in the same segment', () => {
    const moments: [when: string, later: (send: () => void) => unknown][] = [
      ['within the end callback', (send) => send()],
      ['in a microtask', (send) => queueMicrotask(send)],
      ['in the next tick', (send) => process.nextTick(send)],
      ['in the next turn', (send) => setImmediate(send)],
    ]
    const extras: [what: string, extra: string][] = [
      ['another response', POISON],
      ['another response and its successor', POISON.repeat(2)],
      ['a piece of a response', 'HTTP/1.1 200 OK\r\nx:'],
      ['a byte', 'x'],
    ]

    it.each(extras.flatMap(([what, extra]) => moments.map(([when, later]) => [what, when, extra, later] as const)))(
      '%s does not answer a request that is sent %s',
      async (_what, _when, extra, later) => {
        const peer = await laboratory()
        const agent = peer.agent(options)
        peer.behaviour = async (connection: RawPeer) => {
          await connection.request()
          connection.write(ok('fine') + extra)
          peer.behaviour = behaveWell
        }
        const second = new Promise<Outcome>((resolve) => {
          agent.dispatch(
            { origin: peer.origin, path: '/', method: 'GET' },
            {
              onRequestStart() {},
              onResponseStart() {},
              onResponseData() {},
              onResponseEnd: () => later(() => resolve(outcomeOf(agent, { origin: peer.origin }))),
              onResponseError: (_controller, error) => expect.unreachable(String(error)),
            },
          )
        })
        expect(await second).toMatchObject(FINE)
        await peer.expectRecovered(agent)
      },
    )
  })

  describe('before the request', () => {
    it.each<[what: string, behaviour: Behaviour, codes: unknown[]]>([
      ['FIN', (connection) => connection.socket.end(), ['UND_ERR_SOCKET']],
      ['RST', (connection) => connection.socket.resetAndDestroy(), ['ECONNRESET', 'EPIPE']],
    ])('%s is what the request fails with', async (_what, behaviour, codes) => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const { head, end } = await peer.meet(agent, behaviour)
      expect(head).toBeNull()
      expect(codes).toContain(end[1])
      await peer.expectRecovered(agent)
    })

    it('a response is taken for its answer, as undici takes it, and what answers it then ends the connection', async () => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const speakingFirst: Behaviour = async (connection) => {
        connection.write(ok('first'))
        await connection.request()
        connection.write(ok('second'))
      }
      const disconnected = once(agent, 'disconnect')
      const ours = await peer.meet(agent, speakingFirst)
      expect(ours).toEqual(await peer.meet(peer.reference(), speakingFirst))
      expect(ours).toMatchObject({ body: 'first', end: ['complete'] })
      const [, , error] = await disconnected
      expect(error).toMatchObject({ code: 'UND_ERR_SOCKET', message: 'bad response' })
      await peer.expectRecovered(agent)
    })

    it('a response is thrown away with the connection when no request was written', async () => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      peer.behaviour = (connection) => connection.write(POISON)
      const disconnected = once(agent, 'disconnect')
      const failed = new Promise((resolve) => {
        agent.dispatch(
          { origin: peer.origin, path: '/', method: 'GET' },
          {
            onRequestStart: (controller) => controller.abort(new Error('no more')),
            onResponseError: (_controller, error) => resolve(error),
          },
        )
      })
      await failed
      await disconnected
      await peer.expectRecovered(agent)
    })
  })

  describe('during an upload', () => {
    const MiB = 1 << 20
    /** Yields for ever, and knows how often and that it was asked to return. */
    function endless(): { body: Readable; pulled(): number; isOver(): boolean } {
      let [pulled, isOver] = [0, false]
      async function* chunks(): AsyncGenerator<Buffer> {
        try {
          for (;;) {
            pulled++
            yield Buffer.alloc(1 << 16)
          }
        } finally {
          isOver = true
        }
      }
      return { body: chunks() as unknown as Readable, pulled: () => pulled, isOver: () => isOver }
    }
    const bodies: [what: string, make: () => Buffer | Readable][] = [
      ['bytes', () => Buffer.alloc(8 * MiB)],
      ['a stream', () => Readable.from([Buffer.alloc(4 * MiB), Buffer.alloc(4 * MiB)])],
      ['an iterable', () => endless().body],
    ]

    it.each(bodies)('RST ends a request of %s with an error that retries know', async (_what, make) => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const behaviour: Behaviour = async (connection) => {
        await connection.received(/\r\n\r\n/)
        connection.socket.resetAndDestroy()
      }
      const { head, end } = await peer.meet(agent, behaviour, { method: 'POST', body: make() })
      expect(head).toBeNull()
      expect(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']).toContain(end[1])
      await peer.expectRecovered(agent)
    })

    it.each(bodies)('an answer to %s counts, whatever becomes of the rest', async (_what, make) => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const behaviour: Behaviour = async (connection) => {
        await connection.received(/\r\n\r\n/)
        connection.socket.pause()
        connection.write('HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nmuch')
      }
      const outcome = await peer.meet(agent, behaviour, { method: 'POST', body: make() })
      expect(outcome).toMatchObject({
        head: [413, 'Too Large', 'content-length', '4'],
        body: 'much',
        end: ['complete'],
      })
      // It is for the peer to end a connection on which it has not read everything.
      peer.peers.at(-1)!.socket.destroy()
      await peer.expectRecovered(agent)
    })

    it('an answer right before RST is heard where the kernel has it', async () => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const behaviour: Behaviour = async (connection) => {
        await connection.received(/\r\n\r\n/)
        const answer = 'HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 4\r\n\r\nmuch'
        connection.socket.write(answer, () => connection.socket.resetAndDestroy())
      }
      const outcome = await peer.meet(agent, behaviour, { method: 'POST', body: Buffer.alloc(8 * MiB) })
      if (outcome.head === null) expect(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']).toContain(outcome.end[1])
      else expect(outcome).toMatchObject({ body: 'much', end: ['complete'] })
      await peer.expectRecovered(agent)
    })

    it('a peer that stops reading stops the source, until headersTimeout', async () => {
      const peer = await laboratory({ pauseOnConnect: true })
      const agent = peer.agent({ ...options, headersTimeout: 200 })
      const source = endless()
      const { end } = await peer.meet(agent, () => {}, { method: 'POST', body: source.body })
      expect(end).toEqual(['HeadersTimeoutError', 'UND_ERR_HEADERS_TIMEOUT', 'Headers Timeout Error'])
      // As much as the kernel's buffers of both ends take: they grow up to tcp_wmem and tcp_rmem.
      expect(source.pulled()).toBeLessThan(1000)
      while (!source.isOver()) await turn()
      for (const { socket } of peer.peers) socket.destroy()
    })
  })

  describe('that says close', () => {
    it('and goes on to send costs a descriptor, and nothing else', async () => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const flooding: Behaviour = async (connection) => {
        await connection.request()
        connection.write(ok('fine', 'connection: close\r\n'))
        const flood = 'x'.repeat(1 << 16)
        const send = (): void => {
          while (!connection.socket.destroyed && connection.socket.write(flood));
        }
        connection.socket.on('drain', send)
        send()
      }
      expect(await peer.meet(agent, flooding)).toMatchObject(FINE)
      expect(agent.stats).toEqual({})
      await peer.expectRecovered(agent)
    })

    it('and does not is given time, and then reset', async () => {
      const peer = await laboratory()
      const agent = peer.agent(options)
      const staying: Behaviour = async (connection) => {
        connection.socket.removeAllListeners('end')
        await connection.request()
        connection.write(ok('fine', 'connection: close\r\n'))
      }
      expect(await peer.meet(agent, staying)).toMatchObject(FINE)
      expect(agent.stats).toEqual({})
      const [silent] = peer.peers
      expect(await peer.meet(agent, behaveWell)).toMatchObject(FINE)
      await peer.expectRecovered(agent)
      if (name === 'native') expect(agent.stats.sockets.aborted).toBe(1)
      silent!.socket.destroy()
    })
  })
})
