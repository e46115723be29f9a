/**
 * Sends requests to an upstream of its own that closes each connection, and counts what TIME_WAIT that leaves.
 * Arguments: how many requests, and `dissolve`, `graceful`, `off` or `undici`.
 */
import { Agent, type Dispatcher } from 'undici'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../../src/index.js'
import { quiet } from '../../support/exchange.js'
import { socketsOn } from '../../support/socket-table.js'
import { startNodeUpstream } from '../../support/upstream.js'

const CONCURRENCY = 32
const TIME_WAIT = '06'

const [count, client] = process.argv.slice(2)
const requests = Number(count)
const upstream = await startNodeUpstream()
const agent: Dispatcher =
  client === 'undici'
    ? new Agent()
    : new RecyclingAgent({ recycle: client as NonNullable<RecyclingAgentOptions['recycle']>, transport: 'native' })

/** By the end at which it is kept. */
function timeWaits(): { client: number; upstream: number } {
  const rows = socketsOn(upstream.port).filter(({ state }) => state === TIME_WAIT)
  const ofUpstream = rows.filter(({ localPort }) => localPort === upstream.port).length
  return { client: rows.length - ofUpstream, upstream: ofUpstream }
}

let sent = 0
let answered = 0
const failures: Record<string, number> = {}
const most = { client: 0, upstream: 0 }

function look(): void {
  const now = timeWaits()
  most.client = Math.max(most.client, now.client)
  most.upstream = Math.max(most.upstream, now.upstream)
}

async function work(): Promise<void> {
  while (sent < requests) {
    sent++
    try {
      const { body } = await agent.request({ origin: upstream.origin, path: '/', method: 'GET' })
      if ((await body.text()) === 'hello world\n') answered++
    } catch (error) {
      const { code = 'none' } = error as NodeJS.ErrnoException
      failures[code] = (failures[code] ?? 0) + 1
    }
    if (sent % 1000 === 0) look()
  }
}

await Promise.all(Array.from({ length: CONCURRENCY }, work))
if (agent instanceof RecyclingAgent) await quiet(agent)
look()
const sockets = agent instanceof RecyclingAgent ? agent.stats.sockets : null
console.log(JSON.stringify({ answered, failures, left: timeWaits(), most, sockets, complaints: upstream.complaints() }))
await agent.close()
await upstream.close()
