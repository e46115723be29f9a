import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { cacheStores, type Dispatcher, fetch, interceptors, RetryAgent, request } from 'undici'
import { beforeAll, describe, expect, it } from 'vitest'
import { undiciMajor } from '../../build/undici-under-test.js'
import { dispatchers, expectNoDescriptorLeft } from '../support/dispatchers.js'
import { listenDuringTest } from '../support/local-server.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { type SelfSigned, selfSigned } from '../support/self-signed.js'

let certificate: SelfSigned

beforeAll(async () => {
  certificate = await selfSigned()
})

expectNoDescriptorLeft()

/** A request as the server had it. */
interface Seen {
  line: string
  headers: IncomingMessage['headers']
  body: string
}

interface Served {
  origin: string
  port: number
  seen: Seen[]
}

/** Answers with what `answer` does, which is told how many requests came before. */
async function serve(
  answer: (seen: Seen, response: ServerResponse, index: number) => void,
  isSecure = false,
): Promise<Served> {
  const seen: Seen[] = []
  const listener = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of incoming) body += chunk
    const one = { line: `${incoming.method} ${incoming.url}`, headers: incoming.headers, body }
    answer(one, response, seen.push(one) - 1)
  }
  const server = isSecure ? createSecureServer(certificate, listener) : createServer(listener)
  const port = await listenDuringTest(server)
  return { origin: `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`, port, seen }
}

const linesOf = ({ seen }: Served): string[] => seen.map(({ line, body }) => `${line} ${body}`)

const QUICK = { minTimeout: 1, maxTimeout: 1 }

/** Resets the first `count` connections, each after its first request; answers on the others. */
const resetting =
  (count: number) =>
  async (peer: RawPeer): Promise<void> => {
    if (peer.index >= count) return answering(ok('at last'))(peer)
    if ((await peer.request()) !== null) peer.socket.resetAndDestroy()
  }

describe.each(dispatchers)('%s with', (_name, make) => {
  const retries: [name: string, wrap: (dispatcher: Dispatcher, options: object) => Dispatcher][] = [
    ['the retry interceptor', (dispatcher, options) => dispatcher.compose(interceptors.retry(options))],
    ['RetryAgent', (dispatcher, options) => new RetryAgent(dispatcher, options)],
  ]

  describe.each(retries)('%s', (_retry, wrap) => {
    it.each([
      ['GET', undefined],
      ['PUT', 'body'],
    ] as const)('sends %s again after resets', async (method, body) => {
      const { origin, peers } = await rawServer(resetting(3))
      const dispatcher = wrap(make(), QUICK)
      const response = await request(origin, { dispatcher, method, ...(body !== undefined && { body }) })
      expect(await response.body.text()).toBe('at last')
      expect(peers.map(({ requests }) => requests.map((one) => one.body))).toEqual(
        Array.from({ length: 4 }, () => [body ?? '']),
      )
    })

    it('gives up in the end, with the error of the last attempt', async () => {
      const { origin, peers } = await rawServer(resetting(10))
      const dispatcher = wrap(make(), { ...QUICK, maxRetries: 2 })
      await expect(request(origin, { dispatcher })).rejects.toMatchObject({ code: 'ECONNRESET' })
      expect(peers).toHaveLength(3)
    })

    it.each(['POST', 'PATCH'] as const)('does not send %s again', async (method) => {
      const { origin, peers } = await rawServer(resetting(1))
      const dispatcher = wrap(make(), QUICK)
      await expect(request(origin, { dispatcher, method, body: 'body' })).rejects.toMatchObject({ code: 'ECONNRESET' })
      expect(peers).toHaveLength(1)
    })

    it('sends again where nobody listened', async () => {
      const dispatcher = wrap(make(), { ...QUICK, maxRetries: 1 })
      await expect(request('http://127.0.0.1:1', { dispatcher })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    })

    it('waits as long as the server asks for', async () => {
      const served = await serve((_seen, response, index) => {
        if (index === 0) response.writeHead(503, { 'retry-after': '1' }).end('later')
        else response.end('now')
      })
      const since = performance.now()
      const dispatcher = wrap(make(), { minTimeout: 1, maxTimeout: 2000 })
      const { body, statusCode } = await request(served.origin, { dispatcher })
      expect([statusCode, await body.text()]).toEqual([200, 'now'])
      expect(performance.now() - since).toBeGreaterThan(990)
      expect(served.seen).toHaveLength(2)
    })

    it('goes on where a response broke off', async () => {
      const served = await serve(({ headers }, response) => {
        if (headers.range === undefined) {
          response.writeHead(200, { 'content-length': 10, etag: '"e"' })
          response.write('01234', () => response.destroy())
        } else {
          expect([headers.range, headers['if-match']]).toEqual(['bytes=5-9', '"e"'])
          response.writeHead(206, { 'content-range': 'bytes 5-9/10', etag: '"e"' }).end('56789')
        }
      })
      const { body } = await request(served.origin, { dispatcher: wrap(make(), QUICK) })
      expect(await body.text()).toBe('0123456789')
    })

    it('is aborted between attempts', async () => {
      const controller = new AbortController()
      const { origin } = await rawServer(async (peer) => {
        await resetting(10)(peer)
        setTimeout(() => controller.abort(), 20)
      })
      const dispatcher = wrap(make(), { minTimeout: 200, maxTimeout: 200 })
      await expect(request(origin, { dispatcher, signal: controller.signal })).rejects.toMatchObject({
        name: 'AbortError',
      })
    })
  })

  describe('the redirect interceptor', () => {
    it.each([
      [301, 'POST', ['POST /from body', 'GET /to ']],
      [302, 'POST', ['POST /from body', 'GET /to ']],
      [303, 'PUT', ['PUT /from body', 'GET /to ']],
      [307, 'POST', ['POST /from body', 'POST /to body']],
      [308, 'PUT', ['PUT /from body', 'PUT /to body']],
    ] as const)('follows %i after %s', async (status, method, lines) => {
      const served = await serve(({ line }, response) => {
        if (line.endsWith('/from')) response.writeHead(status, { location: '/to' }).end('moved')
        else response.end('arrived')
      })
      const dispatcher = make().compose(interceptors.redirect({ maxRedirections: 1 }))
      const { body, statusCode } = await request(`${served.origin}/from`, { dispatcher, method, body: 'body' })
      expect([statusCode, await body.text()]).toEqual([200, 'arrived'])
      expect(linesOf(served)).toEqual(lines)
    })

    it('sends a stream again only as far as it is there', async () => {
      const served = await serve((_seen, response) => void response.writeHead(307, { location: '/to' }).end())
      const dispatcher = make().compose(interceptors.redirect({ maxRedirections: 1 }))
      const options = { dispatcher, method: 'POST', body: Readable.from(['body']) } as const
      const { body, statusCode } = await request(`${served.origin}/from`, options)
      await body.dump()
      expect(statusCode).toBe(307)
      expect(linesOf(served)).toEqual(['POST /from body'])
    })

    it('keeps from other origins what is not theirs', async () => {
      const other = await serve((_seen, response) => void response.end('other'))
      const served = await serve((_seen, response) => {
        response.writeHead(302, { location: `${other.origin}/there?q` }).end()
      })
      const headers = { authorization: 'a', cookie: 'b', 'proxy-authorization': 'c', 'x-mine': 'd' }
      const dispatcher = make().compose(interceptors.redirect({ maxRedirections: 1 }))
      const { body } = await request(served.origin, { dispatcher, headers })
      expect(await body.text()).toBe('other')
      expect(linesOf(other)).toEqual(['GET /there?q '])
      const { host, authorization, cookie, 'proxy-authorization': proxied, 'x-mine': mine } = other.seen[0]!.headers
      expect([host, authorization, cookie, proxied, mine]).toEqual([
        new URL(other.origin).host,
        undefined,
        undefined,
        undefined,
        'd',
      ])
      expect(served.seen[0]!.headers).toMatchObject(headers)
    })

    it('stops at the limit', async () => {
      const served = await serve((_seen, response, index) => {
        response.writeHead(302, { location: `/${index}` }).end()
      })
      const dispatcher = make().compose(interceptors.redirect({ maxRedirections: 3 }))
      const { body, statusCode } = await request(served.origin, { dispatcher })
      await body.dump()
      expect([statusCode, served.seen.length]).toEqual([302, 4])
      // undici's types do not know it.
      const strict = { dispatcher, throwOnMaxRedirect: true } as object
      await expect(request(served.origin, strict)).rejects.toThrow('max redirects')
    })
  })

  describe('the dns interceptor', () => {
    const lookupOf =
      (...addresses: { address: string; family: 4 | 6 }[]) =>
      (_origin: URL, _options: unknown, callback: (error: null, records: never) => void) =>
        callback(null, addresses.map((one) => ({ ...one, ttl: 10_000 })) as never)
    const dns = (options: object): Dispatcher.DispatcherComposeInterceptor => interceptors.dns(options as never)

    it('connects to what its lookup says, and tells the name', async () => {
      const served = await serve((_seen, response) => void response.end('resolved'))
      const dispatcher = make().compose(dns({ lookup: lookupOf({ address: '127.0.0.1', family: 4 }) }))
      for (let i = 0; i < 2; i++) {
        const { body } = await request(`http://name.test:${served.port}/`, { dispatcher })
        expect(await body.text()).toBe('resolved')
      }
      expect(served.seen.map(({ headers }) => headers.host)).toEqual([1, 2].map(() => `name.test:${served.port}`))
    })

    it('tries the other family where the first refuses', async () => {
      const served = await serve((_seen, response) => void response.end('resolved'))
      const lookup = lookupOf({ address: '127.0.0.2', family: 4 }, { address: '::1', family: 6 })
      const dispatcher = make().compose(dns({ lookup, dualStack: true, affinity: 6 }))
      // Nobody listens on ::1; on 127.0.0.2 neither, since the server is bound to 127.0.0.1.
      await expect(request(`http://name.test:${served.port}/`, { dispatcher })).rejects.toMatchObject({
        code: 'ECONNREFUSED',
      })
      const found = lookupOf({ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 })
      const second = make().compose(dns({ lookup: found, dualStack: true, affinity: 6 }))
      const { body } = await request(`http://name.test:${served.port}/`, { dispatcher: second })
      expect(await body.text()).toBe('resolved')
    })

    it('proves the name over TLS', async () => {
      const served = await serve((_seen, response) => void response.end('secret'), true)
      const lookup = lookupOf({ address: '127.0.0.1', family: 4 })
      const dispatcher = make({ connect: { ca: certificate.cert } }).compose(dns({ lookup }))
      const { body } = await request(`https://localhost:${served.port}/`, { dispatcher })
      expect(await body.text()).toBe('secret')
      await expect(request(`https://name.test:${served.port}/`, { dispatcher })).rejects.toMatchObject({
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      })
    })

    it('fails with what its lookup says', async () => {
      const lookup = (_origin: URL, _options: unknown, callback: (error: Error, records: never) => void): void =>
        callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), [] as never)
      const dispatcher = make().compose(dns({ lookup }))
      await expect(request('http://name.test/', { dispatcher })).rejects.toMatchObject({ code: 'ENOTFOUND' })
    })
  })

  it('composes the cache interceptor before redirect as undici does: not with undici 8.13', () => {
    const compose = (): Dispatcher => make().compose(interceptors.cache(), interceptors.redirect())
    if (undiciMajor === 7) expect(compose).not.toThrow()
    else expect(compose).toThrow('the cache interceptor must be composed after the redirect interceptor')
    expect(() => make().compose(interceptors.redirect(), interceptors.cache())).not.toThrow()
  })

  describe('the cache interceptor', () => {
    it('answers the second request itself', async () => {
      const served = await serve((_seen, response, index) => {
        response.writeHead(200, { 'cache-control': 'max-age=60', 'x-index': index }).end(`body ${index}`)
      })
      const dispatcher = make().compose(interceptors.cache({ store: new cacheStores.MemoryCacheStore() }))
      for (let i = 0; i < 3; i++) {
        const { body, headers } = await request(`${served.origin}/a`, { dispatcher })
        expect([await body.text(), headers['x-index']]).toEqual(['body 0', '0'])
      }
      const response = await fetch(`${served.origin}/a`, { dispatcher })
      expect(await response.text()).toBe('body 0')
      const other = await request(`${served.origin}/b`, { dispatcher })
      expect(await other.body.text()).toBe('body 1')
      expect(linesOf(served)).toEqual(['GET /a ', 'GET /b '])
    })

    it('asks whether what it has is still good', async () => {
      const served = await serve(({ headers }, response) => {
        const isKnown = headers['if-none-match'] === '"e"'
        response.writeHead(isKnown ? 304 : 200, { 'cache-control': 'max-age=60, no-cache', etag: '"e"' })
        response.end(isKnown ? undefined : 'body')
      })
      const dispatcher = make().compose(interceptors.cache({ store: new cacheStores.MemoryCacheStore() }))
      for (let i = 0; i < 2; i++) {
        const { body, statusCode } = await request(served.origin, { dispatcher })
        expect([statusCode, await body.text()]).toEqual([200, 'body'])
      }
      expect(served.seen.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"e"'])
    })

    it('keeps nothing that broke off', async () => {
      const served = await serve((_seen, response, index) => {
        response.writeHead(200, { 'cache-control': 'max-age=60', 'content-length': 4 })
        if (index === 0) response.write('bo', () => response.destroy())
        else response.end('body')
      })
      const dispatcher = make().compose(interceptors.cache({ store: new cacheStores.MemoryCacheStore() }))
      const broken = await request(served.origin, { dispatcher })
      await expect(broken.body.text()).rejects.toThrow()
      const { body } = await request(served.origin, { dispatcher })
      expect(await body.text()).toBe('body')
      expect(served.seen).toHaveLength(2)
    })
  })

  describe('the dump interceptor', () => {
    it('lets nothing of a body through', async () => {
      const served = await serve((_seen, response) => void response.end('x'.repeat(100_000)))
      const dispatcher = make().compose(interceptors.dump())
      const { body, statusCode } = await request(served.origin, { dispatcher })
      expect([statusCode, await body.text()]).toEqual([200, ''])
    })

    it('ends what is too long', async () => {
      const served = await serve((_seen, response) => void response.end('x'.repeat(100_000)))
      const dispatcher = make().compose(interceptors.dump({ maxSize: 1000 }))
      await expect(request(served.origin, { dispatcher }).then(({ body }) => body.text())).rejects.toThrow(
        'Response size (100000) larger than maxSize (1000)',
      )
    })
  })

  it('the responseError interceptor: makes errors of status codes', async () => {
    const served = await serve((_seen, response) => {
      response.writeHead(418, { 'content-type': 'application/json', 'x-a': 'b' }).end('{"tea":true}')
    })
    const dispatcher = make().compose(interceptors.responseError())
    await expect(request(served.origin, { dispatcher })).rejects.toMatchObject({
      code: 'UND_ERR_RESPONSE',
      statusCode: 418,
      body: { tea: true },
      headers: { 'x-a': 'b' },
    })
  })

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
  ])('the decompress interceptor: decodes %s, much and little', async (coding, compress) => {
    const much = Buffer.alloc(1 << 20)
    for (let i = 0; i < much.length; i++) much[i] = (i * i) >> 10
    const served = await serve(({ line }, response) => {
      const bytes = line === 'GET /much' ? much : Buffer.from('little')
      response.writeHead(200, { 'content-encoding': coding }).end(compress(bytes))
    })
    const dispatcher = make().compose(interceptors.decompress())
    const little = await request(served.origin, { dispatcher })
    expect(little.headers['content-encoding']).toBe(undefined)
    expect(await little.body.text()).toBe('little')
    const { body } = await request(`${served.origin}/much`, { dispatcher })
    expect(much.equals(Buffer.from(await body.arrayBuffer()))).toBe(true)
  })

  it('the decompress interceptor: fails for bytes that are no such coding', async () => {
    const served = await serve((_seen, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip')
    })
    const dispatcher = make().compose(interceptors.decompress())
    await expect(request(served.origin, { dispatcher }).then(({ body }) => body.text())).rejects.toMatchObject({
      code: 'Z_DATA_ERROR',
    })
  })

  it('the deduplicate interceptor: sends one request for many', async () => {
    let answer = (): void => {}
    const served = await serve((_seen, response) => {
      answer = () => response.end('shared')
    })
    const dispatcher = make().compose(interceptors.deduplicate())
    const all = [1, 2, 3].map(async () => (await request(served.origin, { dispatcher })).body.text())
    while (served.seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
    answer()
    expect(await Promise.all(all)).toEqual(['shared', 'shared', 'shared'])
    expect(served.seen).toHaveLength(1)
  })

  it('several interceptors: one over the other', async () => {
    const served = await serve(({ line }, response, index) => {
      if (index === 0) response.destroy()
      else if (line === 'GET /from') response.writeHead(302, { location: '/to' }).end()
      else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('arrived'))
    })
    const dispatcher = make().compose(
      interceptors.retry(QUICK),
      interceptors.redirect({ maxRedirections: 1 }),
      interceptors.decompress(),
      interceptors.responseError(),
    )
    const { body } = await request(`${served.origin}/from`, { dispatcher })
    expect(await body.text()).toBe('arrived')
    expect(linesOf(served)).toEqual(['GET /from ', 'GET /from ', 'GET /to '])
  })
})
