/** Sessions of TLS: kept by name, resumed by the next connection (RFC 8446 2.2), and one SecureContext for all. */
import tls, { createSecureContext, type TLSSocket, type TlsOptions } from 'node:tls'
import type { Dispatcher } from 'undici'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent, secureDispatchers } from '../support/dispatchers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['localhost', 'a.test', 'b.test', '127.0.0.1'])
})

expectNoDescriptorLeft()

/** A server that ends each connection with its first response, and notes which ones have resumed a session. */
async function closingServer(options: TlsOptions = {}) {
  const reused: boolean[] = []
  const versions: (string | null)[] = []
  const serve = async (peer: RawPeer): Promise<void> => {
    const socket = peer.socket as TLSSocket
    reused[peer.index] = socket.isSessionReused()
    versions[peer.index] = socket.getProtocol()
    await peer.request()
    socket.end(ok('', 'connection: close\r\n'))
  }
  return { ...(await rawServer(serve, { secure: { ...certificate, ...options } })), reused, versions }
}

/** One request per connection, each over before the next begins. */
async function sequence(agent: Dispatcher, origin: string, servernames: (string | undefined)[]): Promise<void> {
  for (const servername of servernames) {
    const over = new Promise((resolve) => agent.once('disconnect', resolve))
    const options = { origin, path: '/', method: 'GET', ...(servername && { servername }) }
    const { body } = await agent.request(options as Dispatcher.RequestOptions)
    await body.dump()
    await over
  }
}

const versions = ['TLSv1.2', 'TLSv1.3'] as const

describe.each(secureDispatchers)('%s', (_name, make) => {
  it.each(versions)('resumes nothing with maxCachedSessions: 0 (%s)', async (maxVersion) => {
    const { origin, reused } = await closingServer({ maxVersion })
    await sequence(make({ maxCachedSessions: 0, connect: { ca } }), origin, [undefined, undefined])
    expect(reused).toEqual([false, false])
  })

  it('resumes the session in connect.session with every connection', async () => {
    const { origin, port, reused } = await closingServer({ maxVersion: 'TLSv1.2' })
    const socket = tls.connect({ port, host: '127.0.0.1', ca })
    const session = await new Promise<Buffer>((resolve) => socket.once('session', resolve))
    socket.destroy()
    await sequence(make({ connect: { ca, session } }), origin, [undefined, undefined])
    expect(reused).toEqual([false, true, true])
  })

  it('resumes nothing of another dispatcher', async () => {
    const { origin, reused } = await closingServer()
    await sequence(make({ connect: { ca } }), origin, [undefined])
    await sequence(make({ connect: { ca } }), origin, [undefined])
    expect(reused).toEqual([false, false])
  })
})

// undici's Agent forgets an origin's sessions with its last connection (undici agent, closeClientIfUnused).
describe.each(['native', 'node'] as const)('RecyclingAgent, tlsTransport: %s', (tlsTransport) => {
  it.each(versions)('resumes the session of the connection before (%s)', async (maxVersion) => {
    const { origin, reused, versions } = await closingServer({ maxVersion })
    await sequence(recyclingAgent({ tlsTransport, connect: { ca } }), origin, [undefined, undefined, undefined])
    expect(reused).toEqual([false, true, true])
    expect(versions).toEqual([maxVersion, maxVersion, maxVersion])
  })

  it('keeps the sessions of each name apart', async () => {
    const { origin, reused } = await closingServer()
    await sequence(recyclingAgent({ tlsTransport, connect: { ca } }), origin, ['a.test', 'b.test', 'a.test', 'b.test'])
    expect(reused).toEqual([false, false, true, true])
  })

  it('keeps at most maxCachedSessions: the oldest goes', async () => {
    const { origin, reused } = await closingServer()
    const agent = recyclingAgent({ tlsTransport, connect: { ca, maxCachedSessions: 1 } as object })
    await sequence(agent, origin, ['a.test', 'b.test', 'b.test', 'a.test'])
    expect(reused).toEqual([false, false, true, false])
  })

  it('reads the certificate authorities once, whatever the number of connections and origins', async () => {
    const first = await closingServer()
    const second = await closingServer()
    const agent = recyclingAgent({ tlsTransport, connect: { ca } })
    const create = vi.spyOn(tls, 'createSecureContext')
    try {
      await sequence(agent, first.origin, [undefined, undefined])
      await sequence(agent, second.origin, [undefined, undefined])
      expect(create.mock.calls.map(([options]) => options?.ca)).toEqual([ca])
    } finally {
      create.mockRestore()
    }
  })

  it('makes no SecureContext without need: for http, or where there is one', async () => {
    const { origin } = await rawServer(answering(ok('', 'connection: close\r\n')))
    const secure = await closingServer()
    const secureContext = createSecureContext({ ca })
    const create = vi.spyOn(tls, 'createSecureContext')
    try {
      await sequence(recyclingAgent({ tlsTransport, connect: { ca } }), origin, [undefined])
      await sequence(recyclingAgent({ tlsTransport, connect: { secureContext } }), secure.origin, [undefined])
      expect(create).not.toHaveBeenCalled()
    } finally {
      create.mockRestore()
    }
  })
})
