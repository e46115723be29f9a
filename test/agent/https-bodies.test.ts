/** Large messages over TLS, which come through a stream of Node's: whole, in order, and no faster than they are taken. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import {
  expectNoDescriptorLeft,
  type MakeDispatcher,
  recyclingAgent,
  secureDispatchers,
} from '../support/dispatchers.js'
import { type Flow, recording } from '../support/handlers.js'
import { ok, rawServer } from '../support/raw-server.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1'])
})

expectNoDescriptorLeft()

const CHUNK = randomBytes(65_536)
/** More than the buffers of both ends hold. */
const CHUNKS = 320
const TOTAL = CHUNKS * CHUNK.length

/** The n-th of the chunks, which are all different. */
function chunk(n: number): Buffer {
  const own = Buffer.from(CHUNK)
  own.writeUInt32BE(n)
  return own
}

const digestOfAll = (() => {
  const hash = createHash('sha1')
  for (let n = 0; n < CHUNKS; n++) hash.update(chunk(n))
  return hash.digest('hex')
})()

/** Resolves when a count has stood still for some turns. */
async function standstill(count: () => number): Promise<void> {
  for (let still = 0, last = -1; still < 3; ) {
    await setTimeout(25)
    still = count() === last ? still + 1 : 0
    last = count()
  }
}

/** Answers with all chunks, as fast as they are taken. */
async function download(framing: 'sized' | 'chunked' | 'close-delimited') {
  let written = 0
  const line = {
    sized: `content-length: ${TOTAL}\r\n`,
    chunked: 'transfer-encoding: chunked\r\n',
    'close-delimited': '',
  }
  const { origin } = await rawServer(
    async ({ socket }) => {
      await once(socket, 'data')
      socket.write(`HTTP/1.1 200 OK\r\n${line[framing]}\r\n`)
      for (; written < CHUNKS; written++) {
        if (framing === 'chunked') socket.write('10000\r\n')
        const isTaken = socket.write(chunk(written))
        if (framing === 'chunked') socket.write('\r\n')
        if (!isTaken) await once(socket, 'drain')
      }
      if (framing === 'chunked') socket.write('0\r\n\r\n')
      if (framing === 'close-delimited') socket.end()
    },
    { secure: certificate },
  )
  return { origin, written: () => written }
}

/** Takes in a body of all chunks, of known length, when told to; and answers with its digest. */
async function upload() {
  let start = (): void => {}
  const started = new Promise<void>((resolve) => {
    start = resolve
  })
  const { origin } = await rawServer(
    async ({ socket }) => {
      socket.removeAllListeners('data')
      socket.pause()
      await started
      const hash = createHash('sha1')
      let left = TOTAL
      let head: Buffer | null = Buffer.alloc(0)
      socket.on('data', (bytes: Buffer) => {
        if (head !== null) {
          head = Buffer.concat([head, bytes])
          const end = head.indexOf('\r\n\r\n')
          if (end < 0) return
          bytes = head.subarray(end + 4)
          head = null
        }
        hash.update(bytes)
        left -= bytes.length
        if (left === 0) socket.write(ok(hash.digest('hex')))
      })
      socket.resume()
    },
    { secure: certificate },
  )
  return { origin, start: () => start() }
}

/** A handler for one response, of which the digest is kept. */
function digesting(pauseAtHead = false) {
  const hash = createHash('sha1')
  let received = 0
  let flow: Flow
  const { handler, events } = recording('new', {
    head(control) {
      flow = control
      if (pauseAtHead) control.pause()
    },
  })
  const done = new Promise<string>((resolve, reject) => {
    Object.assign(handler, {
      onResponseData(_controller: unknown, bytes: Buffer) {
        received += bytes.length
        hash.update(bytes)
      },
      onResponseEnd: () => resolve(hash.digest('hex')),
      onResponseError: (_controller: unknown, error: Error) => reject(error),
    })
  })
  return { handler, events, done, received: () => received, resume: () => flow.resume() }
}

const everybody: [string, MakeDispatcher][] = [
  ...secureDispatchers,
  ['RecyclingAgent over net', (options) => recyclingAgent({ ...options, transport: 'net' })],
]

describe.each(everybody)('%s', (_name, make) => {
  it.each(['sized', 'chunked', 'close-delimited'] as const)('receives a large body that is %s', async (framing) => {
    const { origin } = await download(framing)
    const { handler, done, received } = digesting()
    make({ connect: { ca } }).dispatch({ origin, path: '/', method: 'GET' }, handler)
    expect(await done).toBe(digestOfAll)
    expect(received()).toBe(TOTAL)
  })

  it('does not read a response that is paused', async () => {
    const { origin, written } = await download('sized')
    const { handler, done, received, resume } = digesting(true)
    make({ connect: { ca } }).dispatch({ origin, path: '/', method: 'GET' }, handler)
    while (written() === 0) await setTimeout(5)
    await standstill(written)
    expect(written()).toBeLessThan(CHUNKS)
    expect(received()).toBe(0)
    resume()
    expect(await done).toBe(digestOfAll)
  })

  it('sends a large Buffer', async () => {
    const { origin, start } = await upload()
    start()
    const recorded = recording('new')
    const body = Buffer.concat(Array.from({ length: CHUNKS }, (_, n) => chunk(n)))
    make({ connect: { ca } }).dispatch({ origin, path: '/', method: 'PUT', body }, recorded.handler)
    expect((await recorded.done).slice(-2)).toEqual([
      ['data', digestOfAll],
      ['end', []],
    ])
  })

  it.each(['a stream', 'an iterable'])('sends %s no faster than the server takes it', async (kind) => {
    let produced = 0
    async function* chunks(): AsyncGenerator<Buffer> {
      for (; produced < CHUNKS; produced++) yield chunk(produced)
    }
    const { origin, start } = await upload()
    const body = kind === 'a stream' ? Readable.from(chunks(), { objectMode: false }) : chunks()
    const recorded = recording('new')
    make({ connect: { ca } }).dispatch(
      { origin, path: '/', method: 'PUT', headers: { 'content-length': `${TOTAL}` }, body: body as Readable },
      recorded.handler,
    )
    while (produced === 0) await setTimeout(5)
    await standstill(() => produced)
    expect(produced).toBeLessThan(CHUNKS)
    start()
    expect((await recorded.done).slice(-2)).toEqual([
      ['data', digestOfAll],
      ['end', []],
    ])
    expect(produced).toBe(CHUNKS)
  })
})
