import { createServer as createSecureServer } from 'node:https'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { type Dispatcher, EnvHttpProxyAgent, fetch, ProxyAgent, request, upgrade } from 'undici'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { RecyclingPool, type RecyclingPoolOptions } from '../../src/index.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { listenDuringTest } from '../support/local-server.js'
import { startProxy } from '../support/proxy.js'
import { ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { type SelfSigned, selfSigned } from '../support/self-signed.js'
import { itNative } from '../support/transport.js'
import { readText, switching } from '../support/upgrades.js'

let certificate: SelfSigned

beforeAll(async () => {
  certificate = await selfSigned()
})

expectNoDescriptorLeft()

function ending<D extends Dispatcher>(dispatcher: D): D {
  onTestFinished(async () => {
    await dispatcher.destroy()
  })
  return dispatcher
}

async function echo(peer: RawPeer): Promise<void> {
  for (;;) {
    const received = await peer.request()
    if (received === null) return
    peer.write(ok(`${received.head.split(' ').slice(0, 2).join(' ')} ${received.body}`))
  }
}

/** Answers with what it gets. */
async function secureOrigin(): Promise<string> {
  const server = createSecureServer(certificate, (incoming, response) => incoming.pipe(response))
  return `https://127.0.0.1:${await listenDuringTest(server)}`
}

interface Pools {
  /** To the proxy. */
  clients: RecyclingPool[]
  /** To the origins, or, without a tunnel, to the proxy on behalf of one origin. */
  origins: RecyclingPool[]
}

type Options = Omit<ProxyAgent.Options, 'uri'>
type MakeProxyAgent = (uri: string, options?: Options) => ProxyAgent

const keep = (pools: RecyclingPool[], pool: RecyclingPool): RecyclingPool => {
  pools.push(pool)
  return pool
}

/** undici offers functions that connect with ordinary sockets: what RecyclingPool can do itself is not left to them. */
function ourFactories({ proxyTls, proxyTunnel }: Options, { clients, origins }: Pools): Partial<Options> {
  const connect = proxyTls === undefined ? undefined : { ...proxyTls }
  return {
    clientFactory: (proxy) => keep(clients, new RecyclingPool(proxy, { connect } as RecyclingPoolOptions)),
    factory: (origin, { connect: tunnel, ...options }: RecyclingPoolOptions = {}) =>
      keep(
        origins,
        new RecyclingPool(origin, proxyTunnel === false ? options : ({ ...options, connect: tunnel } as never)),
      ),
  }
}

const pools: Pools = { clients: [], origins: [] }

const agents: [name: string, make: MakeProxyAgent][] = [
  ['its own pools', (uri, options) => ending(new ProxyAgent({ ...options, uri }))],
  [
    'RecyclingPool',
    (uri, options = {}) => {
      pools.clients = []
      pools.origins = []
      return ending(new ProxyAgent({ ...options, ...ourFactories(options, pools), uri }))
    },
  ],
]

describe.each(agents)('ProxyAgent over %s', (name, make) => {
  const isOurs = name === 'RecyclingPool'

  it('reaches http origins through a tunnel, which is kept', async () => {
    const { origin, port, peers } = await rawServer(echo)
    const proxy = await startProxy()
    const dispatcher = make(proxy.url)
    for (let i = 0; i < 3; i++) {
      const { body } = await request(`${origin}/${i}`, { dispatcher, method: 'PUT', body: 'in' })
      expect(await body.text()).toBe(`PUT /${i} in`)
      await setImmediate()
    }
    expect(peers.map(({ requests }) => requests.length)).toEqual([3])
    expect(proxy.seen.map(({ method, target }) => [method, target])).toEqual([['CONNECT', `127.0.0.1:${port}`]])
    if (isOurs) {
      expect(pools.clients[0]!.stats.sockets).toMatchObject({ fresh: 1, closed: 1, leased: 0 })
      expect(pools.origins[0]!.stats).toMatchObject({ connected: 1 })
    }
    await dispatcher.close()
    while (proxy.tunnels > 0) await setImmediate()
  })

  it('reaches https origins through a tunnel', async () => {
    const origin = await secureOrigin()
    const proxy = await startProxy()
    const dispatcher = make(proxy.url, { requestTls: { ca: certificate.cert } })
    const much = Buffer.alloc(1 << 20, 'much and more ')
    const { body } = await request(origin, { dispatcher, method: 'POST', body: much })
    expect(much.equals(Buffer.from(await body.arrayBuffer()))).toBe(true)
    const response = await fetch(origin, { dispatcher, method: 'POST', body: 'fetched' })
    expect(await response.text()).toBe('fetched')
    expect(proxy.seen[0]).toMatchObject({ method: 'CONNECT', target: origin.slice('https://'.length) })
    await expect(request(origin, { dispatcher: make(proxy.url) })).rejects.toMatchObject({
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    })
  })

  it('reaches both kinds of origin through an https proxy', async () => {
    const { origin } = await rawServer(echo)
    const proxy = await startProxy({ certificate })
    const options = {
      proxyTls: { ca: certificate.cert, servername: 'localhost' },
      requestTls: { ca: certificate.cert },
    }
    const dispatcher = make(proxy.url, options)
    const plain = await request(`${origin}/a`, { dispatcher })
    expect(await plain.body.text()).toBe('GET /a ')
    const secure = await request(await secureOrigin(), { dispatcher, method: 'POST', body: 'twice' })
    expect(await secure.body.text()).toBe('twice')
    expect(proxy.seen).toHaveLength(2)
    if (isOurs) expect(pools.clients[0]!.stats.sockets).toMatchObject({ fresh: 2, closed: 2, leased: 0 })
    await dispatcher.close()
    while (proxy.tunnels > 0) await setImmediate()
  })

  it.each([
    ['a token', 'Bearer t', (url: string) => [url, { token: 'Bearer t' }]],
    ['credentials in the URL', 'Basic dTpw', (url: string) => [url.replace('//', '//u:p@'), {}]],
  ])('authenticates with %s', async (_what, authorization, argumentsOf) => {
    const { origin } = await rawServer(echo)
    const proxy = await startProxy({ authorization })
    const [url, options] = argumentsOf(proxy.url) as [string, Options]
    const { body } = await request(`${origin}/a`, { dispatcher: make(url, options) })
    expect(await body.text()).toBe('GET /a ')
  })

  it('fails where the proxy refuses', async () => {
    const { origin } = await rawServer(echo)
    const proxy = await startProxy({ authorization: 'Bearer t' })
    const dispatcher = make(proxy.url)
    for (let i = 0; i < 2; i++) {
      await expect(request(origin, { dispatcher })).rejects.toMatchObject({
        message: 'Proxy response (407) !== 200 when HTTP Tunneling',
        code: 'UND_ERR_ABORTED',
      })
    }
    await dispatcher.close()
  })

  it('fails where there is no proxy, and where the proxy reaches nothing', async () => {
    await expect(request('http://a.test', { dispatcher: make('http://127.0.0.1:1') })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
    const proxy = await startProxy()
    await expect(request('http://127.0.0.1:1', { dispatcher: make(proxy.url) })).rejects.toMatchObject({
      message: 'Proxy response (502) !== 200 when HTTP Tunneling',
    })
  })

  it('sends requests in absolute form without a tunnel, over the connections it has', async () => {
    const { origin } = await rawServer(echo)
    const proxy = await startProxy()
    const dispatcher = make(proxy.url, { proxyTunnel: false, token: 'Bearer t' })
    for (let i = 0; i < 3; i++) {
      const { body, headers } = await request(`${origin}/${i}`, { dispatcher })
      expect([await body.text(), headers['x-via']]).toEqual([`GET /${i} `, 'proxy'])
      await setImmediate()
    }
    expect(proxy.seen.map(({ method, target }) => [method, target])).toEqual(
      [0, 1, 2].map((i) => ['GET', `${origin}/${i}`]),
    )
    expect(new Set(proxy.seen.map(({ clientPort }) => clientPort)).size).toBe(1)
    expect(proxy.seen[0]!.headers).toMatchObject({ host: new URL(origin).host, 'proxy-authorization': 'Bearer t' })
    await dispatcher.close()
  })

  it('fails without a tunnel where the proxy refuses', async () => {
    const { origin } = await rawServer(echo)
    const proxy = await startProxy({ authorization: 'Bearer t' })
    await expect(request(origin, { dispatcher: make(proxy.url, { proxyTunnel: false }) })).rejects.toMatchObject({
      message: 'Proxy Authentication Required (407)',
    })
  })

  it('upgrades within a tunnel', async () => {
    const { origin, peer } = await rawServer(async (peer) => {
      await peer.request()
      peer.write(switching('rest'))
    })
    const proxy = await startProxy()
    const dispatcher = make(proxy.url)
    const { socket } = await upgrade(origin, { dispatcher, protocol: 'chat' })
    expect(await readText(socket as Socket, 4)).toBe('rest')
    socket.write('answer')
    await (await peer(0)).received(/^answer$/)
    await dispatcher.close()
    expect(socket.destroyed).toBe(false)
    socket.destroy()
    await (await peer(0)).ended()
  })

  it('is destroyed while requests wait for their tunnels', async () => {
    const { origin } = await rawServer(() => {})
    const proxy = await startProxy()
    const dispatcher = make(proxy.url)
    const waiting = request(origin, { dispatcher })
    const failed = expect(waiting).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' })
    await dispatcher.destroy()
    await failed
    while (proxy.tunnels > 0) await setImmediate()
  })
})

itNative('recycles descriptors without a tunnel', async () => {
  const { origin } = await rawServer(echo)
  const proxy = await startProxy({ isClosing: true })
  const pool = new RecyclingPool(proxy.url)
  const dispatcher = ending(new ProxyAgent({ uri: proxy.url, proxyTunnel: false, factory: () => pool }))
  for (let i = 0; i < 3; i++) {
    const { body } = await request(`${origin}/${i}`, { dispatcher })
    expect(await body.text()).toBe(`GET /${i} `)
    while (pool.stats.sockets.leased > 0) await setImmediate()
  }
  expect(pool.stats.sockets).toMatchObject({ fresh: 1, recycled: 2 })
})

it('EnvHttpProxyAgent takes the factories, with and without a proxy', async () => {
  const { origin, port } = await rawServer(echo)
  const proxy = await startProxy()
  pools.clients = []
  pools.origins = []
  const options = { ...ourFactories({}, pools), httpProxy: proxy.url, httpsProxy: proxy.url, noProxy: 'localhost' }
  const dispatcher = ending(new EnvHttpProxyAgent(options))
  const { body } = await request(`${origin}/a`, { dispatcher })
  expect(await body.text()).toBe('GET /a ')
  expect(pools.clients[0]!.stats.sockets).toMatchObject({ fresh: 1 })
  const direct = await request(`http://localhost:${port}/b`, { dispatcher })
  expect(await direct.body.text()).toBe('GET /b ')
  expect(proxy.seen).toHaveLength(1)
  expect(pools.origins.at(-1)!.stats.sockets).toMatchObject({ fresh: 1 })
  await dispatcher.close()
})
