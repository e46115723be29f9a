/**
 * Bytes of TLS connections that are flipped, dropped, repeated, put in another order, added or replaced by chance: each
 * request is answered as it should be or fails with a documented error, in time, and neither side reads what the other
 * one has not sent. The suite runs it briefly, the soak for long.
 */
import type { Dispatcher } from 'undici'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { type Random, randomOf } from '../support/random.js'
import { secureServer } from '../support/secure-server.js'
import { FAULTS, faultyAt, inPieces, type Mangler, type Shapes, tlsMangler } from '../support/tls-mangler.js'
import { Holder } from '../support/x509.js'
import type { Contender } from './contenders.js'

export interface RecordFuzzOptions {
  contender: Contender
  seed: number
  connections: number
  /** No connection is begun after that. */
  timeMs: number
}

export interface RecordFuzzReport {
  done: number
  answered: number
  /** How often each error has come, by its code. */
  errors: Record<string, number>
  /** In words. */
  failures: string[]
}

/** Besides those of OpenSSL and of verification; a flipped byte of a certificate or a head may mean anything. */
const CODES = [
  'ECONNRESET',
  'EPIPE',
  'EPROTO',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]
const isDocumented = (code: string): boolean => CODES.includes(code) || /^ERR_(SSL|OSSL)_/.test(code)

/** Of what has been dropped the rest never comes. */
const TIMEOUT_MS = 500
const AT_ONCE = 16
const BODY = Buffer.from(Array.from({ length: 6000 }, (_, i) => 97 + (i % 26))).toString()
const REQUEST_BODY = BODY.slice(0, 2000)
const ANSWER = `HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\nconnection: close\r\n\r\n${BODY}`
/** About what passes in a direction. */
const SPAN = { client: 9000, server: 3500 }

export async function fuzzRecords({
  contender,
  seed,
  connections,
  timeMs,
}: RecordFuzzOptions): Promise<RecordFuzzReport> {
  const report: RecordFuzzReport = { done: 0, answered: 0, errors: {}, failures: [] }
  const deadline = performance.now() + timeMs
  const authority = Holder.authority()
  const identity = authority.issue().identity()
  const server = await secureServer(identity, ANSWER)
  const old = await secureServer({ ...identity, maxVersion: 'TLSv1.2' }, ANSWER)
  const random = randomOf(seed)
  const relays = await Promise.all([server, old].map(({ port }) => tlsMangler(port, () => shapesBy(random))))
  const timeouts = { connectTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS }
  const agent = contender.make({ ...timeouts, connect: { ca: authority.cert } } as RecyclingAgentOptions)
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun < connections && performance.now() < deadline) {
      const relay = relays[begun++ % relays.length]!
      judge(await exchange(agent, relay), report)
      report.done++
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await agent.destroy()
  await Promise.all([...relays, server, old].map((one) => one.close()))
  for (const { requests } of [server, old]) {
    for (const received of requests) {
      if (!isBeginning(received)) report.failures.push(`the server has read ${JSON.stringify(received.slice(0, 200))}`)
    }
  }
  return report
}

/** One fault in one of the directions, in pieces now and then. */
function shapesBy(random: Random): Shapes {
  const fault = FAULTS[random(FAULTS.length)]!
  const whole = random(4) === 0 ? inPieces(1 + random(700)) : (chunk: Buffer) => [chunk]
  const isToClient = random(2) === 0
  const faulty = faultyAt(random(isToClient ? SPAN.client : SPAN.server), fault, random)
  return isToClient ? { towardsClient: faulty, towardsServer: whole } : { towardsClient: whole, towardsServer: faulty }
}

interface Exchanged {
  body: string
  /** `null` after the end. */
  error: (Error & { code?: string }) | null
}

function exchange(agent: Pick<Dispatcher, 'dispatch'>, { port }: Mangler): Promise<Exchanged> {
  return new Promise((resolve) => {
    let body = ''
    const options = { origin: `https://127.0.0.1:${port}`, path: '/', method: 'POST', body: REQUEST_BODY } as const
    agent.dispatch(options, {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData(_controller, chunk) {
        body += chunk.toString('latin1')
      },
      onResponseEnd: () => resolve({ body, error: null }),
      onResponseError: (_controller, error) => resolve({ body, error }),
    })
  })
}

function judge({ body, error }: Exchanged, report: RecordFuzzReport): void {
  if (!BODY.startsWith(body)) report.failures.push(`the client has read ${JSON.stringify(body.slice(0, 200))}`)
  if (error === null) {
    report.answered++
    if (body.length !== BODY.length) report.failures.push(`an end after ${body.length} bytes`)
    return
  }
  const code = error.code ?? error.message
  report.errors[code] = (report.errors[code] ?? 0) + 1
  if (!isDocumented(code)) report.failures.push(`${error.constructor.name} ${code}: ${error.message}`)
}

const HEAD = /^POST \/ HTTP\/1\.1\r\n(?:[\w-]+: [\w.:-]+\r\n)+\r\n/

/** What a server has received of a request is how it begins. */
function isBeginning(received: string): boolean {
  const [head] = HEAD.exec(received) ?? []
  return head === undefined
    ? 'POST / HTTP/1.1'.startsWith(received.slice(0, 15))
    : REQUEST_BODY.startsWith(received.slice(head.length))
}
