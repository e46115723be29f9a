/** A program whose only concern, after a moment, is a socket that was upgraded over the origin in its first argument. */
import { upgrade } from 'undici'
import { RecyclingAgent } from '../../../src/index.js'

const [, , origin, ca, ending] = process.argv
const agent = new RecyclingAgent({ connect: { ca: ca! } })
// Says so when the process lives although nothing should keep it.
setTimeout(() => console.log('lingered'), 5000).unref()
process.once('exit', () => console.log('exit'))

const { socket } = await upgrade(origin!, { dispatcher: agent, protocol: 'chat' })
console.log('upgraded')
socket.on('close', () => console.log('closed'))
// Unref'd: until then it is the socket that keeps the process alive.
if (ending === 'own') setTimeout(() => socket.destroy(), 100).unref()
else socket.resume()
