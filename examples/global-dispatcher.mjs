// One agent for the whole process: every fetch, of Node.js and of undici, and every undici.request goes through it.
// Run `npm run build` first, then `node examples/global-dispatcher.mjs`.
import { install, RecyclingAgent } from 'recycling-agent'
import * as undici from 'undici'
import { startUpstream } from './support/upstream.mjs'

const upstream = await startUpstream()

// With undici at hand (7.27 or later, or 8): what one does with any dispatcher.
const agent = new RecyclingAgent()
undici.setGlobalDispatcher(agent)
await visit('the global dispatcher', agent)

// Without it, or with an older undici: `install()` reaches every undici in the process, and the one inside Node.js.
// It makes an agent with default options unless it is given one. The agent before is replaced, not closed.
const installed = install()
await visit('installed', installed)

// The global dispatcher is a closed one now: requests after this line would fail with ClientClosedError.
await Promise.all([agent.close(), installed.close()])
await upstream.close()

async function visit(title, agent) {
  for (let i = 0; i < 5; i++) {
    // A body that is not read to its end keeps its connection busy: with this dispatcher as with any other.
    await (await fetch(upstream.origin)).text()
    await (await undici.fetch(upstream.origin)).text()
    await (await undici.request(upstream.origin)).body.text()
  }
  const { fresh, recycled } = agent.stats.sockets
  console.log(`${title}: ${fresh + recycled} connections, ${fresh} on a new socket, ${recycled} on a recycled one`)
}
