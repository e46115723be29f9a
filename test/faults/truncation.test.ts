/** A connection that ends at every byte of a response, by FIN and by RST: what the caller hears is what undici says. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { arms, type Behaviour, type Laboratory, laboratory } from '../support/laboratory.js'
import type { GetOptions, Outcome } from '../support/outcomes.js'
import { type SelfSigned, selfSigned } from '../support/self-signed.js'

/** A reset comes when the bytes before it were read, or together with them. */
type Ending = 'FIN' | 'FIN without close_notify' | 'RST' | 'RST at once'

/** All sockets of this process have been read from when the loop has gone round. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Reads the request, says `text` and ends the connection. */
const saying =
  (text: string, ending: Ending): Behaviour =>
  async (peer) => {
    await peer.request()
    if (ending === 'FIN') return peer.socket.end(text, 'latin1')
    if (text !== '') await new Promise((resolve) => peer.socket.write(text, 'latin1', resolve))
    if (ending === 'FIN without close_notify') return peer.tcp.end()
    if (ending === 'RST') for (let i = 0; i < 3; i++) await turn()
    return peer.tcp.resetAndDestroy()
  }

const responses: [what: string, text: string, options?: Partial<GetOptions>][] = [
  ['a body of known length', 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody'],
  ['a body of known length that closes', 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody'],
  ['chunks', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\nbod\r\n1\r\ny\r\n0;c\r\nsum: 6\r\n\r\n'],
  [
    'chunks that close',
    'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\na: b\r\n\r\n',
  ],
  ['chunks of HTTP/1.0', 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n'],
  ['a close-delimited body', 'HTTP/1.1 200 OK\r\na: b\r\n\r\nbody\r\n'],
  ['a body of an unknown coding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nbody'],
  ['a 1xx and no body', 'HTTP/1.1 103 Hints\r\na: b\r\n\r\nHTTP/1.1 204 No\r\n\r\n'],
  ['no body for HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n', { method: 'HEAD' }],
]

/** Only a complete message, or a body that the end of its connection delimits, is one for the caller. */
function isComplete(text: string, length: number): boolean {
  if (length === text.length) return true
  const isCloseDelimited = !/content-length|chunked|204/.test(text)
  return isCloseDelimited && text.slice(0, length).includes('\r\n\r\n')
}

interface Cuts {
  text: string
  ending: Ending
  /** @default 1 */
  step?: number
  request?: Partial<GetOptions> | undefined
}

/** What comes of the response cut short, by the number of bytes that are left of it. */
async function outcomes(
  peer: Laboratory,
  dispatcher: ReturnType<Laboratory['reference']>,
  { text, ending, step = 1, request }: Cuts,
): Promise<Outcome[]> {
  const all: Outcome[] = []
  for (let length = 0; length <= text.length; length += step) {
    all.push(await peer.meet(dispatcher, saying(text.slice(0, length), ending), request))
  }
  return all
}

describe.each<Ending>(['FIN', 'RST'])('%s', (ending) => {
  it.each(responses)('at every byte of %s', async (_what, text, request) => {
    const peer = await laboratory()
    const theirs = await outcomes(peer, peer.reference(), { text, ending, request })
    for (const [, options] of arms) {
      const agent = peer.agent(options)
      const ours = await outcomes(peer, agent, { text, ending, request })
      expect(ours).toEqual(theirs)
      expect(ours.map(({ end }) => end[0] === 'complete')).toEqual(ours.map((_, length) => isComplete(text, length)))
      await peer.expectRecovered(agent)
    }
  })
})

describe('RST together with the bytes before it', () => {
  it.each(responses)('within %s', async (_what, text, request) => {
    const peer = await laboratory()
    const together = { text, ending: 'RST at once', step: 3, request } as const
    for (const [name, options] of arms) {
      const agent = peer.agent(options)
      const ours = await outcomes(peer, agent, together)
      // libuv takes bytes and a reset that it finds together for bytes and FIN; descriptors of our own tell the truth.
      const apart = await (name === 'native'
        ? outcomes(peer, agent, { ...together, ending: 'RST' })
        : outcomes(peer, peer.reference(), together))
      expect(ours).toEqual(apart)
      for (const [i, { end }] of ours.entries()) expect(end[0] === 'complete').toBe(isComplete(text, i * 3))
      await peer.expectRecovered(agent)
    }
  })
})

describe.each(arms)('TLS, %s', (_name, options: RecyclingAgentOptions) => {
  let secure: SelfSigned
  beforeAll(async () => {
    secure = await selfSigned()
  })

  it.each<Ending>(['FIN', 'FIN without close_notify', 'RST'])('%s at some bytes', async (ending) => {
    const peer = await laboratory({ secure })
    const connect = { rejectUnauthorized: false }
    const [agent, undici] = [peer.agent({ ...options, connect }), peer.reference({ connect })]
    for (const [, text] of [responses[1]!, responses[2]!, responses[5]!]) {
      const cuts = { text, ending, step: 8 }
      const ours = await outcomes(peer, agent, cuts)
      expect(ours).toEqual(await outcomes(peer, undici, cuts))
      for (const [i, { end }] of ours.entries()) expect(end[0] === 'complete').toBe(isComplete(text, i * 8))
    }
    await peer.expectRecovered(agent)
  })
})
