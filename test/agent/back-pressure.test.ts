/** Neither side is read faster than the other takes it. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { request } from 'undici'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft } from '../support/dispatchers.js'
import { type Flow, recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const CHUNK = Buffer.alloc(65_536, 'x')
/** More than the kernel's buffers of both ends hold. */
const CHUNKS = 512

/** Resolves when a count has stood still for some turns. */
async function standstill(count: () => number): Promise<void> {
  for (let still = 0, last = count(); still < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 25))
    still = count() === last ? still + 1 : 0
    last = count()
  }
}

/** A server that answers with as much as the other side reads. */
async function largeAnswer() {
  let written = 0
  const { origin, peer } = await rawServer(async ({ socket }) => {
    await once(socket, 'data')
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${CHUNKS * CHUNK.length}\r\n\r\n`)
    for (; written < CHUNKS; written++) if (!socket.write(CHUNK)) await once(socket, 'drain')
  })
  return {
    origin,
    get written() {
      return written
    },
    /** The server has begun to answer and cannot write any more. */
    async standstill() {
      const { socket } = await peer(0)
      while (!socket.writableNeedDrain) await new Promise((resolve) => setTimeout(resolve, 5))
      await standstill(() => written)
    },
  }
}

describe.each(dispatchers)('%s', (_name, make) => {
  it('does not read a response that is paused', async () => {
    const server = await largeAnswer()
    let received = 0
    let flow: Flow
    const { handler } = recording('new', {
      head(control) {
        flow = control
        control.pause()
      },
    })
    const done = new Promise<void>((resolve) => {
      Object.assign(handler, {
        onResponseData(_controller: unknown, chunk: Buffer) {
          received += chunk.length
        },
        onResponseEnd: () => resolve(),
      })
    })
    make().dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
    await server.standstill()
    expect(server.written).toBeLessThan(CHUNKS)
    expect(received).toBe(0)
    flow!.resume()
    await done
    expect(received).toBe(CHUNKS * CHUNK.length)
  })

  it('waits for the reader of a response of undici.request', async () => {
    const server = await largeAnswer()
    const { body } = await request(server.origin, { dispatcher: make() })
    await server.standstill()
    expect(server.written).toBeLessThan(CHUNKS)
    expect((await body.arrayBuffer()).byteLength).toBe(CHUNKS * CHUNK.length)
  })

  it.each(['stream', 'iterable'])('does not read a %s that the server does not take', async (kind) => {
    let produced = 0
    async function* chunks(): AsyncGenerator<Buffer> {
      for (; produced < CHUNKS; produced++) yield CHUNK
    }
    const server = await rawServer(answering(ok()), { pauseOnConnect: true })
    const body = kind === 'stream' ? Readable.from(chunks(), { objectMode: false }) : chunks()
    const recorded = recording('new')
    make().dispatch({ origin: server.origin, path: '/', method: 'PUT', body: body as Readable }, recorded.handler)
    const { socket } = await server.peer(0)
    socket.pause()
    await standstill(() => produced)
    expect(produced).toBeLessThan(CHUNKS)
    let received = 0
    socket.removeAllListeners('data')
    socket.on('data', (chunk) => {
      received += chunk.length
      if (chunk.subarray(-5).equals(Buffer.from('0\r\n\r\n'))) socket.write(ok())
    })
    socket.resume()
    expect((await recorded.done).at(-1)).toEqual(['end', []])
    expect(produced).toBe(CHUNKS)
    expect(received).toBeGreaterThan(CHUNKS * CHUNK.length)
  })
})
