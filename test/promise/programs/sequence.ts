/** Sends requests to a closing upstream, each after the end of the connection before. Arguments: origin, count, mode. */
import { RecyclingAgent } from '../../../src/index.js'
import type { RecycleMode } from '../../../src/socket-pool/socket-pool.js'
import { get, quiet } from '../../support/exchange.js'

const [origin, count, recycle] = process.argv.slice(2)
const agent = new RecyclingAgent({ recycle: recycle as RecycleMode })
for (let i = 0; i < Number(count); i++) {
  await get(agent, origin!)
  await quiet(agent)
}
console.log(JSON.stringify(agent.stats.sockets))
