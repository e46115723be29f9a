/**
 * Upstreams behind a link with a delay, of each kind: they keep their connections, or end each behind its response. The
 * argument is a {@link DelayedUpstreams} as JSON; sends the ports by the names of {@link portName}, and ends with its parent.
 *
 * The link is a relay that holds back each direction. TCP's own handshake, which the relay's kernel does at once, counts as
 * a round trip, too: what could not have been sent before its end waits for that.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer, type SecureVersion } from 'node:tls'

export interface DelayedUpstreams {
  /** Of each direction, in milliseconds. */
  delayMs: number
  key: string
  cert: string
}

export const VERSIONS = [null, 'TLSv1.2', 'TLSv1.3'] as const
/** `null`: without TLS. */
export type Version = (typeof VERSIONS)[number]

export const portName = (version: Version, closes: boolean): string => `${version} ${closes ? 'closing' : 'keeping'}`

function serve(socket: Socket, closes: boolean): void {
  socket.on('error', () => {})
  socket.on('data', () => {
    if (closes) socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok')
    else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  })
}

function upstream({ key, cert }: DelayedUpstreams, version: SecureVersion | null, closes: boolean): Server {
  if (version === null) return createServer({ noDelay: true }, (socket) => serve(socket, closes))
  const options = { key, cert, minVersion: version, maxVersion: version, noDelay: true }
  return createSecureServer(options, (socket) => serve(socket, closes))
}

/** What comes from one side is passed on to the other, in its order. @param from nothing can have been sent before that */
function pass(source: Socket, target: Socket, from: number, delayMs: number): void {
  const later = (action: () => void): void => {
    setTimeout(action, Math.ceil(Math.max(0, from - performance.now()) + delayMs))
  }
  source.on('error', () => {})
  source.on('data', (chunk) => later(() => target.writable && target.write(chunk)))
  source.on('end', () => later(() => target.end()))
}

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function main(plan: DelayedUpstreams): Promise<void> {
  const ports: Record<string, number> = {}
  const { delayMs } = plan
  for (const version of VERSIONS) {
    for (const closes of [true, false]) {
      const port = await portOf(upstream(plan, version, closes))
      const relay = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
        const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
        pass(client, server, performance.now() + 2 * delayMs, delayMs)
        pass(server, client, 0, delayMs)
      })
      ports[portName(version, closes)] = await portOf(relay)
    }
  }
  process.on('disconnect', () => process.exit())
  process.send!(ports)
}

if (process.send !== undefined && process.argv[2] !== undefined) await main(JSON.parse(process.argv[2]))
