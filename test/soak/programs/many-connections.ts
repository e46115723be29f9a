/**
 * As many connections at once as it is told, by one agent, and twice: fresh ones, and the same again when they idle.
 *
 * Arguments: origin, number of connections. Prints what came of it.
 */
import { RecyclingAgent } from '../../../src/index.js'
import { countDescriptors } from '../../support/descriptors.js'
import { quiet } from '../../support/exchange.js'
import { getTogether } from '../together.js'

const [origin = '', count] = process.argv.slice(2)
const total = Number(count)
const connectTimeout = 30_000

await new RecyclingAgent().close()
const before = countDescriptors()
const began = performance.now()
const agent = new RecyclingAgent({ connect: { timeout: connectTimeout } })
let connected = 0
agent.on('connect', () => connected++)
const served: number[] = []
for (let round = 0; round < 2; round++) {
  const answers = await getTogether(agent, origin, total)
  served.push(answers.filter((open) => open === total).length)
}
const most = countDescriptors() - before
await agent.close()
await quiet(agent)
const left = countDescriptors() - before
console.log(JSON.stringify({ served, connected, most, left, ms: Math.round(performance.now() - began) }))
