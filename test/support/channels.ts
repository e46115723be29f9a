/** What is told on undici's diagnostics channels, written down in a form that two dispatchers can be compared in. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { onTestFinished } from 'vitest'
import { describeError } from './handlers.js'

/** A message of any of undici's channels, with what it may hold. */
export interface Message {
  request: ShownRequest
  response: { statusCode: number; statusText: string; headers: Buffer[] }
  trailers: Buffer[]
  chunk: unknown
  error: unknown
  headers: string
  connectParams: Record<string, unknown>
  connector: unknown
  socket: Record<string, unknown>
}

/** undici's request, as subscribers use it. */
export interface ShownRequest {
  headers: (string | string[])[]
  completed: boolean
  aborted: boolean
  method: string
  path: string
  origin: string
  addHeader(name: string, value: unknown): unknown
  abort(reason?: Error): void
}

export const channelNames = [
  'undici:request:create',
  'undici:request:bodyChunkSent',
  'undici:request:bodySent',
  'undici:request:headers',
  'undici:request:bodyChunkReceived',
  'undici:request:trailers',
  'undici:request:error',
  'undici:client:beforeConnect',
  'undici:client:connected',
  'undici:client:connectError',
  'undici:client:sendHeaders',
] as const
export type ChannelName = (typeof channelNames)[number]

/** Subscribes until the test is finished, or until the function that is returned is called. */
export function onMessage(name: ChannelName, listener: (message: Message) => void): () => void {
  const onMessage = (message: unknown): void => listener(message as Message)
  subscribe(name, onMessage)
  const end = (): void => void unsubscribe(name, onMessage)
  onTestFinished(end)
  return end
}

/** The fields of a request that undici shows, whatever else it may have. */
const REQUEST_FIELDS = [
  'method',
  'path',
  'origin',
  'headers',
  'completed',
  'aborted',
  'body',
  'host',
  'contentLength',
  'contentType',
  'upgrade',
  'idempotent',
  'blocking',
  'reset',
  'headersTimeout',
  'bodyTimeout',
  'servername',
  'protocol',
  'throwOnError',
  'typeOfService',
  'expectContinue',
] as const

const text = (raw: Buffer[]): string[] =>
  raw.map((bytes) => (Buffer.isBuffer(bytes) ? bytes.toString('latin1') : 'no Buffer'))

const chunkText = (chunk: unknown): string =>
  typeof chunk === 'string' ? `string ${chunk}` : `${Buffer.isBuffer(chunk)} ${Buffer.from(chunk as Buffer)}`

function describeSocket({
  localAddress,
  localPort,
  remoteAddress,
  remoteFamily,
  remotePort,
  alpnProtocol,
}: Message['socket']) {
  return { localAddress, localPort: typeof localPort, remoteAddress, remoteFamily, remotePort, alpnProtocol }
}

/** A message in words: the numbers of requests and sockets instead of themselves. */
export type Line = [name: string, ...said: unknown[]]

export class Transcript {
  readonly lines: Line[] = []
  readonly #requests: unknown[] = []
  readonly #sockets: unknown[] = []
  readonly #announced: unknown[] = []

  /** Begins to write down; ends with the test, or with {@link end}. */
  readonly end: () => void

  constructor() {
    const ends = channelNames.map((name) =>
      onMessage(name, (message) => this.lines.push(this.#describe(name, message))),
    )
    this.end = () => {
      for (const end of ends) end()
    }
  }

  #describe(name: ChannelName, message: Message): Line {
    const { request, response, trailers, chunk, error, headers, connectParams, connector, socket } = message
    const line: Line = [name]
    if (request) line.push(`request ${number(this.#requests, request)}`)
    if (name === 'undici:request:create') line.push(showFields(request))
    if (name === 'undici:request:trailers') line.push(request.completed)
    if (response) line.push(response.statusCode, response.statusText, text(response.headers))
    if (trailers) line.push(text(trailers))
    if ('chunk' in message) line.push(chunkText(chunk))
    if ('error' in message) line.push(...describeError(error))
    if (headers) line.push(headers)
    if (name === 'undici:client:beforeConnect') this.#announced.push(connector)
    if (connectParams) line.push(connectParams, typeof connector, this.#announced.includes(connector))
    if (socket) line.push(`socket ${number(this.#sockets, socket)}`, describeSocket(socket))
    line.push(Object.keys(message))
    return line
  }
}

function number(known: unknown[], object: unknown): number {
  if (!known.includes(object)) known.push(object)
  return known.indexOf(object)
}

function showFields(request: ShownRequest): object {
  const fields = { ...request } as unknown as Record<string, unknown>
  // Of a body the listeners differ: its kind and its bytes do not.
  if (fields.body) fields.body = Buffer.isBuffer(fields.body) ? chunkText(fields.body) : fields.body.constructor.name
  return Object.fromEntries(
    REQUEST_FIELDS.map((field) => [
      field,
      Array.isArray(fields[field]) ? [...(fields[field] as unknown[])] : fields[field],
    ]),
  )
}
