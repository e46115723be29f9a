// node:cluster: an agent for each process. The workers share the listening socket of the service and nothing else; in
// each of them the agent's descriptors are close-on-exec, so that no child process inherits one. Limits such as
// `connections` and `maxIdleSockets` are therefore per process: multiply them by the number of workers.
// Run `npm run build` first, then `node examples/cluster.mjs`.
import cluster from 'node:cluster'
import { once } from 'node:events'
import http from 'node:http'
import { RecyclingAgent } from 'recycling-agent'
import { request } from 'undici'
import { startUpstream } from './support/upstream.mjs'

const WORKERS = 2
const VISITS = 60

if (cluster.isPrimary) await primary()
else await serve(process.env.UPSTREAM)

async function primary() {
  const upstream = await startUpstream()
  const workers = Array.from({ length: WORKERS }, () => cluster.fork({ UPSTREAM: upstream.origin }))
  const [{ port }] = await Promise.all(workers.map(async (worker) => (await once(worker, 'listening'))[0]))

  // A connection per visit, so that the primary can hand them to the workers in turn.
  for (let i = 0; i < VISITS; i++) {
    const [response] = await once(http.get({ port, host: '127.0.0.1', agent: false }), 'response')
    await response.toArray()
  }

  for (const worker of workers) {
    const exited = once(worker, 'exit')
    worker.send('end')
    const [{ fresh, recycled }] = await once(worker, 'message')
    console.log(`process ${worker.id}: ${fresh + recycled} connections, ${recycled} on a recycled socket`)
    await exited
  }
  console.log(`the upstream has accepted ${upstream.connections()} connections`)
  await upstream.close()
}

/** A service that asks the upstream for each answer. */
async function serve(origin) {
  const agent = new RecyclingAgent()
  const server = http.createServer(async (_request, response) => {
    try {
      const { body } = await request(origin, { dispatcher: agent })
      response.end(await body.text())
    } catch (error) {
      response.writeHead(502).end(error.message)
    }
  })
  server.listen(0, '127.0.0.1')

  // A worker that is to end answers what it has begun, and closes its agent.
  await once(process, 'message')
  server.close()
  await agent.close()
  const { fresh, recycled } = agent.stats.sockets
  process.send({ fresh, recycled }, () => process.disconnect())
}
