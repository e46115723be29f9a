/** Requests with `expectContinue: true`, their bodies, and servers that ask for them or do not. */
import { Readable } from 'node:stream'
import { type Dispatcher, FormData as UndiciFormData } from 'undici'
import { type Event, type Hooks, type Recording, recording, type Style } from './handlers.js'
import type { RawPeer } from './raw-server.js'

export const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
export const REFUSAL = 'HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno'
export const UNKNOWN = 'HTTP/1.1 417 What\r\ncontent-length: 4\r\n\r\nwhat'
export const ended: Event = ['end', []]

export async function* pieces(...strings: string[]): AsyncGenerator<string> {
  for (const string of strings) {
    await Promise.resolve()
    yield string
  }
}

const form = (): UndiciFormData => {
  const data = new UndiciFormData()
  data.append('f', new Blob(['piece']), 'n')
  return data
}

/** Name, body, what is received, a content-length of the caller's. */
export const bodies: [name: string, body: () => unknown, received: RegExp, headers?: Record<string, string>][] = [
  ['a string', () => 'piece', /^piece$/],
  ['a Buffer', () => Buffer.from('piece'), /^piece$/],
  ['many bytes', () => Buffer.alloc(1_000_000, 'x'), /^x{1000000}$/],
  ['a Blob', () => new Blob(['pie', 'ce']), /^piece$/],
  ['a stream', () => Readable.from(['pie', 'ce']), /^piece$/],
  ['a stream of known length', () => Readable.from(['pie', 'ce']), /^piece$/, { 'content-length': '5' }],
  ['a long stream', () => Readable.from(Array(30).fill('x'.repeat(100_000))), /^x{3000000}$/],
  ['an array', () => ['pie', '', 'ce'], /^piece$/],
  ['an async generator', () => pieces('pie', '', 'ce'), /^piece$/],
  ['a generator of known length', () => pieces('piece'), /^piece$/, { 'content-length': '5' }],
  ['a web stream', () => new Blob(['piece']).stream(), /^piece$/],
  ['a form', form, /^--(\S+)\r\n[\s\S]*\r\n\r\npiece\r\n--\1--\r\n$/],
]

export interface Sent extends Recording {
  /** The names of what the handler was told, with the statuses of heads. */
  readonly told: unknown[]
}

const told = (events: readonly Event[]): unknown[] => events.map(([name, said]) => (name === 'head' ? said : name))

export function send(
  agent: Dispatcher,
  options: Record<string, unknown>,
  style: Style = 'new',
  hooks: Hooks = {},
): Sent {
  const sent = recording(style, hooks)
  const all = { path: '/', method: 'POST', expectContinue: true, ...options }
  agent.dispatch(all as unknown as Dispatcher.DispatchOptions, sent.handler)
  return {
    ...sent,
    get told() {
      return told(sent.events)
    },
  }
}

/** Resolves when the head has come. */
export const untilHead = (peer: RawPeer): Promise<void> => peer.received(/\r\n\r\n/)

/** Asks for the body of each request. */
export const asking =
  (response: string) =>
  async (peer: RawPeer): Promise<void> => {
    for (;;) {
      try {
        await untilHead(peer)
      } catch {
        return
      }
      if (/^expect:/m.test(peer.pending)) peer.write(CONTINUE)
      if ((await peer.request()) === null) return
      peer.write(response)
    }
  }

/** Answers each head with these bytes, and reads no body. */
export const refusing =
  (response: string) =>
  async (peer: RawPeer): Promise<void> => {
    await untilHead(peer)
    peer.write(response)
  }

/** What a stream does, and what is done to it. */
export function watchedStream(): { stream: Readable; seen: string[] } {
  const seen: string[] = []
  const stream = new Readable({
    read() {
      seen.push('read')
      this.push('piece')
      this.push(null)
    },
    destroy(error, done) {
      seen.push(error === null ? 'destroyed' : `destroyed: ${error.message}`)
      done(error)
    },
  })
  stream.on('error', () => {})
  return { stream, seen }
}
