/** A native handshake begins with the hello of a TLSSocket: nothing on the wire tells who has made it. */
import { constants } from 'node:crypto'
import { expect, it } from 'vitest'
import type { RecyclingAgentOptions, TlsTransportName } from '../../src/index.js'
import { listenForHellos } from '../support/client-hello.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { describeNative } from '../support/transport.js'

expectNoDescriptorLeft()

const SERVER_NAME = 0
const ALPN = 16

const cases: [what: string, connect: object, host?: string][] = [
  ['no options', {}],
  ['an address, whose name is none', {}, '127.0.0.1'],
  ['a servername', { servername: 'name.test' }],
  ['a servername for an address', { servername: 'name.test' }, '127.0.0.1'],
  ['TLS 1.2 only', { maxVersion: 'TLSv1.2' }],
  ['TLS 1.3 only', { minVersion: 'TLSv1.3' }],
  ['TLS 1.0 and later', { minVersion: 'TLSv1' }],
  ['ciphers', { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_256_GCM_SHA384' }],
  ['ecdhCurve', { ecdhCurve: 'P-384:X25519' }],
  ['sigalgs', { sigalgs: 'ECDSA+SHA256:RSA-PSS+SHA384' }],
  ['secureOptions', { secureOptions: constants.SSL_OP_NO_TICKET }],
  ['secureProtocol', { secureProtocol: 'TLSv1_2_method' }],
  ['a protocol of the caller, which is not followed', { ALPNProtocols: ['h2'] }],
]

describeNative('the ClientHello', () => {
  const helloOf = async (tlsTransport: TlsTransportName, connect: object, host: string) => {
    const { port, nextHello } = await listenForHellos()
    const agent = recyclingAgent({ tlsTransport, connect } as RecyclingAgentOptions)
    const { handler, done } = recording('new')
    agent.dispatch({ origin: `https://${host}:${port}`, path: '/', method: 'GET' }, handler)
    const hello = await nextHello()
    await agent.destroy()
    await done
    return hello
  }

  it.each(cases)('is that of a TLSSocket: %s', async (_what, connect, host = 'localhost') => {
    const own = await helloOf('native', connect, host)
    expect(own).toEqual(await helloOf('node', connect, host))
  })

  it('offers HTTP/1.1, and the name of the origin', async () => {
    const { extensions } = await helloOf('native', {}, 'localhost')
    const contents = new Map(extensions)
    expect(Buffer.from(contents.get(ALPN)!, 'hex').toString('latin1')).toBe('\0\x09\x08http/1.1')
    expect(Buffer.from(contents.get(SERVER_NAME)!, 'hex').toString('latin1')).toBe('\0\x0c\0\0\x09localhost')
  })

  it('has no name where there is an address (RFC 6066 3)', async () => {
    const { extensions } = await helloOf('native', {}, '127.0.0.1')
    expect(extensions.map(([type]) => type)).not.toContain(SERVER_NAME)
  })
})
