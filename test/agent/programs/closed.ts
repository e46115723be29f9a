/** Closes an agent and ends; prints for how long, in milliseconds, it was kept from that. */
import { request } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'

const [origin = '', ca = ''] = process.argv.slice(2)
const agent = new RecyclingAgent({ connect: { ca } })
const { body } = await request(origin, { dispatcher: agent })
await body.dump()
const since = performance.now()
await agent.close()
process.once('exit', () => console.log((performance.now() - since).toFixed()))
