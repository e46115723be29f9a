// A reverse proxy with plain node:http. The proxy itself is demo/forward.mjs, the part to copy: it streams both ways,
// removes the fields that belong to one connection, aborts when its client goes, and answers 502 and 504. This file
// puts it to work. Run `npm run build` first, then `node examples/reverse-proxy.mjs`.
import { once } from 'node:events'
import http from 'node:http'
import { RecyclingAgent } from 'recycling-agent'
import { forward } from './demo/forward.mjs'
import { startUpstream } from './support/upstream.mjs'

// The upstream knows a few paths; what it sees of a client that leaves is printed below.
let leftAlone
const hasLeft = new Promise((resolve) => {
  leftAlone = resolve
})
const upstream = await startUpstream((request, response) => {
  switch (request.url) {
    case '/echo':
      return request.pipe(response)
    case '/fields':
      return response.end(Object.keys(request.headers).sort().join(' '))
    case '/endless': {
      const writing = setInterval(() => response.write('on and on\n'), 5)
      response.on('close', () => clearInterval(writing)).on('close', leftAlone)
      return
    }
    case '/crash':
      return response.destroy()
    case '/never':
      return
    default:
      return response.end('hello\n')
  }
})

const agent = new RecyclingAgent({ headersTimeout: 1_000, bodyTimeout: 10_000 })
const proxy = http.createServer((request, response) => forward(agent, upstream.origin, request, response))
await once(proxy.listen(0, '127.0.0.1'), 'listening')
const origin = `http://127.0.0.1:${proxy.address().port}`

console.log('an upload that comes back:', await size(`${origin}/echo`, Buffer.alloc(1_000_000, 'x')), 'bytes')

// `x-secret` is named in Connection, so it is for the proxy only (RFC 9110 7.6.1).
const hopByHop = { connection: 'keep-alive, x-secret', 'x-secret': '1', te: 'trailers', 'x-request-id': '7' }
console.log('fields that the upstream sees:', await text(`${origin}/fields`, hopByHop))

// A client that goes away in the middle of a response.
const leaving = http.get(`${origin}/endless`)
const [response] = await once(leaving, 'response')
await once(response, 'data')
response.destroy()
await hasLeft
console.log('a client went away: its request to the upstream was aborted')

for (const path of ['/crash', '/never']) {
  const failed = await fetch(origin + path)
  console.log(`${path}: ${failed.status} ${(await failed.text()).trim()}`)
}

for (let i = 0; i < 20; i++) await text(`${origin}/hello`)
const { fresh, recycled } = agent.stats.sockets
console.log(`${upstream.connections()} connections to the upstream: ${fresh} new sockets, ${recycled} recycled`)

proxy.close()
proxy.closeAllConnections()
await agent.close()
await upstream.close()

// node:http is the visitor, since fetch does not let one set Connection.
async function text(url, headers) {
  const [response] = await once(http.get(url, { headers }), 'response')
  return (await response.setEncoding('utf8').toArray()).join('')
}

async function size(url, body) {
  const response = await fetch(url, { method: 'POST', body })
  return (await response.arrayBuffer()).byteLength
}
