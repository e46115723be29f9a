/** Connects ahead, and then has nothing to do; the arguments are the origin, its authority, the transport and what to await. */
import { RecyclingAgent, type RecyclingAgentOptions } from '../../../src/index.js'

const [, , origin, ca, transport, mode] = process.argv
const agent = new RecyclingAgent({
  transport: transport as RecyclingAgentOptions['transport'] & string,
  connect: { ca: ca! },
})
// Says so when the process lives although nothing should keep it.
setTimeout(() => console.log('lingered'), 5000).unref()
process.once('exit', () => console.log('exit'))

const preconnected = agent.preconnect(origin!, { connections: 2 })
if (mode === 'open') {
  const timer = setInterval(() => {}, 1000)
  await preconnected
  clearInterval(timer)
  console.log('open')
} else {
  // A socket of Node's that is being connected by TCP keeps the process alive: not so behind that.
  preconnected.then(
    () => console.log('open'),
    (error) => console.log(error.code),
  )
}
