/** One request after the other, and the moment when nothing of them is left. */
import { setImmediate } from 'node:timers/promises'
import type { RecyclingAgent } from '../../src/index.js'

/** Sends a GET and reads the response to its end. */
export async function get(agent: RecyclingAgent, origin: string, path = '/'): Promise<string> {
  const { body } = await agent.request({ origin, path, method: 'GET' })
  return body.text()
}

/** Resolves when no descriptor is leased: every connection has seen the peer's FIN and is over. */
export async function quiet(agent: RecyclingAgent, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (agent.stats.sockets.leased > 0) {
    if (performance.now() > deadline) throw new Error(`still leased: ${agent.stats.sockets.leased}`)
    await setImmediate()
  }
}
