// A large upload and a large download, as streams, with progress. Neither is ever held in memory as a whole: each side
// waits for the slower one (back-pressure). Run `npm run build` first, then `node examples/streaming.mjs`.
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'
import { startUpstream } from './support/upstream.mjs'

const CHUNK = Buffer.alloc(65_536, 'abc')
const MIB = 1024 * 1024
const SIZE = 64 * MIB

// How many bytes have left the one end and have reached the other, and how far the first was ahead of the second.
const moved = { sent: 0, received: 0, ahead: 0 }

const upstream = await startUpstream(async (request, response) => {
  if (request.method === 'PUT') {
    await slowly(request)
    response.end(`${moved.received} bytes\n`)
  } else {
    response.setHeader('Content-Length', SIZE)
    await pipeline(produce(), response)
  }
})
const agent = new RecyclingAgent()

// Up: any Readable or async iterable is a body. With its length known it is not chunked.
reset()
const stored = await request(upstream.origin, {
  dispatcher: agent,
  method: 'PUT',
  headers: { 'content-length': String(SIZE) },
  body: produce(progress('upload')),
})
console.log(`stored: ${(await stored.body.text()).trim()}`)
report('upload')

// Down: the body is a Readable. Whoever does not read it to the end destroys it, or its connection stays busy.
reset()
const { body, headers } = await request(upstream.origin, { dispatcher: agent })
const show = progress('download', Number(headers['content-length']))
const counter = new Transform({
  transform(chunk, _encoding, callback) {
    show(chunk.length)
    callback(null, chunk)
  },
})
await pipeline(body, counter, slowly)
report('download')

await agent.close()
await upstream.close()

/** The source: as fast as the consumer asks for more. */
async function* produce(onChunk = () => {}) {
  for (let size = 0; size < SIZE; size += CHUNK.length) {
    moved.sent += CHUNK.length
    moved.ahead = Math.max(moved.ahead, moved.sent - moved.received)
    onChunk(CHUNK.length)
    yield CHUNK
  }
}

/** The sink: takes a rest after every 4 MiB. */
async function slowly(source) {
  let rest = 0
  for await (const chunk of source) {
    moved.received += chunk.length
    rest += chunk.length
    if (rest < 4 * MIB) continue
    rest = 0
    await delay(20)
  }
}

/** @returns a function that is told of bytes, and prints a line at each quarter */
function progress(title, total = SIZE) {
  let size = 0
  let quarter = 0
  return (bytes) => {
    size += bytes
    if (size < ((quarter + 1) * total) / 4) return
    quarter++
    console.log(`${title}: ${quarter * 25} %`)
  }
}

function reset() {
  Object.assign(moved, { sent: 0, received: 0, ahead: 0 })
}

function report(title) {
  console.log(
    `${title}: ${moved.received / MIB} MiB; what was under way at a time: ${Math.ceil(moved.ahead / MIB)} MiB`,
  )
}
