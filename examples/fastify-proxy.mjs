// A reverse proxy with Fastify: @fastify/http-proxy takes the agent as its option `undici`.
// Run `npm run build` first, then `node examples/fastify-proxy.mjs`.
//
//   visitors  -- keep-alive -->  Fastify  -- a connection per request, on recycled sockets -->  upstream
import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { RecyclingAgent } from 'recycling-agent'
import { startUpstream } from './support/upstream.mjs'

const upstream = await startUpstream((request, response) => {
  if (request.method === 'POST') return request.pipe(response)
  response.end(`${request.url} of the upstream\n`)
})

const agent = new RecyclingAgent({ headersTimeout: 10_000, bodyTimeout: 30_000 })
const app = fastify({ forceCloseConnections: true })
app.register(httpProxy, {
  upstream: upstream.origin,
  prefix: '/api',
  rewritePrefix: '/v1',
  undici: agent,
  // Closes the agent when Fastify closes: right where nobody else uses it.
  destroyAgent: true,
})
// What is not proxied is Fastify's own.
app.get('/healthy', async () => 'yes\n')
const origin = await app.listen({ host: '127.0.0.1', port: 0 })

console.log(`GET  /healthy     ${await text('/healthy')}`)
console.log(`GET  /api/things  ${await text('/api/things')}`)
console.log(`POST /api/echo    ${await text('/api/echo', { method: 'POST', body: 'sent and received' })}`)

// Eight visitors with ten requests each.
const visitor = async () => {
  for (let i = 0; i < 10; i++) await text(`/api/things/${i}`)
}
await Promise.all(Array.from({ length: 8 }, visitor))

const { fresh, recycled } = agent.stats.sockets
console.log(`${upstream.connections()} connections to the upstream: ${fresh} new sockets, ${recycled} recycled`)

await app.close()
await upstream.close()

async function text(path, options) {
  const response = await fetch(origin + path, options)
  if (!response.ok) throw new Error(`${path}: status ${response.status}`)
  return (await response.text()).trim()
}
