/**
 * Four processes of node:cluster that pass requests on to the origin in the second argument, each with an agent of its
 * own; the primary sends them requests, and ends them in the midst of it, as the first argument says. Prints how each of
 * them ended, and what came of the requests.
 */
import cluster from 'node:cluster'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import { RecyclingAgent } from '../../../src/index.js'

const WORKERS = 4
const LOOPS = 16
/** So many requests are answered before the end begins. */
const ENOUGH = 200
const [ending, origin] = process.argv.slice(2)

async function serve(): Promise<void> {
  const agent = new RecyclingAgent({ keepAliveTimeout: 60_000 })
  const server = createServer(async (request, response) => {
    response.setHeader('connection', 'close')
    try {
      const { body } = await agent.request({ origin: origin!, path: request.url!, method: 'GET' })
      pipeline(body, response, () => {})
    } catch (error) {
      response.writeHead(502).end((error as NodeJS.ErrnoException).code)
    }
  })
  server.listen(0, '127.0.0.1')
}

async function main(): Promise<void> {
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  const addresses = await Promise.all(workers.map(async (worker) => (await once(worker, 'listening')) as [AddressInfo]))
  const front = `http://127.0.0.1:${addresses[0]![0].port}`
  const exits = workers.map(async (worker) => (await once(worker, 'exit')).join(' '))
  // What the primary has accepted for a process that is killed is nobody's, and never answered.
  const agent = new RecyclingAgent({ headersTimeout: 1500 })
  const outcomes: Record<string, number> = {}
  let isOver = false
  let answered = 0
  let onEnough = (): void => {}
  const enough = new Promise<void>((resolve) => {
    onEnough = resolve
  })
  async function ask(id: string): Promise<string> {
    try {
      const { statusCode, body } = await agent.request({ origin: front, path: `/${id}`, method: 'GET' })
      const text = await body.text()
      if (statusCode !== 200) return `${statusCode} ${text}`
      if (++answered === ENOUGH) onEnough()
      return text === `/${id}` ? 'answered' : `answered with ${text}`
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error)
    }
  }
  async function askOn(loop: number): Promise<void> {
    for (let i = 0; !isOver; i++) {
      const outcome = await ask(`${loop}-${i}`)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
  }
  const loops = Array.from({ length: LOOPS }, (_, loop) => askOn(loop))
  await enough
  for (const worker of workers) {
    if (ending === 'disconnect') worker.disconnect()
    else worker.kill()
  }
  const ends = await Promise.all(exits)
  isOver = true
  await Promise.all(loops)
  await agent.close()
  const { leased, idle } = agent.stats.sockets
  console.log(JSON.stringify({ ends, outcomes, leased, idle }))
  // Of processes that are killed while they are handed connections, node:cluster sometimes keeps the listening socket:
  // the primary would never end, whatever client it uses.
  process.exit()
}

if (cluster.isPrimary) await main()
else await serve()
