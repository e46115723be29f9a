// Connections made ahead of the requests, TLS and all: at the start of a service, before a burst that is foreseen, and all
// the time for an upstream that ends each connection. Run `npm run build` first, then `node examples/preconnect.mjs`.
import { setTimeout as sleep } from 'node:timers/promises'
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'
import { createCertificates } from './support/certificates.mjs'
import { startUpstream } from './support/upstream.mjs'

const { ca, key, cert } = await createCertificates()
const upstream = await startUpstream((_request, response) => response.end('hello\n'), { key, cert })

const agent = new RecyclingAgent({
  connect: { ca },
  // How long they wait for a request: not longer than the upstream lets them.
  keepAliveTimeout: 4_000,
})
let connections = 0
agent.on('connect', () => connections++)
const get = async () => (await request(upstream.origin, { dispatcher: agent })).body.dump()
const burst = (/** @type {number} */ size) => Promise.all(Array.from({ length: size }, get))

// At the start of a service, before it says that it is ready. It rejects where there is nobody, or somebody else: whether
// the service starts nevertheless is for it to say.
await agent.preconnect(upstream.origin, { connections: 4 })
console.log(`at the start: ${connections} connections are open`)
await burst(4)
console.log(`the first 4 requests: ${connections} connections were made in all`)

// Before a burst that is foreseen.
await agent.preconnect(upstream.origin, { connections: 8 })
const before = connections
await burst(8)
console.log(`a burst of 8 requests: ${connections - before} of them waited for a handshake`)
await agent.close()

// For an upstream that ends each connection behind its response: what requests found missing is kept open, up to 2.
const sparing = new RecyclingAgent({ connect: { ca }, spareConnections: 2 })
for (let i = 0; i < 10; i++) {
  const { body } = await request(upstream.origin, { dispatcher: sparing })
  await body.dump()
  await sleep(20)
}
const { used, closedUnused } = sparing.stats.spares
console.log(
  `10 requests, one after the other: ${used} found a connection open, ${closedUnused} of those were closed before`,
)

// Ends those that are open.
await sparing.close()
await upstream.close()
