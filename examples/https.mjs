// https: the agent trusts a certificate authority of one's own, resumes the TLS session of the connection before
// (RFC 8446 2.2), and recycles the socket below it. Run `npm run build` first, then `node examples/https.mjs`.
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'
import { createCertificates } from './support/certificates.mjs'
import { startUpstream } from './support/upstream.mjs'

const { ca, key, cert } = await createCertificates()
const handshakes = { full: 0, resumed: 0 }
const upstream = await startUpstream(
  ({ socket }, response) => {
    handshakes[socket.isSessionReused() ? 'resumed' : 'full']++
    response.end('hello\n')
  },
  { key, cert },
)

const agent = new RecyclingAgent({
  connect: {
    // The options of tls.connect: what to trust; `key` and `cert` where the server wants to know the client.
    ca,
    // How long connecting may take, the TLS handshake included.
    timeout: 5_000,
  },
  // How many sessions are kept, 0 for none. The default is 100, as undici's.
  maxCachedSessions: 10,
})

for (let i = 0; i < 10; i++) {
  const { body } = await request(upstream.origin, { dispatcher: agent })
  await body.dump()
}
const { fresh, recycled } = agent.stats.sockets
console.log(`handshakes: ${handshakes.full} full, ${handshakes.resumed} resumed`)
console.log(`sockets: ${fresh} created, ${recycled} recycled`)

// Who has not been told of the authority gets an error, as from any client.
const stranger = new RecyclingAgent()
await request(upstream.origin, { dispatcher: stranger }).catch(({ code, message }) =>
  console.log(`${code}: ${message}`),
)

await Promise.all([agent.close(), stranger.close()])
await upstream.close()
