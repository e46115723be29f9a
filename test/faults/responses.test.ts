/** Every response of the table: what is made of it, next to what undici makes of the very same bytes. */
import { describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { arms, type Behaviour, type Laboratory, laboratory } from '../support/laboratory.js'
import { connectInMemory } from '../support/memory-connection.js'
import { inWords, type Outcome, outcomeOf } from '../support/outcomes.js'
import { randomOf, seedOf } from '../support/random.js'
import { undici7 } from '../support/undicis.js'
import { type More, type ResponseCase, responseCases } from './response-cases.js'

const seed = seedOf('responses')
const next = randomOf(seed)

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')

function splitAtRandom(bytes: Buffer): Buffer[] {
  const pieces = []
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + next(Math.min(40, bytes.length - at))
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

type Kind = 'ours' | 'undici'

/** The outcomes of all requests over a connection without a kernel. */
async function inMemory(
  kind: Kind,
  pieces: Buffer[],
  { requests = 1, request }: More = {},
  pauses = false,
): Promise<Outcome[]> {
  const connect = connectInMemory({ requests, pieces, ending: 'FIN' }) as never
  const options = { connections: 1, pipelining: requests, connect }
  // There is no second connection to send a request to once more.
  const dispatcher =
    kind === 'ours' ? new RecyclingAgent({ ...options, retryStale: false }) : new undici7.Agent(options)
  const asked = { origin: 'http://peer.test', blocking: false, ...request }
  const outcomes = await Promise.all(Array.from({ length: requests }, () => outcomeOf(dispatcher, asked, pauses)))
  await dispatcher.destroy()
  return outcomes
}

const sentence = (outcomes: Outcome[]): string => outcomes.map(inWords).join(' | ')

/** undici gives the last read's part of a reason phrase. */
const withoutReason = (outcomes: Outcome[]): Outcome[] =>
  outcomes.map((outcome) => ({ ...outcome, head: outcome.head?.toSpliced(1, 1) ?? null }))

/** Answers one request with the bytes, and closes. */
const saying =
  (text: string): Behaviour =>
  async (peer) => {
    await peer.request()
    peer.socket.end(text, 'latin1')
  }

/** What a request meets on a connection of the kernel's; for responses to one request. */
async function overSocket(peer: Laboratory, agent: RecyclingAgent, text: string, more: More = {}): Promise<string> {
  return inWords(await peer.meet(agent, saying(text), more.request))
}

describe.each(responseCases)('%s', (_group, cases: ResponseCase[]) => {
  it.each(cases)('%s', async (_what, text, answer, more) => {
    const bytes = bytesOf(text)
    const whole = await inMemory('ours', [bytes], more)
    expect(sentence(whole)).toBe(answer)
    const theirs = await inMemory('undici', [bytes], more)
    expect(sentence(theirs)).toBe(more?.undici ?? answer)
    if (more?.undici === undefined) expect(whole).toEqual(theirs)
    const apart = Array.from(bytes, (byte) => Buffer.of(byte))
    expect(await inMemory('ours', apart, more)).toEqual(whole)
    expect(await inMemory('ours', splitAtRandom(bytes), more)).toEqual(whole)
    expect(await inMemory('ours', [bytes], more, true)).toEqual(whole)
    expect(await inMemory('ours', splitAtRandom(bytes), more, true)).toEqual(whole)
    if (more?.undici === undefined) {
      expect(withoutReason(await inMemory('undici', apart, more))).toEqual(withoutReason(whole))
    }
  })

  it.each(arms)('over %s sockets, with nothing left behind', async (_name, options) => {
    const peer = await laboratory()
    const agent = peer.agent(options)
    for (const [what, text, answer, more] of cases) {
      if ((more?.requests ?? 1) > 1) continue
      expect([what, await overSocket(peer, agent, text, more)]).toEqual([what, answer])
      await peer.expectRecovered(agent)
    }
  })
})
