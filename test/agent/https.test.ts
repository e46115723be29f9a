/** TLS by Node's own options: who is trusted, by which name, and what is spoken. */
import { createSecureContext, type TLSSocket } from 'node:tls'
import type { Dispatcher } from 'undici'
import { beforeAll, describe, expect, it } from 'vitest'
import { Authority, type Certificate, selfSigned } from '../support/certificates.js'
import { expectNoDescriptorLeft, secureDispatchers } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

let authority: Authority
let server: Certificate
let ca: string

beforeAll(async () => {
  authority = await Authority.create()
  ca = authority.ca
  server = await authority.issue(['localhost', 'name.test', '127.0.0.1', '::1'])
})

expectNoDescriptorLeft()

type Options = Partial<Dispatcher.DispatchOptions> & { servername?: string }

/** The recorded events of one GET. */
async function exchange(agent: Dispatcher, origin: string, options: Options = {}) {
  const recorded = recording('new')
  agent.dispatch({ origin, path: '/', method: 'GET', ...options } as Dispatcher.DispatchOptions, recorded.handler)
  await recorded.done
  return recorded
}

const ended = ['end', []]
const tls = ({ socket }: RawPeer): TLSSocket => socket as TLSSocket

describe.each(secureDispatchers)('%s', (_name, make) => {
  it('trusts the authority in connect.ca, and speaks HTTP/1.1 (RFC 7301)', async () => {
    const { origin, port, peers } = await rawServer(answering(ok('secret')), {
      secure: { ...server, ALPNProtocols: ['h2', 'http/1.1'] },
    })
    // ALPN is not the caller's to choose.
    const agent = make({ connect: { ca, ALPNProtocols: ['h2'] } as object })
    const { events } = await exchange(agent, origin)
    expect(events.slice(-2)).toEqual([['data', 'secret'], ended])
    expect(tls(peers[0]!).alpnProtocol).toBe('http/1.1')
    expect(peers[0]!.requests[0]!.fields.host).toBe(`127.0.0.1:${port}`)
  })

  it('takes the options of tls, below those of connect', async () => {
    const { origin } = await rawServer(answering(ok()), { secure: server })
    expect((await exchange(make({ tls: { ca } } as object), origin)).events.at(-1)).toEqual(ended)
  })

  it.each([
    ['an authority that nobody knows', () => server, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['a certificate that signed itself', () => selfSigned('127.0.0.1'), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('refuses %s with the code of Node', async (_case, certificate, code) => {
    const { origin, peers } = await rawServer(answering(ok()), { secure: await certificate() })
    const agent = make()
    const errors: unknown[] = []
    agent.on('connectionError', (_origin, _targets, error) => errors.push(error))
    const { events, error } = await exchange(agent, origin)
    expect(error).toMatchObject({ code })
    // The start callback is for connections that are there.
    expect(events).toHaveLength(1)
    expect(errors).toEqual([error])
    for (const { requests } of peers) expect(requests).toEqual([])
  })

  it('refuses a certificate that has expired', async () => {
    const expired = await authority.issue(['127.0.0.1'], { isExpired: true })
    const { origin } = await rawServer(answering(ok()), { secure: expired })
    expect((await exchange(make({ connect: { ca } }), origin)).error).toMatchObject({ code: 'CERT_HAS_EXPIRED' })
  })

  it('refuses a certificate for another name (RFC 9110 4.3.4)', async () => {
    const other = await authority.issue(['other.test'])
    const { origin } = await rawServer(answering(ok()), { secure: other })
    const { error } = await exchange(make({ connect: { ca } }), origin)
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID', host: '127.0.0.1' })
  })

  it('refuses nothing with rejectUnauthorized: false', async () => {
    const { origin } = await rawServer(answering(ok()), { secure: await selfSigned('other.test') })
    const agent = make({ connect: { rejectUnauthorized: false } })
    expect((await exchange(agent, origin)).events.at(-1)).toEqual(ended)
  })

  it('asks checkServerIdentity, and tells its error', async () => {
    const { origin } = await rawServer(answering(ok()), { secure: server })
    const asked: string[] = []
    const mistrust = new Error('not whom I meant')
    const agent = make({
      connect: {
        ca,
        checkServerIdentity(hostname: string) {
          asked.push(hostname)
          return mistrust
        },
      },
    })
    expect((await exchange(agent, origin)).error).toBe(mistrust)
    expect(asked).toEqual(['127.0.0.1'])
  })

  it('shows a certificate of its own when asked for one', async () => {
    const client = await authority.issue(['client.test'])
    const { origin, peers } = await rawServer(answering(ok()), {
      secure: { ...server, ca, requestCert: true, rejectUnauthorized: true },
    })
    const agent = make({ connect: { ca, ...client } })
    expect((await exchange(agent, origin)).events.at(-1)).toEqual(ended)
    expect(tls(peers[0]!).getPeerCertificate().subject.CN).toBe('client.test')
  })

  it('tells when the server wants a certificate and gets none (RFC 8446 4.4.2.4)', async () => {
    const { origin } = await rawServer(answering(ok()), {
      secure: { ...server, ca, requestCert: true, rejectUnauthorized: true },
    })
    const { error } = await exchange(make({ connect: { ca } }), origin)
    // TLS 1.3 has ended its handshake by then: the alert, or the reset behind it, meets the request.
    expect((error as NodeJS.ErrnoException).code).toMatch(
      /^(ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED|ECONNRESET|UND_ERR_SOCKET|EPIPE)$/,
    )
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s where that is all there is', async (version) => {
    const { origin, peers } = await rawServer(answering(ok()), { secure: server })
    const agent = make({ connect: { ca, minVersion: version, maxVersion: version } })
    expect((await exchange(agent, origin)).events.at(-1)).toEqual(ended)
    expect(tls(peers[0]!).getProtocol()).toBe(version)
  })

  it('tells when there is no common version', async () => {
    const { origin } = await rawServer(answering(ok()), { secure: { ...server, minVersion: 'TLSv1.3' } })
    const { error } = await exchange(make({ connect: { ca, maxVersion: 'TLSv1.2' } }), origin)
    expect((error as NodeJS.ErrnoException).code).toMatch(/^ERR_SSL_.*PROTOCOL_VERSION$/)
  })

  it("takes a secureContext of the caller's", async () => {
    const { origin } = await rawServer(answering(ok()), { secure: server })
    const agent = make({ connect: { secureContext: createSecureContext({ ca }) } })
    expect((await exchange(agent, origin)).events.at(-1)).toEqual(ended)
  })

  it('tells of options that no context can be made of, for each request', async () => {
    const { origin } = await rawServer(answering(ok()), { secure: server })
    const agent = make({ connect: { key: 'no key', cert: 'no certificate' } })
    for (let i = 0; i < 2; i++) {
      const { events, error } = await exchange(agent, origin)
      expect(events).toHaveLength(1)
      expect((error as NodeJS.ErrnoException).code).toMatch(/^ERR_OSSL_/)
    }
  })

  it('goes over IPv6', async () => {
    const { origin } = await rawServer(answering(ok()), { secure: server, host: '::1' })
    expect((await exchange(make({ connect: { ca } }), origin)).events.at(-1)).toEqual(ended)
  })

  it('tells when the peer speaks no TLS', async () => {
    const { port } = await rawServer((peer) => peer.write('220 ready\r\n'))
    const { error } = await exchange(make({ connect: { ca } }), `https://127.0.0.1:${port}`)
    expect((error as NodeJS.ErrnoException).code).toMatch(/^ERR_SSL_/)
  })

  it('tells when the peer goes before the handshake is done', async () => {
    const { port } = await rawServer(async (peer) => {
      await peer.received(/./)
      peer.socket.end()
    })
    const { error } = await exchange(make({ connect: { ca } }), `https://127.0.0.1:${port}`)
    expect(error).toMatchObject({
      code: 'ECONNRESET',
      message: 'Client network socket disconnected before secure TLS connection was established',
    })
  })

  it('gives up on a handshake after connectTimeout', async () => {
    const { port } = await rawServer(() => {})
    const { error } = await exchange(make({ connectTimeout: 50 }), `https://127.0.0.1:${port}`)
    expect(error).toMatchObject({
      code: 'UND_ERR_CONNECT_TIMEOUT',
      message: `Connect Timeout Error (attempted address: 127.0.0.1:${port}, timeout: 50ms)`,
    })
  })
})
