/** The last flight of a handshake, and the request behind it. */
import { expect, it, onTestFinished, vi } from 'vitest'
import { native } from '../../src/sys/native.js'
import { openssl } from '../../src/sys/openssl.js'
import { recyclingAgent } from '../support/dispatchers.js'
import { get } from '../support/exchange.js'
import { ok } from '../support/raw-server.js'
import { secureServer } from '../support/secure-server.js'
import { describeNative } from '../support/transport.js'
import { Holder } from '../support/x509.js'

const authority = Holder.authority()
const identity = authority.issue().identity()

/** What goes to the kernel by send(2) are flights. In TLS 1.2 without a session the client has one before the last. */
const cases: [version: 'TLSv1.2' | 'TLSv1.3', isResumed: boolean, calls: string[]][] = [
  ['TLSv1.3', false, ['send', 'SSL_write', 'send']],
  ['TLSv1.3', true, ['send', 'SSL_write', 'send']],
  ['TLSv1.2', false, ['send', 'send', 'SSL_write', 'send']],
  ['TLSv1.2', true, ['send', 'SSL_write', 'send']],
]

describeNative('a request', () => {
  it.each(cases)('leaves with the last flight of the client: %s, resumed: %s', async (version, isResumed, calls) => {
    const options = { ...identity, minVersion: version, maxVersion: version }
    const server = await secureServer(options, ok('x', 'connection: close\r\n'))
    const agent = recyclingAgent({ connect: { ca: authority.cert } })
    const origin = `https://127.0.0.1:${server.port}`
    if (isResumed) await get(agent, origin)
    const seen: string[] = []
    const { send } = native()
    const { write } = openssl()
    vi.spyOn(native(), 'send').mockImplementation((...given) => {
      seen.push('send')
      return send(...given)
    })
    vi.spyOn(openssl(), 'write').mockImplementation((...given) => {
      seen.push('SSL_write')
      return write(...given)
    })
    onTestFinished(() => void vi.restoreAllMocks())
    expect(await get(agent, origin)).toBe('x')
    expect(server.resumed.at(-1)).toBe(isResumed)
    expect(seen).toEqual(calls)
    expect(agent.stats.tls.node).toBe(0)
    await agent.destroy()
    await server.close()
  })

  it('that is longer than what leaves at a time arrives whole, when the kernel takes only a part at first', async () => {
    const server = await secureServer(identity, ok('x', 'connection: close\r\n'))
    const agent = recyclingAgent({ connect: { ca: authority.cert }, maxCachedSessions: 0 })
    const { send } = native()
    let calls = 0
    vi.spyOn(native(), 'send').mockImplementation((fd, bytes, length, flags) =>
      send(fd, bytes, ++calls === 2 ? 100 : length, flags),
    )
    onTestFinished(() => void vi.restoreAllMocks())
    const long = 'y'.repeat(40_000)
    const origin = `https://127.0.0.1:${server.port}`
    await (await agent.request({ origin, path: `/${long}`, method: 'GET' })).body.text()
    expect(server.plaintext).toContain(`GET /${long} HTTP/1.1`)
    expect(calls).toBeGreaterThan(2)
    await agent.destroy()
    await server.close()
  })
})
