// Metrics: `agent.stats` for Prometheus, by prom-client, on /metrics; and a page that plots them as they come.
// Run `npm run build` first, then `node examples/metrics.mjs`: a short load, and what was measured of it. With `--stay`
// it goes on serving until Ctrl+C, so that a browser can look on; `--seconds=S` says how long the load takes.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Counter, Gauge, Registry } from 'prom-client'
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'
import { startUpstream } from './support/upstream.mjs'

const { values } = parseArgs({ options: { stay: { type: 'boolean' }, seconds: { type: 'string' } } })
const seconds = Number(values.seconds ?? (values.stay ? 300 : 2))
if (!(seconds > 0)) throw new Error('--seconds takes a positive number')
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop.abort())

const agent = new RecyclingAgent()

// What only grows is a counter for Prometheus, of which rate() makes a number per second; the rest are gauges. All of
// them read `agent.stats` when they are asked for: nothing is measured in between.
const registry = new Registry()
const registers = [registry]
const total = (name, help, read) =>
  new Counter({
    name: `recycling_agent_${name}_total`,
    help,
    registers,
    collect() {
      this.reset()
      this.inc(read(agent.stats.sockets))
    },
  })
const now = (name, help, read) =>
  new Gauge({
    name: `recycling_agent_${name}`,
    help,
    registers,
    collect() {
      this.set(read(agent.stats.sockets))
    },
  })

total('sockets_created', 'Connections on a new socket', ({ fresh }) => fresh)
total('sockets_recycled', 'Connections on a recycled socket', ({ recycled }) => recycled)
total('sockets_closed', 'Sockets closed or given away', ({ closed }) => closed)
total('sockets_refused', 'Sockets that the kernel did not dissolve', ({ refused }) => refused)
total('sockets_aborted', 'Connections that ended before the end of the peer', ({ aborted }) => aborted)
now('sockets_idle', 'Dissolved sockets that wait', ({ idle }) => idle)
now('sockets_in_use', 'Sockets of connections', ({ leased }) => leased)
new Gauge({
  name: 'recycling_agent_requests',
  help: 'Requests by origin: written, or waiting to be',
  labelNames: ['origin', 'state'],
  registers,
  collect() {
    // An origin without requests and connections is not in the statistics; it goes from here, too.
    this.reset()
    for (const [origin, { running, pending }] of Object.entries(agent.stats)) {
      this.set({ origin, state: 'running' }, running)
      this.set({ origin, state: 'pending' }, pending)
    }
  },
})

const page = readFileSync(new URL('metrics.html', import.meta.url))
const server = http.createServer(async ({ url }, response) => {
  if (url === '/metrics') return response.setHeader('Content-Type', registry.contentType).end(await registry.metrics())
  if (url !== '/') return response.writeHead(404).end()
  // The page needs nothing but itself and /metrics.
  response.setHeader('Content-Security-Policy', "default-src 'self' 'unsafe-inline' data:")
  response.setHeader('Content-Type', 'text/html; charset=utf-8').end(page)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
const origin = `http://127.0.0.1:${server.address().port}`
console.log(`the page is on ${origin}/, the metrics are on ${origin}/metrics`)

// An upstream that takes a moment for each answer, and a load in waves.
const upstream = await startUpstream((_request, response) => setTimeout(() => response.end('hello\n'), 20))
await load(seconds)

const { fresh, recycled, idle, leased } = agent.stats.sockets
console.log(`after the load: ${fresh} created, ${recycled} recycled, ${idle} idle, ${leased} in use`)
if (values.stay) {
  if (!stop.signal.aborted) await once(stop.signal, 'abort')
} else {
  const metrics = await (await fetch(`${origin}/metrics`)).text()
  console.log(metrics.match(/^recycling_agent_sockets.*/gm).join('\n'))
}

server.close()
server.closeAllConnections()
await agent.close()
await upstream.close()

async function load(seconds) {
  const startMs = performance.now()
  const elapsed = () => (performance.now() - startMs) / 1000
  const lane = async (number, lanes) => {
    while (elapsed() < seconds && !stop.signal.aborted) {
      // Four seconds from wave to wave; the higher its number, the less a lane has to do.
      const wave = (1 - Math.cos((Math.PI * elapsed()) / 2)) / 2
      if (number > wave * lanes) await delay(20)
      else await (await request(upstream.origin, { dispatcher: agent })).body.dump()
    }
  }
  await Promise.all(Array.from({ length: 24 }, (_, i) => lane(i, 24)))
  // The upstream has still to end the last connections.
  while (agent.stats.sockets.leased > 0) await delay(10)
}
