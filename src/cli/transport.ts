/** Which transport an agent gets in this process, and a trial of it. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { lineOf } from './failure.js'
import type { RecyclingAgentClass } from './packages.js'

export interface Choice {
  transport: 'native' | 'net'
  /** Why it is not `native`; `null` where it is. */
  why: string | null
}

/** As an agent chooses, without its warning. */
export async function chooseTransport(RecyclingAgent: RecyclingAgentClass): Promise<Choice> {
  if (process.env.RECYCLING_AGENT_TRANSPORT === 'net') {
    return { transport: 'net', why: 'RECYCLING_AGENT_TRANSPORT=net is set' }
  }
  try {
    await new RecyclingAgent({ transport: 'native' }).close()
    return { transport: 'native', why: null }
  } catch (error) {
    return { transport: 'net', why: lineOf(error) }
  }
}

/** What came of requests to a server of this process that closes each connection. */
export interface Trial {
  requests: number
  created: number
  recycled: number
}

const REQUESTS = 5
const TIMEOUT_MS = 5000
const ANSWER = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'

/**
 * Requests over the loopback interface, one after the other.
 *
 * @throws where there is no loopback, or something is wrong that choosing a transport does not show
 */
export async function tryTransport(RecyclingAgent: RecyclingAgentClass, { transport }: Choice): Promise<Trial> {
  const server = closingServer()
  // A port of our own: no other request goes there.
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const agent = new RecyclingAgent({ transport, headersTimeout: TIMEOUT_MS, connectTimeout: TIMEOUT_MS })
  try {
    for (let i = 0; i < REQUESTS; i++) {
      const { body } = await agent.request({ origin, path: '/', method: 'GET' })
      await body.text()
    }
    const { fresh, recycled } = agent.stats.sockets
    return { requests: REQUESTS, created: fresh, recycled }
  } finally {
    await agent.destroy()
    server.close()
  }
}

function closingServer(): Server {
  return createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(ANSWER))
  })
}
