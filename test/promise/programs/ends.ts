/** A program that ends, in the way that its first argument says, while its agent has connections to the second. */
import { RecyclingAgent } from '../../../src/index.js'

const [ending, origin] = process.argv.slice(2)
const agent = new RecyclingAgent({ keepAliveTimeout: 60_000 })
const { body } = await agent.request({ origin: origin!, path: '/', method: 'GET' })
await body.text()
const { connected } = agent.stats[origin as `http:${string}`]!
const answeredAt = performance.now()
process.once('exit', () => console.log(JSON.stringify({ connected, lingeredMs: performance.now() - answeredAt })))
if (ending !== 'idle') {
  // Some are never answered; some are, again and again.
  for (let i = 0; i < 4; i++) void agent.request({ origin: origin!, path: '/silent', method: 'GET' })
  const load = async (): Promise<never> => {
    for (;;) await (await agent.request({ origin: origin!, path: '/', method: 'GET' })).body.text()
  }
  void load()
  setTimeout(() => {
    if (ending === 'exit') process.exit(3)
    if (ending === 'kill') process.kill(process.pid, 'SIGTERM')
    throw new Error('the end')
  }, 50)
}
