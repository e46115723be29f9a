/** One request that is answered and one that is refused, for those who watch with NODE_DEBUG. */
import { RecyclingAgent } from '../../../src/index.js'

const [, , which, origin] = process.argv
const dispatcher = which === 'undici' ? new (await import('undici')).Agent() : new RecyclingAgent()
const { body } = await dispatcher.request({ origin: origin!, path: '/path?query', method: 'GET' })
await body.dump()
await dispatcher.request({ origin: 'http://127.0.0.1:1', path: '/', method: 'GET' }).catch(() => {})
await dispatcher.destroy()
