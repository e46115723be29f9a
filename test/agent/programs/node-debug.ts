/** One request that is answered and one that is refused, for those who watch with NODE_DEBUG. */
import { Agent, request } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'

const [, , which, origin] = process.argv
const dispatcher = which === 'undici' ? new Agent() : new RecyclingAgent()
const { body } = await request(`${origin}/path?query`, { dispatcher })
await body.dump()
await request('http://127.0.0.1:1', { dispatcher }).catch(() => {})
await dispatcher.destroy()
