/** What servers of scenarios do, and the scenario of one request and its answer. */
import type { RawPeer } from '../support/raw-server.js'
import type { Hooks } from './recorder.js'
import type { AnyOptions, Play } from './twin.js'

export const HEAD = 'HTTP/1.1 200 OK\r\n'

/** What the server does when it has the first request. */
export interface Answer {
  bytes: string
  /** What follows the bytes. */
  ending?: 'fin' | 'reset'
}

/** Answers each request with these bytes; then, if asked for, ends the connection. */
export const answer =
  ({ bytes, ending }: Answer) =>
  async (peer: RawPeer): Promise<void> => {
    while ((await peer.request()) !== null) {
      if (ending === 'reset' && bytes === '') return void peer.socket.resetAndDestroy()
      peer.write(bytes)
      if (ending !== undefined) return void peer.socket.end()
    }
  }

export interface OneExchange {
  request?: AnyOptions
  agent?: AnyOptions
  hooks?: Hooks
}

/** One request, its answer, and what becomes of the connection if the answer ends it. */
export const exchange =
  (served: Answer, { request = {}, agent: options, hooks }: OneExchange = {}): Play =>
  async (stage) => {
    const { origin } = await stage.server(answer(served))
    const agent = stage.agent(options)
    await stage.send(agent, { origin, ...request }, hooks).done
    if (served.ending !== undefined) await stage.noted('disconnect')
  }

/**
 * A request that nobody has to answer: what comes of it is known within the call. With one connection undici's Agent
 * hands it to a Client, whose return value is not lost in a Pool.
 */
export const refused =
  (request: AnyOptions | unknown, options: AnyOptions = { connections: 1 }): Play =>
  async (stage) => {
    const given = isPlain(request) ? { origin: 'http://127.0.0.1:1', ...request } : request
    stage.dispatch(stage.agent(options), given, stage.exchange())
  }

const isPlain = (value: unknown): value is AnyOptions => typeof value === 'object' && value !== null
