/** A service of node:http for real clients: it answers as it is told, and writes down what it was asked. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { listenDuringTest } from './local-server.js'

/** A request, in a form that does not depend on who sent it when. */
export interface SeenRequest {
  method: string
  url: string
  headers: Record<string, unknown>
  /** A long one as its length and its SHA-256. */
  body: string
}

/** @param earlier how many requests for the same method and target came before since {@link Service.forget} */
export type Answer = (request: SeenRequest, response: ServerResponse, earlier: number) => unknown

export interface ServiceOptions {
  /** Ends each connection with its first response. */
  isClosing?: boolean
  /** Called before the body of the request is read, which it does when this resolves. */
  beforeBody?: (request: IncomingMessage, response: ServerResponse) => unknown
}

export interface Service {
  origin: string
  port: number
  /** Those that came whole since {@link forget}. */
  readonly seen: SeenRequest[]
  /** Connections accepted since {@link forget}. */
  readonly connections: number
  forget(): void
  /** Resolves when a connection ends before its response did. */
  abandoned(): Promise<void>
}

const LONG_BODY = 1000

/** Runs until the test is finished. */
export async function startService(
  answer: Answer,
  { isClosing = false, beforeBody = () => {} }: ServiceOptions = {},
): Promise<Service> {
  const seen: SeenRequest[] = []
  let connections = 0
  let abandoned = 0
  let wake: (() => void)[] = []
  const server = createServer(async (request, response) => {
    response.shouldKeepAlive = !isClosing
    response.on('close', () => {
      if (response.writableFinished) return
      abandoned++
      for (const resolve of wake) resolve()
      wake = []
    })
    try {
      await beforeBody(request, response)
      const whole = await readRequest(request)
      const earlier = seen.filter(({ method, url }) => method === whole.method && url === whole.url).length
      seen.push(whole)
      await answer(whole, response, earlier)
    } catch (error) {
      // The client has gone.
      response.destroy(error as Error)
    }
  })
  server.on('connection', () => connections++)
  server.on('clientError', (_error, socket) => socket.destroy())
  const port = await listenDuringTest(server)
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    seen,
    get connections() {
      return connections
    },
    forget() {
      seen.length = 0
      connections = 0
      abandoned = 0
    },
    async abandoned() {
      while (abandoned === 0) await new Promise<void>((resolve) => wake.push(resolve))
    },
  }
}

async function readRequest(request: IncomingMessage): Promise<SeenRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  const { boundary, body } = withoutBoundary(request.headers['content-type'], Buffer.concat(chunks))
  const headers: Record<string, unknown> = { ...request.headers }
  if (boundary !== null) headers['content-type'] = request.headers['content-type']!.replace(boundary, 'BOUNDARY')
  return { method: request.method!, url: request.url!, headers, body: inShort(body) }
}

/** The boundary of a multipart body is another one each time. */
function withoutBoundary(type: string | undefined, body: Buffer): { boundary: string | null; body: Buffer } {
  const boundary = /^multipart\/.*boundary="?([^";]+)/.exec(type ?? '')?.[1] ?? null
  if (boundary === null) return { boundary, body }
  return { boundary, body: Buffer.from(body.toString('latin1').replaceAll(boundary, 'BOUNDARY'), 'latin1') }
}

/** A text as it is, if it is not long. */
export function inShort(bytes: Uint8Array | string): string {
  const buffer = Buffer.from(bytes)
  if (buffer.length <= LONG_BODY) return buffer.toString('utf8')
  return `${buffer.length} bytes, SHA-256 ${createHash('sha256').update(buffer).digest('hex')}`
}

/** Sends JSON. */
export function sendJson(response: ServerResponse, value: unknown, status = 200, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value))
}

/** Ends the connection with RST. */
export const reset = (response: ServerResponse): void => void response.socket!.resetAndDestroy()

/** Where nobody listens. */
export async function unusedOrigin(): Promise<string> {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}`
}
