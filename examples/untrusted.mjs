// Servers that are not trusted: why each request should have a connection of its own, and which limits there are.
// Run `npm run build` first, then `node examples/untrusted.mjs`.
//
// An HTTP/1.1 response does not say to which request it belongs: the next one on the connection is the answer to the
// oldest request that has none. Whoever gets one response too many onto a connection that is used again answers
// somebody else's request: response-queue poisoning. `pipelining: 0` ends the connection with its first response.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'

const response = (text) => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`

// A gateway in front of the services of several parties. Mallory's service sends two responses to one request. The
// gateway passes the second one on late, as soon as there is another request on the connection.
const gateway = createServer((socket) => {
  let leftOver = ''
  socket.on('error', () => {})
  socket.on('data', (data) => {
    const head = data.toString('latin1')
    const path = head.split(' ')[1]
    socket.write(leftOver + response(`words of ${path.slice(1)}`))
    leftOver = path === '/mallory' ? response('words of mallory, for somebody else') : ''
    if (/^connection: close/im.test(head)) socket.end()
  })
})
const origin = await listen(gateway)

for (const [title, options] of [
  ['a connection for many requests', {}],
  ['a connection per request', { pipelining: 0 }],
]) {
  const agent = new RecyclingAgent(options)
  await text(`${origin}/mallory`, agent)
  console.log(`${title}: alice gets "${await text(`${origin}/alice`, agent)}"`)
  // Connections on recycled sockets cost little more than persistent ones.
  const { fresh, recycled } = agent.stats.sockets
  console.log(`  ${fresh + recycled} connections, ${fresh} sockets`)
  // destroy(): close() would be polite to a server that does not deserve it.
  await agent.destroy()
}

// What a server can do with a connection of its own is to take: time and memory. Each limit has an error of its own.
const guarded = new RecyclingAgent({
  pipelining: 0,
  // Connections to an origin at a time.
  connections: 32,
  connectTimeout: 1_000,
  // Until the head of the response is there; between two pieces of its body. (For the whole of a request: AbortSignal.)
  headersTimeout: 1_000,
  bodyTimeout: 1_000,
  // In bytes: of a response's head, of its body.
  maxHeaderSize: 8_192,
  maxResponseSize: 1_000_000,
})

const head = 'HTTP/1.1 200 OK\r\n'
const tricks = {
  'no answer': () => {},
  'a body that stops': (socket) => socket.write(`${head}Content-Length: 10\r\n\r\nabc`),
  'a body without end': (socket) => socket.end(`${head}\r\n${'on and on '.repeat(200_000)}`),
  'a head without end': (socket) => socket.end(head + 'X-Field: and on\r\n'.repeat(2_000)),
  'a body cut short': (socket) => socket.end(`${head}Content-Length: 10\r\n\r\nabc`),
  'two lengths': (socket) => socket.end(`${head}Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde`),
  'a byte a moment': (socket) => {
    const dripping = setInterval(() => socket.write('x'), 50)
    socket.on('close', () => clearInterval(dripping)).write(`${head}Content-Length: 100000\r\n\r\n`)
  },
}
const outcomes = await Promise.all(Object.values(tricks).map(outcome))
for (const [i, title] of Object.keys(tricks).entries()) console.log(`${title}: ${outcomes[i]}`)

await guarded.destroy()
gateway.close()

/** What becomes of a request to a server that plays a trick. */
async function outcome(play) {
  const hostile = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => play(socket))
  })
  try {
    return await text(await listen(hostile), guarded, AbortSignal.timeout(2_000))
  } catch ({ code, name }) {
    // An AbortSignal's error has a number for its code.
    return typeof code === 'string' ? code : name
  } finally {
    hostile.close()
  }
}

async function text(url, dispatcher, signal) {
  const { body } = await request(url, { dispatcher, signal })
  return body.text()
}

async function listen(server) {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${server.address().port}`
}
