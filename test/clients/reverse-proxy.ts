/** What a reverse proxy does, whichever library it is made with: one suite for all. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { alike, expectRecycling, failureOf } from '../support/alike.js'
import { inShort, reset, sendJson, startService, unusedOrigin } from '../support/service.js'
import { itNative } from '../support/transport.js'
import { undici7 } from '../support/undicis.js'

/** A proxy that listens. */
export interface RunningProxy {
  origin: string
  close(): Promise<unknown>
}

export interface ReverseProxy {
  name: string
  start(dispatcher: Dispatcher, upstream: string): Promise<RunningProxy>
  /** The status code for an upstream that refuses connections, resets one, or does not answer in time. */
  failures: { refused: number; reset: number; timeout: number }
  /** When its client goes, it drops the request to the upstream. */
  dropsAbandoned: boolean
  /** It passes each cookie and redirects on, and contents in the coding in which they came. */
  isTransparent: boolean
}

/** A visitor of the proxy, with connections of its own. */
export class Visitor {
  readonly #agent = new undici7.Agent()

  constructor() {
    onTestFinished(() => this.#agent.destroy())
  }

  request(url: string, options: object = {}): Promise<Dispatcher.ResponseData> {
    return undici7.request(url, { ...options, dispatcher: this.#agent })
  }

  /** @returns the whole answer, in a form that can be compared */
  async get(url: string, options: object = {}): Promise<{ status: number; headers: object; body: string }> {
    const { statusCode, headers, body } = await this.request(url, options)
    const { date: _date, ...others } = headers
    return { status: statusCode, headers: others, body: inShort(new Uint8Array(await body.arrayBuffer())) }
  }

  close(): Promise<void> {
    return this.#agent.close()
  }
}

/** A proxy and its visitor, for the time of `work`. */
export async function visiting<T>(
  starting: Promise<RunningProxy>,
  work: (origin: string, visitor: Visitor) => Promise<T>,
): Promise<T> {
  const proxy = await starting
  const visitor = new Visitor()
  try {
    return await work(proxy.origin, visitor)
  } finally {
    await visitor.close().catch(() => {})
    await proxy.close()
  }
}

const kinds: [what: string, isClosing: boolean][] = [
  ['keeps', false],
  ['closes', true],
]

const large = Buffer.alloc(3_000_000, 'some bytes of a large body, ')

/** Pieces of uneven size, not all at once. */
async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let start = 0, size = 1; start < bytes.length; start += size, size = (size * 7) % 100_003) {
    yield bytes.subarray(start, start + size)
    if (size % 2 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

export function describeReverseProxy({ name, start, failures, dropsAbandoned, isTransparent }: ReverseProxy): void {
  describe(`a reverse proxy with ${name}`, () => {
    describe.each(kinds)('whose upstream %s its connections', (_what, isClosing) => {
      it('passes requests and answers on', async () => {
        const service = await startService(
          ({ method, url, body }, response) => {
            sendJson(response, { method, url, body }, url === '/missing' ? 404 : 200, { 'x-upstream': 'yes' })
          },
          { isClosing },
        )
        const answers = await alike(service, (dispatcher) =>
          visiting(start(dispatcher, service.origin), async (origin, visitor) => [
            await visitor.get(`${origin}/a?b=c`, { headers: { 'x-visitor': 'here' } }),
            await visitor.get(`${origin}/missing`),
            await visitor.get(`${origin}/a`, {
              method: 'POST',
              body: '{"a":1}',
              headers: { 'content-type': 'application/json' },
            }),
            await visitor.get(`${origin}/a`, {
              method: 'PUT',
              body: 'text',
              headers: { 'content-type': 'text/plain' },
            }),
            await visitor.get(`${origin}/a`, { method: 'HEAD' }),
          ]),
        )
        expect(answers.map(({ status }) => status)).toEqual([200, 404, 200, 200, 200])
        expect(answers[0]!.headers).toMatchObject({ 'x-upstream': 'yes' })
        expect(answers.map(({ body }) => body)).toEqual([
          '{"method":"GET","url":"/a?b=c","body":""}',
          '{"method":"GET","url":"/missing","body":""}',
          '{"method":"POST","url":"/a","body":"{\\"a\\":1}"}',
          '{"method":"PUT","url":"/a","body":"text"}',
          '',
        ])
      })

      it('streams a large answer, be its length known or not', async () => {
        const service = await startService(
          async ({ url }, response) => {
            if (url === '/known') response.setHeader('content-length', large.length)
            Readable.from(inPieces(large)).pipe(response)
          },
          { isClosing },
        )
        const answers = await alike(service, (dispatcher) =>
          visiting(start(dispatcher, service.origin), async (origin, visitor) => [
            await visitor.get(`${origin}/known`),
            await visitor.get(`${origin}/unknown`),
          ]),
        )
        expect(answers.map(({ body }) => body)).toEqual([inShort(large), inShort(large)])
      })

      it('streams a large upload, be its length known or not', async () => {
        const service = await startService(({ body }, response) => response.end(body), { isClosing })
        const type = { 'content-type': 'application/octet-stream' }
        const answers = await alike(service, (dispatcher) =>
          visiting(start(dispatcher, service.origin), async (origin, visitor) => [
            await visitor.get(origin, { method: 'POST', body: large, headers: type }),
            await visitor.get(origin, { method: 'POST', body: Readable.from(inPieces(large)), headers: type }),
          ]),
        )
        expect(answers.map(({ body }) => body)).toEqual([inShort(large), inShort(large)])
      })

      it('carries many requests at once', async () => {
        const service = await startService(({ url }, response) => setTimeout(() => response.end(url), 1), { isClosing })
        const paths = Array.from({ length: 40 }, (_, i) => `/${i}`)
        const bodies = await alike(service, (dispatcher) =>
          visiting(start(dispatcher, service.origin), async (origin, visitor) => {
            const answers = await Promise.all(paths.map((path) => visitor.get(origin + path)))
            // They come in any order.
            service.seen.sort((a, b) => Number(a.url.slice(1)) - Number(b.url.slice(1)))
            return answers.map(({ body }) => body)
          }),
        )
        expect(bodies).toEqual(paths)
      })
    })

    itNative('recycles its sockets', async () => {
      const service = await startService((_request, response) => response.end('ok'), { isClosing: true })
      await expectRecycling((dispatcher) =>
        visiting(start(dispatcher, service.origin), (origin, visitor) => visitor.get(origin)),
      )
    })

    it('answers for an upstream that refuses connections', async () => {
      const service = await startService(() => {})
      const nowhere = await unusedOrigin()
      const { status } = await alike(service, (dispatcher) =>
        visiting(start(dispatcher, nowhere), (origin, visitor) => visitor.get(origin)),
      )
      expect(status).toBe(failures.refused)
    })

    it.each(['GET', 'POST'])('answers for an upstream that resets the connection, to %s', async (method) => {
      const service = await startService((_request, response) => reset(response))
      const { status } = await alike(service, (dispatcher) =>
        visiting(start(dispatcher, service.origin), (origin, visitor) => visitor.get(origin, { method })),
      )
      expect(status).toBe(failures.reset)
    })

    it('answers for an upstream that does not answer in time, and serves on', async () => {
      const service = await startService(({ url }, response) => url === '/prompt' && response.end('here'))
      const answers = await alike(
        service,
        (dispatcher) =>
          visiting(start(dispatcher, service.origin), async (origin, visitor) => [
            await visitor.get(`${origin}/late`),
            await visitor.get(`${origin}/prompt`),
          ]),
        { headersTimeout: 200 },
      )
      expect(answers.map(({ status }) => status)).toEqual([failures.timeout, 200])
    })

    it('cuts an answer off that is cut off', async () => {
      const service = await startService((_request, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('part', () => setImmediate(() => response.destroy()))
      })
      const failure = await alike(service, (dispatcher) =>
        visiting(start(dispatcher, service.origin), async (origin, visitor) => {
          const { statusCode, body } = await visitor.request(origin)
          return { statusCode, failure: await failureOf(body.text()) }
        }),
      )
      expect(failure).toMatchObject({ statusCode: 200, failure: { code: 'UND_ERR_SOCKET' } })
    })

    if (isTransparent) describeTransparency(start)
    if (dropsAbandoned) describeDropping(start)
  })
}

function describeTransparency(start: ReverseProxy['start']): void {
  it('passes cookies, redirects, empty answers and coded contents on', async () => {
    const service = await startService(({ url }, response) => {
      if (url === '/moved') response.writeHead(302, { location: '/elsewhere' }).end()
      else if (url === '/empty') response.writeHead(204).end()
      else if (url === '/unchanged') response.writeHead(304, { etag: '"1"' }).end()
      else response.writeHead(200, { 'content-encoding': 'gzip', 'set-cookie': ['a=1', 'b=2'] }).end('no gzip at all')
    })
    const answers = await alike(service, (dispatcher) =>
      visiting(start(dispatcher, service.origin), async (origin, visitor) => [
        await visitor.get(`${origin}/moved`),
        await visitor.get(`${origin}/empty`),
        await visitor.get(`${origin}/unchanged`),
        await visitor.get(`${origin}/coded`),
      ]),
    )
    expect(answers.map(({ status }) => status)).toEqual([302, 204, 304, 200])
    expect(answers[3]).toMatchObject({ body: 'no gzip at all', headers: { 'set-cookie': ['a=1', 'b=2'] } })
  })
}

function describeDropping(start: ReverseProxy['start']): void {
  it('drops a request whose client has gone', async () => {
    const service = await startService((_request, response) => {
      response.writeHead(200).write('part')
    })
    const part = await alike(service, (dispatcher) =>
      visiting(start(dispatcher, service.origin), async (origin, visitor) => {
        const { body } = await visitor.request(origin)
        const heard = await new Promise((resolve) => body.once('data', resolve))
        body.on('error', () => {}).destroy()
        await service.abandoned()
        return String(heard)
      }),
    )
    expect(part).toBe('part')
  })

  it('drops an upload whose client has gone', async () => {
    let begun = (): void => {}
    const service = await startService(() => {}, {
      beforeBody: () => begun(),
    })
    const failure = await alike(service, (dispatcher) =>
      visiting(start(dispatcher, service.origin), async (origin, visitor) => {
        const aborting = new AbortController()
        begun = () => aborting.abort()
        const body = Readable.from(
          (async function* () {
            yield 'part'
            await new Promise(() => {})
          })(),
        )
        const headers = { 'content-type': 'application/octet-stream' }
        const failed = await failureOf(
          visitor.request(origin, { method: 'POST', body, headers, signal: aborting.signal }),
        )
        await service.abandoned()
        return failed
      }),
    )
    expect(failure.name).toBe('AbortError')
  })
}

/** A server of node:http whose requests are passed on by `handle`. */
export async function listening(handle: RequestListener): Promise<RunningProxy> {
  const server = createServer(handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
