/** Which connections over TLS are made on the descriptor itself, and which are left to Node. */
import { createHash, X509Certificate } from 'node:crypto'
import tls, { createSecureContext, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import type { Dispatcher } from 'undici'
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { RecyclingAgent, RecyclingAgentOptions, TlsStats } from '../../src/index.js'
import { openssl } from '../../src/sys/openssl.js'
import { Authority, type Certificate, selfSigned } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { answering, ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'
import { type Shape, tlsMangler } from '../support/tls-mangler.js'
import { describeNative } from '../support/transport.js'

let ca: string
let certificate: Certificate
let client: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['localhost', '127.0.0.1', 'other.test'])
  client = await authority.issue(['client.test'])
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

expectNoDescriptorLeft()

const closing = async (peer: RawPeer): Promise<void> => {
  await peer.request()
  peer.socket.end(ok('ok', 'connection: close\r\n'))
}

const serverOf = (serve: (peer: RawPeer) => unknown = closing): Promise<RawServer> =>
  rawServer(serve, { secure: certificate })

const none: TlsStats = { native: 0, node: 0, resumed: 0, failed: 0 }

/** What one GET counts for. */
async function countsOf(connect: object, more: RecyclingAgentOptions = {}): Promise<TlsStats> {
  const { origin } = await serverOf()
  const agent = recyclingAgent({ connect: { ca, ...connect }, ...more } as RecyclingAgentOptions)
  expect(await get(agent, origin)).toBe('ok')
  await quiet(agent)
  return agent.stats.tls
}

describe('agent.stats.tls', () => {
  it('is not enumerable, and a snapshot', async () => {
    const { origin } = await serverOf()
    const agent = recyclingAgent({ connect: { ca } })
    const { stats } = agent
    expect(Object.keys(stats)).toEqual([])
    expect(stats.tls).toEqual(none)
    await get(agent, origin)
    expect(stats.tls).toEqual(none)
    expect(agent.stats.tls).not.toEqual(none)
  })

  it('counts nothing for http', async () => {
    const { origin } = await rawServer(closing)
    const agent = recyclingAgent()
    await get(agent, origin)
    expect(agent.stats.tls).toEqual(none)
  })

  it.each([{ tlsTransport: 'node' }, { transport: 'net' }] as const)('counts those of Node: %o', async (options) => {
    const { origin } = await serverOf()
    const agent = recyclingAgent({ connect: { ca }, ...options })
    for (let i = 0; i < 3; i++) {
      await get(agent, origin)
      await quiet(agent)
    }
    expect(agent.stats.tls).toEqual({ native: 0, node: 3, resumed: 2, failed: 0 })
    const mistrusting = recyclingAgent(options)
    await expect(get(mistrusting, origin)).rejects.toThrow()
    expect(mistrusting.stats.tls).toEqual({ ...none, failed: 1 })
  })
})

describeNative('a connection over TLS', () => {
  const native = { ...none, native: 1 }
  const node = { ...none, node: 1 }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('is made natively, and resumes sessions (%s)', async (maxVersion) => {
    const { origin } = await serverOf()
    const agent = recyclingAgent({ connect: { ca, maxVersion } })
    for (let i = 0; i < 4; i++) {
      expect(await get(agent, origin)).toBe('ok')
      await quiet(agent)
    }
    expect(agent.stats.tls).toEqual({ native: 4, node: 0, resumed: 3, failed: 0 })
  })

  const nodes: [why: string, connect: () => object][] = [
    ["a secureContext of the caller's", () => ({ secureContext: createSecureContext({ ca }) })],
    ['a session of his', () => ({ session: Buffer.from('none') })],
    ['pskCallback', () => ({ pskCallback: () => null })],
    ['requestOCSP', () => ({ requestOCSP: true })],
    ['an option that nobody knows', () => ({ shibboleth: 1 })],
  ]
  it.each(nodes)('is left to Node for %s', async (_why, connect) => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    expect(await countsOf(connect())).toEqual(node)
  })

  it('is left to undici, which refuses it, for an invalid maxCachedSessions', async () => {
    const { origin } = await serverOf()
    const agent = recyclingAgent({ connect: { ca, maxCachedSessions: -1 } })
    await expect(get(agent, origin)).rejects.toMatchObject({ code: 'UND_ERR_INVALID_ARG' })
    expect(agent.stats.tls).toEqual({ ...none, failed: 1 })
  })

  it('is left to Node with tlsTransport: node, or where the environment says so', async () => {
    expect(await countsOf({}, { tlsTransport: 'node' })).toEqual(node)
    vi.stubEnv('RECYCLING_AGENT_TLS', 'node')
    expect(await countsOf({})).toEqual(node)
    expect(await countsOf({}, { tlsTransport: 'native' })).toEqual(native)
  })

  it.each(['--tls-keylog=/dev/null', '--trace-tls', '--trace_tls'])('is left to Node with %s', async (flag) => {
    vi.stubEnv('NODE_OPTIONS', flag)
    expect(await countsOf({})).toEqual(node)
  })

  it('is left to Node while NODE_TLS_REJECT_UNAUTHORIZED is 0', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { origin } = await serverOf()
    const agent = recyclingAgent({ connect: { ca } })
    for (const value of ['1', '0', '']) {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', value)
      await get(agent, origin)
      await quiet(agent)
    }
    expect(agent.stats.tls).toMatchObject({ native: 2, node: 1 })
  })

  it.each<[string, () => object]>([
    ['several authorities', () => ({ ca: [ca, Buffer.from(ca)] })],
    ['a certificate of the client', () => client],
    ['ciphers', () => ({ ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' })],
    ['ecdhCurve', () => ({ ecdhCurve: 'P-256' })],
    ['sigalgs', () => ({ sigalgs: 'ECDSA+SHA256' })],
    ['servername', () => ({ servername: 'other.test' })],
    ['rejectUnauthorized', () => ({ ca: undefined, rejectUnauthorized: false })],
    ['minDHSize', () => ({ minDHSize: 2048 })],
    ["undici's own options", () => ({ maxCachedSessions: 3, keepAlive: false, allowH2: true, timeout: 5000 })],
    ['checkServerIdentity', () => ({ checkServerIdentity: tls.checkServerIdentity })],
  ])('is made natively with %s', async (_what, connect) => {
    expect(await countsOf(connect())).toEqual(native)
  })

  it('that fails is made again by Node, and as long as that fails, by Node alone', async () => {
    const { origin } = await serverOf()
    const agent = recyclingAgent({ connect: { ca } })
    const ask = (servername: string) =>
      agent.request({ origin, path: '/', method: 'GET', servername } as Dispatcher.RequestOptions)
    for (let i = 0; i < 3; i++) {
      await expect(ask('wrong.test')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
    }
    expect(agent.stats.tls).toEqual({ ...none, failed: 4 })
    // Another name of the same origin has not been refused.
    await (await ask('other.test')).body.dump()
    expect(agent.stats.tls).toEqual({ ...none, native: 1, failed: 4 })
  })

  it('is made by Node from the start once eight in a row have failed where those of Node did not', async () => {
    const { port } = await serverOf()
    let spoils = 0
    const asItIs: Shape = (chunk) => [chunk]
    const relay = await tlsMangler(port, () => {
      const towardsServer: Shape = spoils-- > 0 ? () => [Buffer.from('no TLS\r\n')] : asItIs
      return { towardsClient: asItIs, towardsServer }
    })
    onTestFinished(() => relay.close())
    const agent = recyclingAgent({ maxCachedSessions: 0, connect: { ca } })
    /** The first connection that is made for it is spoilt, if any is. */
    const ask = async (spoilt = 0): Promise<TlsStats> => {
      spoils = spoilt
      expect(await get(agent, `https://127.0.0.1:${relay.port}`)).toBe('ok')
      await quiet(agent)
      return agent.stats.tls
    }
    for (let i = 1; i <= 7; i++) expect(await ask(1)).toEqual({ ...none, node: i, failed: i })
    // One that does not fail, and it is as if none had.
    expect(await ask()).toEqual({ ...none, native: 1, node: 7, failed: 7 })
    for (let i = 8; i <= 15; i++) expect(await ask(1)).toEqual({ ...none, native: 1, node: i, failed: i })
    expect(await ask()).toEqual({ ...none, native: 1, node: 16, failed: 15 })
  })

  it('leaves nothing in the error queue, which a TLSSocket of somebody else could take for its own', async () => {
    const bad = await rawServer(closing, { secure: await selfSigned('127.0.0.1') })
    const plain = await rawServer((peer) => peer.write('220 ready\r\n'))
    const good = await serverOf()
    const agent = recyclingAgent({ connect: { ca } })
    const other = (): Promise<TLSSocket> =>
      new Promise((resolve, reject) => {
        const socket = tls.connect({ port: good.port, host: '127.0.0.1', ca }, () => resolve(socket.destroy()))
        socket.on('error', reject)
      })
    const origins = [bad.origin, `https://127.0.0.1:${plain.port}`, good.origin]
    for (const origin of origins) {
      await Promise.allSettled([get(agent, origin), get(agent, origin), other()])
      expect(openssl().peekError()).toBe(0)
      await expect(other()).resolves.toBeInstanceOf(tls.TLSSocket)
    }
    expect(agent.stats.tls.native).toBe(2)
  })
})

describeNative("a caller's checkServerIdentity", () => {
  it('sees what it sees of a TLSSocket: the whole chain', async () => {
    const { origin } = await serverOf()
    const seen: [hostname: string, DetailedPeerCertificate][] = []
    const checkServerIdentity = (hostname: string, peer: DetailedPeerCertificate): undefined => {
      seen.push([hostname, peer])
    }
    for (const tlsTransport of ['native', 'node'] as const) {
      const agent = recyclingAgent({ tlsTransport, connect: { ca, checkServerIdentity } as object })
      expect(await get(agent, origin)).toBe('ok')
      expect(agent.stats.tls).toMatchObject({ [tlsTransport]: 1 })
    }
    expect(seen).toHaveLength(2)
    const [[hostname, own], [, nodes]] = seen as [(typeof seen)[0], (typeof seen)[0]]
    expect(hostname).toBe('127.0.0.1')
    expect(own).toEqual(nodes)
    expect(own.issuerCertificate.issuerCertificate).toBe(own.issuerCertificate)
    expect(own.raw.equals(new X509Certificate(certificate.cert).raw)).toBe(true)
  })

  it('is asked once, not again for a resumed session, and what it returns is the error', async () => {
    const { origin, peers } = await serverOf()
    const objection = new Error('not whom I meant')
    let answer: Error | undefined
    const checkServerIdentity = vi.fn(() => answer)
    const agent = recyclingAgent({ connect: { ca, checkServerIdentity } })
    for (let i = 0; i < 2; i++) {
      await get(agent, origin)
      await quiet(agent)
    }
    expect(checkServerIdentity).toHaveBeenCalledTimes(1)
    answer = objection
    const strict = recyclingAgent({ connect: { ca, checkServerIdentity } })
    await expect(get(strict, origin)).rejects.toBe(objection)
    expect(checkServerIdentity).toHaveBeenCalledTimes(2)
    expect(strict.stats.tls).toEqual({ ...none, failed: 1 })
    for (const { requests } of peers.slice(2)) expect(requests).toEqual([])
  })

  it('may be set on node:tls between two connections', async () => {
    const { origin } = await serverOf()
    const agent = recyclingAgent({ maxCachedSessions: 0, connect: { ca } })
    await get(agent, origin)
    const objection = new Error('nobody is right')
    vi.spyOn(tls, 'checkServerIdentity').mockReturnValue(objection)
    await quiet(agent)
    await expect(get(agent, origin)).rejects.toBe(objection)
    expect(agent.stats.tls).toMatchObject({ native: 1, node: 0 })
  })

  it('may destroy the agent', async () => {
    const { origin } = await serverOf()
    let ended: Promise<unknown> | undefined
    const checkServerIdentity = (): undefined => {
      ended = agent.destroy()
    }
    const agent: RecyclingAgent = recyclingAgent({ connect: { ca, checkServerIdentity } })
    await expect(get(agent, origin)).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' })
    await ended
    expect(agent.stats.sockets.leased).toBe(0)
    expect(agent.stats.tls).toEqual(none)
  })
})

describeNative('a request that wants a tunnel', () => {
  const switching = async (peer: RawPeer): Promise<void> => {
    for (;;) {
      const request = await peer.request()
      if (request === null) return
      const isUpgrade = request.fields.upgrade !== undefined
      peer.write(
        isUpgrade ? 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nhello' : ok('ok'),
      )
      if (isUpgrade) return
    }
  }
  const upgrade = (agent: Dispatcher, origin: string) =>
    agent.upgrade({ origin, path: '/', protocol: 'chat' } as Dispatcher.UpgradeOptions)

  it('has its connection made by Node from the start', async () => {
    const { origin } = await serverOf(switching)
    const agent = recyclingAgent({ connect: { ca } })
    const { socket } = await upgrade(agent, origin)
    const [chunk] = (await new Promise((resolve) => socket.once('data', (...said) => resolve(said)))) as [Buffer]
    expect(String(chunk)).toBe('hello')
    expect(agent.stats.tls).toEqual({ ...none, node: 1 })
    socket.destroy()
  })

  it.each([undefined, 1])('never gets a native one that is idle (connections: %s)', async (connections) => {
    const { origin, peers } = await serverOf(switching)
    const agent = recyclingAgent({ connect: { ca }, connections: connections ?? null })
    await get(agent, origin)
    const { socket } = await upgrade(agent, origin)
    socket.destroy()
    expect(peers).toHaveLength(2)
    expect(agent.stats.tls).toMatchObject({ native: 1, node: 1 })
    await get(agent, origin)
    expect(agent.stats.tls).toMatchObject({ native: 2, node: 1 })
  })
})

describeNative('a native connection', () => {
  it('hands over an early answer to an upload, whatever becomes of the rest', async () => {
    const { origin } = await serverOf(async (peer) => {
      await peer.received(/\r\n\r\n/)
      peer.socket.pause()
      peer.socket.write(ok('much', 'connection: close\r\n').replace('200 OK', '413 Too Large'), () =>
        peer.socket.destroy(),
      )
    })
    const agent = recyclingAgent({ connect: { ca } })
    for (let i = 0; i < 5; i++) {
      const { statusCode, body } = await agent.request({
        origin,
        path: '/',
        method: 'POST',
        body: Buffer.alloc(1 << 23),
      })
      expect([statusCode, await body.text()]).toEqual([413, 'much'])
      await quiet(agent)
    }
    expect(agent.stats.tls).toMatchObject({ native: 5, node: 0 })
  })

  it('sends and receives large bodies whole', async () => {
    const sent = Buffer.alloc(3_000_000, 'recycling ')
    const { origin } = await serverOf(async (peer) => {
      const request = await peer.request()
      peer.socket.end(ok(request!.body, 'connection: close\r\n'), 'latin1')
    })
    const agent = recyclingAgent({ connect: { ca } })
    const { body } = await agent.request({ origin, path: '/', method: 'POST', body: sent })
    const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
    expect(digest(new Uint8Array(await body.arrayBuffer()))).toBe(digest(sent))
    expect(agent.stats.tls).toMatchObject({ native: 1 })
  })

  it('tells the peer that it ends before it does (RFC 8446 6.1)', async () => {
    const { origin, peers } = await serverOf(answering(ok('ok')))
    const agent = recyclingAgent({ connect: { ca } })
    await get(agent, origin)
    const ended = new Promise((resolve) => peers[0]!.socket.once('end', resolve))
    await agent.close()
    // Without close_notify Node would say nothing of an end, but of a reset.
    await ended
    expect(peers[0]!.socket.errored).toBeNull()
  })

  it('takes no ticket that comes late for a response that nobody asked for', async () => {
    const { origin, peers } = await serverOf(answering(ok('ok')))
    const agent = recyclingAgent({ connections: 1, connect: { ca, minVersion: 'TLSv1.3' } })
    const { handler, done } = recording('new')
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler)
    await done
    for (let i = 0; i < 3; i++) await get(agent, origin)
    expect(peers).toHaveLength(1)
  })
})

describeNative('before a peer is found to be the right one', () => {
  it.each(['native', 'node'] as const)(
    'it neither learns that the handshake is done nor who the client is, in TLS 1.3 (%s)',
    async (tlsTransport) => {
      const met: unknown[] = []
      const secure = { ...certificate, ca, requestCert: true, minVersion: 'TLSv1.3' } as const
      const { origin } = await rawServer(
        (peer) => met.push((peer.socket as TLSSocket).getPeerCertificate().subject.CN),
        {
          secure,
        },
      )
      const agent = recyclingAgent({ tlsTransport, connect: { ca, ...client } })
      const ask = (servername: string) =>
        agent.request({
          origin,
          path: '/',
          method: 'GET',
          servername,
          headersTimeout: 200,
        } as Dispatcher.RequestOptions)
      await expect(ask('wrong.test')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
      await expect(ask('other.test')).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' })
      expect(met).toEqual(['client.test'])
    },
  )
})
