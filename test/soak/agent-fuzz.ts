/** Responses by chance, met by agents: next to undici over connections in memory, and over sockets of the kernel's. */
import { deepEqual, equal, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { RecyclingAgent } from '../../src/index.js'
import { quiet } from '../support/exchange.js'
import { connectInMemory } from '../support/memory-connection.js'
import { type GetOptions, type Outcome, outcomeOf } from '../support/outcomes.js'
import type { Random } from '../support/random.js'
import { undici7 } from '../support/undicis.js'
import { randomPieces, randomResponse } from './random-responses.js'

/** What a request may fail with, whatever a peer sends. */
const DOCUMENTED: ReadonlySet<unknown> = new Set([
  'HTTPParserError',
  'SocketError',
  'ResponseContentLengthMismatchError',
  'HeadersOverflowError',
])
const HANG_MS = 5000

const isFailure = ({ end }: Outcome): boolean => end[0] !== 'complete' && end[0] !== 'upgrade'

function assertDocumented({ end }: Outcome, isOverSocket: boolean): void {
  const isTold = DOCUMENTED.has(end[0]) || end[0] === 'complete' || end[0] === 'upgrade'
  const isReset = isOverSocket && end[1] === 'ECONNRESET'
  // connectInMemory makes no second connection, which requests behind a failed one ask for.
  ok(isTold || isReset || end[2] === 'no second connection', String(end))
}

async function inTime<T>(promise: Promise<T>, who: string): Promise<T> {
  let timer: NodeJS.Timeout
  const hang = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${who} hangs`)), HANG_MS)
  })
  return Promise.race([promise, hang]).finally(() => clearTimeout(timer))
}

interface Asked {
  requests: number
  options: Omit<GetOptions, 'origin'>
}

const KINDS: readonly Asked['options'][] = [
  { method: 'GET' },
  { method: 'GET' },
  { method: 'HEAD', reset: false },
  { method: 'POST', idempotent: true },
  { method: 'CONNECT', path: 'x.test:80' },
  { method: 'GET', upgrade: 'websocket' },
]

function ask(next: Random): Asked {
  const requests = 1 + next(3)
  return { requests, options: KINDS[next(requests > 1 ? 4 : KINDS.length)]! }
}

const announcesContent = (head: unknown[]): boolean =>
  /content-length\n0*[1-9]|transfer-encoding/i.test(head.join('\n'))
/** Not as the only option, which all versions of undici see. */
function listsKeepAlive(head: unknown[]): boolean {
  const options = head.filter((_value, i) => /^connection$/i.test(String(head[i - 1]))).join('')
  return /keep-alive/i.test(options) && options.length > 'keep-alive'.length
}
const HAS_CONTINUE = /\/[0-9]\.[0-9] 100/
const isResent = ({ end }: Outcome): boolean => end[2] === 'no second connection'

/** The differences to undici that there are on purpose; they end the comparison of a connection. */
function differsOnPurpose(ours: Outcome, theirs: Outcome, previous: Outcome | undefined, bytes: string): boolean {
  // A 100 that nobody expects is read over.
  if (theirs.end.includes('bad response') && HAS_CONTINUE.test(bytes)) return true
  // 101 without Upgrade and statuses below 100: undici fails an assertion, unless it is the answer to CONNECT.
  if (theirs.end[0] === 'AssertionError' || Number(theirs.head?.[0]) < 100) return isFailure(ours)
  // Behind content of 204 and 304 nothing is read, and keep-alive counts among other options (undici 8 is with us).
  const before = previous?.head ?? []
  if (isResent(ours) && (before[0] === 204 || before[0] === 304)) return announcesContent(before)
  if (isResent(theirs) && listsKeepAlive(before)) return true
  // The content that 204 and 304 announce but do not have (undici 8 is with us).
  const status = theirs.head?.[0]
  if (theirs.end[0] === 'ResponseContentLengthMismatchError' && (status === 204 || status === 304)) {
    return ours.end[0] === 'complete' && isDeepStrictEqual(ours.head, theirs.head)
  }
  if (!String(theirs.end[1]).includes('Data after `Connection: close`')) return false
  // llhttp takes trailers for fields that frame and close, and of a response to HEAD that undici keeps its connection
  // after it may still remember the Proxy-Connection.
  const trailers = previous?.end.join('\n') ?? ''
  return /connection|encoding/i.test(trailers) || /proxy-connection/i.test(previous?.head?.join('\n') ?? '')
}

async function answers(kind: 'ours' | 'undici', script: Parameters<typeof connectInMemory>[0], asked: Asked) {
  const connect = connectInMemory({ ...script, requests: asked.requests }) as never
  const options = { connections: 1, pipelining: asked.requests, connect }
  const dispatcher =
    kind === 'ours' ? new RecyclingAgent({ ...options, retryStale: false }) : new undici7.Agent(options)
  const request = { origin: 'http://peer.test', blocking: false, ...asked.options }
  const all = Promise.all(Array.from({ length: asked.requests }, () => outcomeOf(dispatcher, request)))
  const outcomes = await inTime(all, kind)
  if (kind === 'ours') deepEqual((dispatcher as RecyclingAgent).stats, {})
  await dispatcher.destroy()
  return outcomes
}

/** @throws AssertionError where undici and we do not agree */
export async function fuzzAgainstUndici(next: Random): Promise<void> {
  const asked = ask(next)
  const bytes = randomResponse(next, asked.requests)
  const script = { pieces: [bytes], ending: 'FIN' } as const
  const theirs = await answers('undici', script, asked)
  const ours = await answers('ours', script, asked)
  for (const [i, outcome] of ours.entries()) {
    assertDocumented(outcome, false)
    if (isDeepStrictEqual(outcome, theirs[i])) continue
    if (differsOnPurpose(outcome, theirs[i]!, theirs[i - 1], String(bytes))) break
    deepEqual(outcome, theirs[i], `request ${i} of ${asked.requests}, ${JSON.stringify(asked.options)}`)
  }
}

/** One peer and two agents for all cases. */
export class SocketFuzz {
  readonly #server: Server
  readonly #agents = [new RecyclingAgent(), new RecyclingAgent({ transport: 'net' })]
  #origin = ''
  #pieces: Buffer[] = []
  #ending: 'FIN' | 'RST' = 'FIN'

  private constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => void this.#speak(socket))
    })
  }

  static async start(): Promise<SocketFuzz> {
    const fuzz = new SocketFuzz()
    fuzz.#server.listen(0, '127.0.0.1')
    await once(fuzz.#server, 'listening')
    fuzz.#origin = `http://127.0.0.1:${(fuzz.#server.address() as AddressInfo).port}`
    return fuzz
  }

  async stop(): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.destroy()))
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** @throws AssertionError where sockets make a difference, or something is left behind */
  async run(next: Random): Promise<void> {
    const options = KINDS[next(KINDS.length)]!
    const bytes = randomResponse(next, 1)
    const [expected] = await answers('ours', { pieces: [bytes], ending: 'FIN' }, { requests: 1, options })
    this.#pieces = randomPieces(bytes, next)
    this.#ending = next(2) === 0 ? 'FIN' : 'RST'
    for (const agent of this.#agents) {
      const outcome = await inTime(outcomeOf(agent, { origin: this.#origin, ...options }, next(2) === 0), 'a socket')
      assertDocumented(outcome, true)
      if (this.#ending === 'FIN') deepEqual(outcome, expected)
      else equal(isFailure(outcome) || isDeepStrictEqual(outcome, expected), true, 'a reset made a whole of a part')
      await quiet(agent, HANG_MS)
      deepEqual(agent.stats, {})
    }
  }

  async #speak(socket: Socket): Promise<void> {
    for (const piece of this.#pieces) {
      if (socket.destroyed) return
      socket.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    if (this.#ending === 'FIN') socket.end()
    else socket.resetAndDestroy()
  }
}
