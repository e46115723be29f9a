/** A program with no undici of its own: the built-in fetch, and what comes with the package. */
import { install, RecyclingAgent } from '../../src/index.js'

const [, , mode, origin] = process.argv
// In this mode Node.js has loaded its own undici, and put an agent of its own in the global place, before.
if (mode === 'late') await (await fetch(origin!)).text()
const agent = install()
if (!(agent instanceof RecyclingAgent)) throw new Error('no RecyclingAgent')
let connections = 0
agent.on('connect', () => connections++)
const response = await fetch(origin!, { method: 'POST', body: 'sent' })
console.log(await response.text(), connections)
