/** The package @elastic/elasticsearch over the agent, with a service that answers as Elasticsearch does. */
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { Client } from '@elastic/elasticsearch'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { RecyclingPool } from '../../src/index.js'
import { alike, failureOf, readAll } from '../support/alike.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { inShort, reset, type SeenRequest, startService } from '../support/service.js'
import { itNative } from '../support/transport.js'

expectNoDescriptorLeft()

type ClientOptions = ConstructorParameters<typeof Client>[0]

const product = { 'x-elastic-product': 'Elasticsearch' }
const type = { ...product, 'content-type': 'application/vnd.elasticsearch+json;compatible-with=9' }

const send = (response: ServerResponse, value: unknown, status = 200): void =>
  void response.writeHead(status, type).end(JSON.stringify(value))

/** A search finds one document, a bulk request indexes what it holds. */
function elasticsearch({ method, url, body }: SeenRequest, response: ServerResponse): void {
  const path = new URL(url, 'http://localhost').pathname
  if (path === '/') send(response, { version: { number: '9.4.1' } })
  else if (path.endsWith('/_search')) {
    const hits = [{ _index: 'things', _id: '1', _source: { query: JSON.parse(body) } }]
    send(response, { took: 1, timed_out: false, hits: { total: { value: 1, relation: 'eq' }, hits } })
  } else if (path.endsWith('/_bulk')) {
    const items = Array.from({ length: body.split('\n').filter(Boolean).length / 2 }, () => ({
      index: { status: 201 },
    }))
    send(response, { took: 1, errors: false, items })
  } else if (method === 'HEAD') response.writeHead(404, product).end()
  else send(response, { error: { type: 'index_not_found_exception', reason: 'no such index' }, status: 404 }, 404)
}

/** As documented: a function that makes, or has, an object whose `request()` is that of undici's Pool. */
const clientOf = (dispatcher: Dispatcher, node: string, more: Partial<ClientOptions> = {}): Client =>
  new Client({ node, agent: () => dispatcher, maxRetries: 0, ...more })

const twiceMore = { maxRetries: 2, retryBackoff: () => 0 }
const search = { index: 'things', query: { match: { name: 'thing' } } }

describe.each([
  ['keeps', false],
  ['closes', true],
])('a cluster that %s its connections', (_what, isClosing) => {
  it('is searched, pinged and asked for what is not there', async () => {
    const service = await startService(elasticsearch, { isClosing })
    const seen = await alike(service, async (dispatcher) => {
      const client = clientOf(dispatcher, service.origin)
      const { hits } = await client.search(search)
      return {
        hits,
        ping: await client.ping(),
        exists: await client.indices.exists({ index: 'nothing' }),
        failure: await failureOf(client.get({ index: 'nothing', id: '1' })),
      }
    })
    expect(seen.hits.hits[0]!._source).toEqual({ query: { query: search.query } })
    expect([seen.ping, seen.exists]).toEqual([true, false])
    expect(seen.failure).toMatchObject({ class: 'ResponseError', status: 404 })
  })

  it('is filled in bulk', async () => {
    const service = await startService(elasticsearch, { isClosing })
    const stats = await alike(service, async (dispatcher) => {
      const { time: _time, ...others } = await clientOf(dispatcher, service.origin).helpers.bulk({
        datasource: Array.from({ length: 30 }, (_, id) => ({ id })),
        flushBytes: 200,
        concurrency: 1,
        onDocument: () => ({ index: { _index: 'things' } }),
      })
      return others
    })
    expect(stats).toMatchObject({ total: 30, successful: 30, failed: 0 })
    expect(service.seen.length).toBeGreaterThan(2)
  })

  it('sends and gets compressed contents', async () => {
    const service = await startService(
      (_request, response) => {
        const body = gzipSync(JSON.stringify({ hits: { hits: [{ _source: 'x'.repeat(100_000) }] } }))
        response.writeHead(200, { ...type, 'content-encoding': 'gzip', 'content-length': body.length }).end(body)
      },
      { isClosing },
    )
    const length = await alike(service, async (dispatcher) => {
      const { hits } = await clientOf(dispatcher, service.origin, { compression: true }).search<string>(search)
      return hits.hits[0]!._source!.length
    })
    expect(length).toBe(100_000)
    expect(service.seen[0]!.headers).toMatchObject({ 'accept-encoding': 'gzip,deflate', 'content-encoding': 'gzip' })
  })
})

describe('@elastic/elasticsearch', () => {
  itNative('recycles the sockets of its nodes', async () => {
    const pools: RecyclingPool[] = []
    const services = [
      await startService(elasticsearch, { isClosing: true }),
      await startService(elasticsearch, { isClosing: true }),
    ]
    const client = new Client({
      nodes: services.map(({ origin }) => origin),
      agent: ({ url }) => {
        pools.push(new RecyclingPool(url.origin))
        return pools.at(-1)!
      },
    })
    for (let i = 0; i < 8; i++) await client.search(search)
    await client.close()
    expect(pools.map(({ destroyed }) => destroyed)).toEqual([true, true])
    const sockets = pools.map(({ stats }) => stats.sockets)
    expect(sockets.map(({ fresh, recycled }) => fresh + recycled)).toEqual(services.map(({ seen }) => seen.length))
    for (const { recycled } of sockets) expect(recycled).toBeGreaterThan(0)
  })

  it.each(['502', '503', '504', 'a reset', 'an end'])('tries again after %s', async (what) => {
    const service = await startService((request, response, earlier) => {
      if (earlier === 2) elasticsearch(request, response)
      else if (what === 'a reset') reset(response)
      else if (what === 'an end') response.destroy()
      else send(response, {}, Number(what))
    })
    const total = await alike(service, async (dispatcher) => {
      const { hits } = await clientOf(dispatcher, service.origin).search(search, twiceMore)
      return hits.total
    })
    expect(total).toEqual({ value: 1, relation: 'eq' })
    expect(service.seen).toHaveLength(3)
  })

  it('has an error for a connection that was ended, with its ends', async () => {
    const service = await startService((_request, response) => response.destroy())
    const failure = await alike(service, (dispatcher) => failureOf(clientOf(dispatcher, service.origin).search(search)))
    const message = `other side closed - Local: -, Remote: 127.0.0.1:${service.port}`
    expect(failure).toMatchObject({ class: 'ConnectionError', message })
  })

  it('has an error for a connection that was reset', async () => {
    const service = await startService((_request, response) => reset(response))
    const failure = await alike(service, (dispatcher) => failureOf(clientOf(dispatcher, service.origin).search(search)))
    expect(failure).toMatchObject({ class: 'ConnectionError', message: 'read ECONNRESET' })
  })

  it('has an error for an answer that is cut off', async () => {
    const service = await startService((_request, response) => {
      response.writeHead(200, { ...type, 'content-length': 100 })
      response.write('{', () => setImmediate(() => response.destroy()))
    })
    const failure = await alike(service, (dispatcher) => failureOf(clientOf(dispatcher, service.origin).search(search)))
    expect(failure.class).toBe('ConnectionError')
  })

  it.each([
    ['the request', { requestTimeout: 200 }, {}],
    ['the dispatcher', {}, { headersTimeout: 200 }],
  ])('has an error for what takes longer than %s allows', async (_what, requestOptions, dispatcherOptions) => {
    const service = await startService(() => {})
    const failure = await alike(
      service,
      async (dispatcher) => {
        const failed = await failureOf(clientOf(dispatcher, service.origin).search(search, requestOptions))
        await service.abandoned()
        return failed
      },
      dispatcherOptions,
    )
    expect(failure.class).toBe('TimeoutError')
  })

  it('aborts', async () => {
    let aborting = new AbortController()
    const service = await startService(() => aborting.abort())
    const failure = await alike(service, async (dispatcher) => {
      aborting = new AbortController()
      const { signal } = aborting
      const failed = await failureOf(clientOf(dispatcher, service.origin).search(search, { signal }))
      await service.abandoned()
      return failed
    })
    expect(failure.class).toBe('RequestAbortedError')
  })

  it('streams an answer', async () => {
    const large = JSON.stringify({ hits: 'x'.repeat(2_000_000) })
    const service = await startService((_request, response) => response.writeHead(200, type).end(large))
    const body = await alike(service, async (dispatcher) => {
      const stream = await clientOf(dispatcher, service.origin).search(search, { asStream: true })
      return inShort(await readAll(stream as unknown as AsyncIterable<Uint8Array>))
    })
    expect(body).toBe(inShort(large))
  })

  it('refuses an answer that is too large', async () => {
    const large = JSON.stringify({ hits: 'x'.repeat(2_000_000) })
    const service = await startService((_request, response) =>
      response.writeHead(200, { ...type, 'content-length': large.length }).end(large),
    )
    const failure = await alike(service, (dispatcher) =>
      failureOf(clientOf(dispatcher, service.origin).search(search, { maxResponseSize: 1000 })),
    )
    expect(failure.class).toBe('RequestAbortedError')
  })

  it('closes the dispatcher with itself', async () => {
    const service = await startService(elasticsearch)
    const agent = recyclingAgent()
    const client = clientOf(agent, service.origin)
    await client.ping()
    await client.close()
    expect(agent.destroyed).toBe(true)
  })
})
