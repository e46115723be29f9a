/**
 * An upstream for handshakes, one of each version of TLS: answers whatever comes on a connection once, and closes it. Sends
 * the authority of its certificates, and its ports; ends with its parent.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { Holder } from '../../support/x509.js'

const BACKLOG = 4096
const ANSWER = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'

const authority = Holder.authority()
const identity = authority.issue().identity()

async function portOf(version: 'TLSv1.2' | 'TLSv1.3'): Promise<number> {
  const server = createServer({ ...identity, minVersion: version, maxVersion: version, noDelay: true }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(ANSWER))
  })
  server.on('tlsClientError', () => {})
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const ports = [await portOf('TLSv1.3'), await portOf('TLSv1.2')]
process.on('disconnect', () => process.exit())
process.send?.({ ports, ca: authority.cert })
