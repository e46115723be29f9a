/** The two clients that are compared, with equal options, and what each did with its sockets. */
import type { Dispatcher } from 'undici'
import type { Load } from './arguments.js'
import { CONNECT_TIMEOUT_MS, RESPONSE_TIMEOUTS } from './exchange.js'
import type { Packages } from './packages.js'
import type { Choice } from './transport.js'

/** What became of sockets, and of requests whose connection ended under them. */
export interface Sockets {
  created: number
  recycled: number
  /** Requests that were sent once more. */
  sentAgain: number
}

export interface Client {
  title: string
  dispatcher: Dispatcher
  sockets(): Sockets
}

export interface Clients {
  undici: Client
  recycling: Client
}

/** Both over HTTP/1.1: undici 8 would speak HTTP/2 where it is offered. */
export function createClients({ RecyclingAgent, undici }: Packages, load: Load, { transport }: Choice): Clients {
  const connect = { rejectUnauthorized: !load.isInsecure, timeout: CONNECT_TIMEOUT_MS }
  const options = { ...RESPONSE_TIMEOUTS, allowH2: false, connect }
  const agent = new undici.Agent(options)
  const recycling = new RecyclingAgent({ ...options, transport })
  return {
    undici: { title: "undici's Agent", dispatcher: agent, sockets: countingConnections(agent) },
    recycling: {
      title: 'RecyclingAgent',
      dispatcher: recycling,
      sockets:
        transport === 'net'
          ? countingConnections(recycling, () => recycling.stats.sentAgain)
          : () => {
              const { sockets, sentAgain } = recycling.stats
              return { created: sockets.fresh, recycled: sockets.recycled, sentAgain }
            },
    },
  }
}

/** Of a client that creates a socket for each connection. */
function countingConnections(dispatcher: Dispatcher, sentAgain: () => number = () => 0): () => Sockets {
  let created = 0
  dispatcher.on('connect', () => created++)
  return () => ({ created, recycled: 0, sentAgain: sentAgain() })
}
