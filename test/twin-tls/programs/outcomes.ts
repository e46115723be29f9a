/**
 * A program of several dispatchers, for what the environment and the flags of a process say about TLS. Its argument is
 * {@link Wanted} as JSON; it prints what came of each request, as JSON, a list for each dispatcher.
 */
import { Agent } from 'undici'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../../src/index.js'
import { EVERYWHERE } from '../deviations.js'
import { describeError } from '../errors.js'

export interface Wanted {
  /** Of RecyclingAgent; `null` for undici's Agent. */
  dispatchers: (RecyclingAgentOptions | null)[]
  /** The options of `connect`, for a request each. */
  connects: object[]
  port: number
}

const { dispatchers, connects, port }: Wanted = JSON.parse(process.argv[2]!)

async function outcomeOf(chosen: RecyclingAgentOptions | null, connect: object): Promise<unknown> {
  const agent =
    chosen === null ? new Agent({ ...EVERYWHERE.http1.options, connect }) : new RecyclingAgent({ connect, ...chosen })
  try {
    const { statusCode, body } = await agent.request({ origin: `https://127.0.0.1:${port}`, path: '/', method: 'GET' })
    return [statusCode, await body.text()]
  } catch (error) {
    return describeError(error, [port])
  } finally {
    await agent.destroy()
  }
}

const outcomes: unknown[][] = []
for (const chosen of dispatchers) {
  const own: unknown[] = []
  for (const connect of connects) own.push(await outcomeOf(chosen, connect))
  outcomes.push(own)
}
console.log(JSON.stringify(outcomes))
