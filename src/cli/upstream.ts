/** A look at an upstream, with a few requests: what becomes of its connections, and of its TLS sessions. */
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import type { Load } from './arguments.js'
import { CONNECT_TIMEOUT_MS, describeFailure, type Exchange, exchange, isLoss, RESPONSE_TIMEOUTS } from './exchange.js'
import { Failure } from './failure.js'
import type { Undici } from './packages.js'

/** What was seen. */
export interface Look {
  /** How many requests it took. */
  requests: number
  /** Of the first response. */
  status: number
  /** A connection stayed open behind its first response. */
  keeps: boolean
  /** The responses say that their connection ends with them; `null` where it does not. */
  announces: boolean | null
  /** TLS's version; `null` without TLS. */
  tls: string | null
  /** A second connection resumed the session of the first; `null` without TLS. */
  resumes: boolean | null
}

/** At most so many requests are sent. */
export const LOOKS = 3

/** A server that closes has done so by then. */
const END_WITHIN_MS = 150
const POLL_MS = 5

/** @throws Failure when it does not answer */
export async function lookAt(undici: Undici, load: Load): Promise<Look> {
  const isSecure = load.url.protocol === 'https:'
  const sockets: Socket[] = []
  const sessions: Session[] = []
  // undici's cache holds them weakly: a collection would make an upstream look like one that resumes none.
  const heldSessions: Buffer[] = []
  const ended = new Set<Socket>()
  const connect = undici.buildConnector({
    rejectUnauthorized: !load.isInsecure,
    allowH2: false,
    timeout: CONNECT_TIMEOUT_MS,
  })
  const recording = (options: buildConnector.Options, callback: buildConnector.Callback): void => {
    connect(options, (...result) => {
      const [error, socket] = result
      if (error === null) {
        sockets.push(socket)
        if (isSecure) {
          // Of a socket that has ended it cannot be asked any more.
          sessions.push(sessionOf(socket as TLSSocket))
          socket.on('session', (session: Buffer) => heldSessions.push(session))
        }
        socket.once('end', () => ended.add(socket)).once('close', () => ended.add(socket))
      }
      callback(...result)
    })
  }
  const agent = new undici.Agent({ ...RESPONSE_TIMEOUTS, connections: 1, connect: recording })
  let requests = 0
  const send = async (): Promise<Exchange> => {
    requests++
    return exchange(agent, load)
  }
  try {
    const first = await send()
    const [socket] = sockets
    if (socket === undefined) throw new Failure('there is no connection to look at')
    let keeps = !(await hasEnded(socket, ended))
    let announces = keeps ? null : first.isAnnouncedEnd
    const isLost = await send().then(() => false, isLossOrThrow)
    if (keeps && (isLost || sockets.length > 1)) {
      keeps = false
      announces = first.isAnnouncedEnd
    }
    // Another connection, after one whose session has had time to come.
    if (isSecure && sockets.length < 2) {
      socket.destroy()
      await send()
    }
    const [session] = sessions
    const tls = session?.protocol ?? null
    const resumes = session === undefined ? null : sessions.at(-1)!.isResumed
    return { requests, status: first.status, keeps, announces, tls, resumes }
  } catch (error) {
    throw describeFailure(error, load)
  } finally {
    await agent.destroy()
  }
}

interface Session {
  protocol: string | null
  isResumed: boolean
}

const sessionOf = (socket: TLSSocket): Session => ({
  protocol: socket.getProtocol(),
  isResumed: socket.isSessionReused(),
})

async function hasEnded(socket: Socket, ended: ReadonlySet<Socket>): Promise<boolean> {
  for (let waited = 0; waited < END_WITHIN_MS; waited += POLL_MS) {
    if (ended.has(socket) || socket.destroyed) return true
    await setTimeout(POLL_MS)
  }
  return false
}

function isLossOrThrow(error: unknown): true {
  if (isLoss(error)) return true
  throw error
}
