/** The socket of a connection over TLS as subscribers of undici:client:connected see it, whoever has made it. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { TLSSocket } from 'node:tls'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { ok, rawServer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1', 'localhost'])
})

expectNoDescriptorLeft()

/** What can be read off the sockets of two connections, one after the other, of which the second may resume a session. */
async function shownBy(options: RecyclingAgentOptions, maxVersion: 'TLSv1.2' | 'TLSv1.3') {
  const { origin } = await rawServer(
    async (peer) => {
      await peer.request()
      peer.socket.end(ok('ok', 'connection: close\r\n'))
    },
    { secure: { ...certificate, maxVersion, ALPNProtocols: ['http/1.1'] } },
  )
  const sockets: TLSSocket[] = []
  const shown: Record<string, unknown>[] = []
  const onConnected = (message: unknown): void => {
    const { socket } = message as { socket: TLSSocket }
    sockets.push(socket)
    shown.push({
      encrypted: socket.encrypted,
      authorized: socket.authorized,
      authorizationError: socket.authorizationError,
      alpnProtocol: socket.alpnProtocol,
      protocol: socket.getProtocol(),
      cipher: socket.getCipher(),
      isSessionReused: socket.isSessionReused(),
      certificate: socket.getPeerCertificate(),
      issuer: socket.getPeerCertificate(true).issuerCertificate?.subject,
      remote: [socket.remoteAddress, socket.remotePort === Number(new URL(origin).port), socket.remoteFamily],
      local: [socket.localAddress, typeof socket.localPort],
    })
  }
  subscribe('undici:client:connected', onConnected)
  onTestFinished(() => void unsubscribe('undici:client:connected', onConnected))
  const agent = recyclingAgent(options)
  for (let i = 0; i < 2; i++) {
    await get(agent, origin)
    await quiet(agent)
  }
  unsubscribe('undici:client:connected', onConnected)
  expect(agent.stats.tls[options.tlsTransport!]).toBe(2)
  return { shown, sockets }
}

describeNative('a subscriber', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('is shown what a TLSSocket would show it (%s)', async (maxVersion) => {
    const { shown } = await shownBy({ tlsTransport: 'native', connect: { ca } }, maxVersion)
    const nodes = await shownBy({ tlsTransport: 'node', connect: { ca } }, maxVersion)
    expect(shown[0]).toEqual(nodes.shown[0])
    // Node keeps sessions without the certificates of their peers.
    const { certificate, issuer } = shown[0]!
    expect(shown[1]).toEqual({ ...nodes.shown[1], certificate, issuer })
    expect(shown).toMatchObject([{ authorized: true, protocol: maxVersion }, { isSessionReused: true }])
  })

  it.each([
    ['no trust', () => ({}), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['another name', () => ({ ca, servername: 'wrong.test' }), 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('learns that the peer was let pass, and is not authorised: %s', async (_why, connect, code) => {
    const options = { ...connect(), rejectUnauthorized: false }
    const { shown } = await shownBy({ tlsTransport: 'native', connect: options }, 'TLSv1.3')
    // A session that was not authorised does not become so by being resumed.
    for (const socket of shown) expect(socket).toMatchObject({ authorized: false, authorizationError: code })
    expect(shown[1]).toMatchObject({ isSessionReused: true })
    const nodes = await shownBy({ tlsTransport: 'node', connect: options }, 'TLSv1.3')
    expect(nodes.shown[0]).toEqual(shown[0])
  })

  it('is shown nothing any more when the connection is over', async () => {
    for (const tlsTransport of ['native', 'node'] as const) {
      const { sockets } = await shownBy({ tlsTransport, connect: { ca } }, 'TLSv1.3')
      for (const socket of sockets) {
        const said = [socket.getProtocol(), socket.getCipher(), socket.isSessionReused(), socket.getPeerCertificate()]
        expect(said).toEqual([null, null, null, null])
      }
    }
  })
})
