/** One request, behind which a spare connection is made, and then nothing to do; the arguments: origin, transport, state. */
import { connect } from 'node:net'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../../src/index.js'

const [, , origin, transport, state] = process.argv
let made = 0
const agent = new RecyclingAgent({
  transport: transport as RecyclingAgentOptions['transport'] & string,
  spareConnections: 2,
  keepAliveTimeout: 60_000,
  ...(state === 'being made' && {
    // The second one is there, but is not handed over.
    connect: (({ port }: { port: string }, done: (error: null, socket: object) => void) => {
      const isHandedOver = made++ === 0
      const socket = connect(Number(port), '127.0.0.1', () => isHandedOver && done(null, socket))
      return socket
    }) as never,
  }),
})
// Says so when the process lives although nothing should keep it.
setTimeout(() => console.log('lingered'), 5000).unref()

const { body } = await agent.request({ origin: origin!, path: '/', method: 'GET' })
console.log(await body.text())
while (agent.stats.spares.made === 0) await new Promise((resolve) => setImmediate(resolve))
process.once('exit', () => console.log('exit'))
