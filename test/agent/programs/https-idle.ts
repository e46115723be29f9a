/** One request over TLS, and then nothing to do; the arguments are the origin, its authority and the transport. */
import { request } from 'undici'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../../src/index.js'

const [, , origin, ca, transport] = process.argv
const agent = new RecyclingAgent({
  transport: transport as RecyclingAgentOptions['transport'] & string,
  connect: { ca: ca! },
})
// Says so when the process lives although nothing should keep it.
setTimeout(() => console.log('lingered'), 5000).unref()

const { body } = await request(origin!, { dispatcher: agent })
console.log(await body.text())
process.once('exit', () => console.log('exit'))
