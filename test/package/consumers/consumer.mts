/** A TypeScript consumer, as an ES module: it is type-checked against the installed package, and then run. */
import { install, RecyclingAgent, RecyclingPool, SocketPool } from 'recycling-agent'
import { type Dispatcher, request } from 'undici'

const origin = process.argv[2]!
const agent: Dispatcher = new RecyclingAgent({ connections: 4, connect: { timeout: 1000 } })
const { statusCode, body } = await request(origin, { dispatcher: agent })
const text: string = await body.text()
await agent.close()
const names: string[] = [install, RecyclingAgent, RecyclingPool, SocketPool].map(({ name }) => name)
console.log(JSON.stringify({ statusCode, text, names }))
// @ts-expect-error: a mode that there is not
export const wrong = (): unknown => new RecyclingAgent({ recycle: 'sometimes' })
