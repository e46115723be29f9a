/** Closes an agent and ends; prints how many of its descriptors wait for their peers' FINs then. */
import { request } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'

const [origin = '', ca = ''] = process.argv.slice(2)
const agent = new RecyclingAgent({ connect: { ca } })
const { body } = await request(origin, { dispatcher: agent })
await body.dump()
await agent.close()
process.once('exit', () => console.log(`in use at the end: ${agent.stats.sockets.leased}`))
