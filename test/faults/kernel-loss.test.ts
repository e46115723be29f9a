/** Networks that lose, repeat, delay and shuffle packets: what is said over them arrives whole. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { type BadLink, netemLink, tunLink, whyNoNetem, whyNoTun } from '../support/bad-links.js'
import { Program } from '../support/child.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { isTried } from '../support/gate.js'
import { arms } from '../support/laboratory.js'
import { deleteNamespaces } from '../support/namespaces.js'
import { type Random, randomOf, seedOf } from '../support/random.js'
import type { Badness } from './programs/bad-wire.js'

let program: Program

// Before descriptors are counted: the bundler keeps some.
beforeAll(async () => {
  program = await Program.from(new URL('./programs/bad-wire.ts', import.meta.url))
})

expectNoDescriptorLeft()

afterAll(() => {
  deleteNamespaces()
  program.delete()
})

const REQUESTS = 60
const CONCURRENCY = 12
const LARGEST = 60_000
const badness: Badness = { seed: seedOf('loss'), lost: 2, repeated: 2, delayMs: 4 }

const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex')

function randomBytes(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random(LARGEST) }, () => random(256)))
}

function inPieces(bytes: Buffer, random: Random): Buffer[] {
  const pieces = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random(8000)
    pieces.push(bytes.subarray(at, end))
    at = end
  }
  return pieces
}

/** Answers with what the path's number makes of it, and says what it has received: by checksum, both. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url!, 'http://x')
  const received = Buffer.concat(await request.toArray())
  const random = randomOf(Number(pathname.slice(1)))
  const body = randomBytes(random)
  response.setHeader('received', sha1(received)).setHeader('sent', sha1(body))
  if (searchParams.has('close')) response.setHeader('connection', 'close')
  if (!searchParams.has('chunked')) return void response.setHeader('content-length', body.length).end(body)
  for (const piece of inPieces(body, random)) response.write(piece)
  response.end()
}

async function startServer({ server, serverAddress }: BadLink): Promise<{ server: Server; origin: string }> {
  const http = createServer((request, response) => void answer(request, response))
  await server.enter(async () => {
    http.listen(0, serverAddress)
    await once(http, 'listening')
  })
  onTestFinished(async () => {
    http.close()
    http.closeAllConnections()
    await once(http, 'close')
  })
  return { server: http, origin: `http://${serverAddress}:${(http.address() as AddressInfo).port}` }
}

/** One of twelve kinds: closing or not, response in chunks or not, upload or none, of known length or not. */
async function exchange(agent: RecyclingAgent, origin: string, number: number): Promise<void> {
  const random = randomOf(badness.seed + number)
  const upload = randomBytes(random)
  const body = [null, upload, Readable.from(inPieces(upload, random))][number % 3]!
  const query = `?${number & 1 ? 'close' : ''}&${number & 2 ? 'chunked' : ''}`
  const method = body === null ? 'GET' : 'PUT'
  const {
    statusCode,
    headers,
    body: response,
  } = await agent.request({ origin, path: `/${number}${query}`, method, body })
  const received = Buffer.from(await response.arrayBuffer())
  expect({ number, statusCode, sent: headers.sent, received: headers.received }).toEqual({
    number,
    statusCode: 200,
    sent: sha1(received),
    received: sha1(body === null ? Buffer.alloc(0) : upload),
  })
}

const links: [name: string, make: (badness: Badness) => BadLink | Promise<BadLink>, why: string | null][] = [
  ['a program between tun devices', (badness) => tunLink(program, badness), whyNoTun],
  ['netem', netemLink, whyNoNetem],
]

for (const [name, make, why] of links) {
  describe.runIf(isTried(why))(`over a link that loses, repeats and shuffles packets (${name})`, () => {
    it.each(arms)('requests and responses arrive whole (%s)', { timeout: 90_000 }, async (_name, options) => {
      const link = await make(badness)
      onTestFinished(() => link.close())
      const { origin } = await startServer(link)
      await link.client.enter(async () => {
        const agent = new RecyclingAgent(options)
        onTestFinished(() => agent.destroy())
        let number = 0
        const work = async (): Promise<void> => {
          while (number < REQUESTS) await exchange(agent, origin, number++)
        }
        await Promise.all(Array.from({ length: CONCURRENCY }, work))
        await agent.close()
        expect(agent.stats).toEqual({})
        await quiet(agent)
        expect(agent.stats.sockets).toMatchObject({ leased: 0, idle: 0 })
        if (options.transport !== 'net') expect(agent.stats.sockets.recycled).toBeGreaterThan(0)
      })
      const counts = await link.counts()
      if (counts === null) return
      console.info(`loss: ${JSON.stringify(counts)}`)
      for (const count of [counts.lost, counts.repeated, counts.overtaken]) expect(count).toBeGreaterThan(0)
    })
  })
}
