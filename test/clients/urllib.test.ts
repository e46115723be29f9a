/** The package urllib over the agent. */
import { createReadStream, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { HttpClient, type RequestOptions, fetch as urllibFetch, request as urllibRequest } from 'urllib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { alike, type Described, expectRecycling, failureOf, globally, readAll } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { inShort, reset, sendJson, startService, unusedOrigin } from '../support/service.js'
import { itNative } from '../support/transport.js'

expectNoDescriptorLeft()

const large = Buffer.alloc(2_000_000, 'some bytes of a large body, ')

const request = (dispatcher: object, url: string, options: RequestOptions = {}) =>
  urllibRequest(url, { dispatcher, ...options } as RequestOptions)

describe.each([
  ['keeps', false],
  ['closes', true],
])('urllib and a service that %s its connections', (_what, isClosing) => {
  it('exchanges JSON', async () => {
    const service = await startService(({ body }, response) => sendJson(response, { got: JSON.parse(body) }), {
      isClosing,
    })
    const answers = await alike(service, async (dispatcher) => {
      const options = { method: 'POST', contentType: 'json', dataType: 'json', data: { a: 1 } } as const
      const { status, data } = await request(dispatcher, service.origin, options)
      return [status, data, (await request(dispatcher, service.origin, options)).data]
    })
    expect(answers).toEqual([200, { got: { a: 1 } }, { got: { a: 1 } }])
  })

  it('streams both ways', async () => {
    const service = await startService(({ body }, response) => Readable.from([large, body]).pipe(response), {
      isClosing,
    })
    const body = await alike(service, async (dispatcher) => {
      const content = Readable.from([large, Buffer.from('end')])
      const { res } = await request(dispatcher, service.origin, { method: 'PUT', content, dataType: 'stream' })
      return inShort(await readAll(res as unknown as AsyncIterable<Uint8Array>))
    })
    const upload = inShort(Buffer.concat([large, Buffer.from('end')]))
    expect(body).toBe(inShort(Buffer.concat([large, Buffer.from(upload)])))
  })

  it('writes to a stream, follows redirects and decompresses', async () => {
    const service = await startService(
      ({ url }, response) => {
        if (url === '/') response.writeHead(302, { location: '/there' }).end('moved')
        else response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(large))
      },
      { isClosing },
    )
    const bodies = await alike(service, async (dispatcher) => {
      const writeStream = new PassThrough()
      const written = readAll(writeStream)
      await request(dispatcher, service.origin, { writeStream, compressed: true })
      const { data, redirected } = await request(dispatcher, service.origin, { compressed: true })
      return [inShort(await written), inShort(data), redirected]
    })
    expect(bodies).toEqual([inShort(large), inShort(large), true])
  })

  it('uploads files', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'recycling-agent-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const path = join(directory, 'file.txt')
    writeFileSync(path, large)
    const service = await startService(({ body }, response) => response.end(body), { isClosing })
    const body = await alike(service, async (dispatcher) => {
      const files = { one: createReadStream(path), two: Buffer.from('two') }
      const { data } = await request(dispatcher, service.origin, {
        method: 'POST',
        files,
        data: { a: 'b' },
        dataType: 'text',
      })
      return data
    })
    expect(body).toMatch(/^20\d+ bytes/)
  })
})

describe('urllib', () => {
  itNative('recycles its sockets', async () => {
    const service = await startService((_request, response) => response.end('ok'), { isClosing: true })
    await expectRecycling((dispatcher) => request(dispatcher, service.origin))
  })

  it('goes through the dispatcher of an HttpClient, and through the global one', async () => {
    const service = await startService((_request, response) => response.end('ok'), { isClosing: true })
    const statuses = await alike(service, async (dispatcher) => {
      const client = new HttpClient()
      client.setDispatcher(dispatcher as never)
      const own = await client.request(service.origin)
      return [own.status, await globally(dispatcher, async () => (await urllibRequest(service.origin)).status)]
    })
    expect(statuses).toEqual([200, 200])
  })

  it('has a fetch', async () => {
    const service = await startService(({ body }, response) => response.end(body), { isClosing: true })
    const text = await alike(service, async (dispatcher) => {
      const init = { method: 'POST', body: 'sent', dispatcher }
      return (await urllibFetch(service.origin, init as object)).text()
    })
    expect(text).toBe('sent')
  })

  it.each(['500', 'an end', 'a reset'])('tries again after %s', async (what) => {
    const service = await startService((_request, response, earlier) => {
      if (earlier === 1) response.end('now')
      else if (what === 'an end') response.destroy()
      else if (what === 'a reset') reset(response)
      else response.writeHead(500).end()
    })
    const data = await alike(
      service,
      async (dispatcher) => (await request(dispatcher, service.origin, { retry: 1, dataType: 'text' })).data,
    )
    expect(data).toBe('now')
    const name = what === '500' ? 'x-urllib-retry' : 'x-urllib-retry-on-socket-error'
    expect(service.seen[1]!.headers[name]).toBe('1/1')
  })

  const failures: [what: string, behaviour: Parameters<typeof startService>[0], failure: Partial<Described>][] = [
    ['is reset', (_request, response) => reset(response), { code: 'ECONNRESET' }],
    ['is ended', (_request, response) => void response.destroy(), { class: 'SocketError', code: 'UND_ERR_SOCKET' }],
    [
      'is ended in the middle of an answer',
      (_request, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('part', () => setImmediate(() => response.destroy()))
      },
      { class: 'SocketError', code: 'UND_ERR_SOCKET' },
    ],
    [
      'brings nothing in time',
      () => {},
      { class: 'HttpClientRequestTimeoutError', message: expect.stringMatching('200 ms') },
    ],
    [
      'brings half an answer in time',
      (_request, response) => {
        response.writeHead(200).write('part')
      },
      { class: 'HttpClientRequestTimeoutError' },
    ],
  ]
  it.each(failures)('has an error for a connection that %s', async (_what, behaviour, expected) => {
    const service = await startService(behaviour)
    const failure = await alike(service, (dispatcher) =>
      failureOf(request(dispatcher, service.origin, { timeout: 200, socketErrorRetry: 0 })),
    )
    expect(failure).toMatchObject(expected)
  })

  it('has an error for a service that refuses connections', async () => {
    const service = await startService(() => {})
    const nowhere = await unusedOrigin()
    const failure = await alike(service, (dispatcher) => failureOf(request(dispatcher, nowhere)))
    expect(failure).toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('aborts', async () => {
    let aborting = new AbortController()
    const service = await startService(() => aborting.abort())
    const failure = await alike(service, async (dispatcher) => {
      aborting = new AbortController()
      const failed = await failureOf(request(dispatcher, service.origin, { signal: aborting.signal }))
      await service.abandoned()
      return failed
    })
    expect(failure.name).toBe('AbortError')
  })

  it('leaves an answer in the middle', async () => {
    const service = await startService((_request, response) => {
      response.writeHead(200).write('part')
    })
    await alike(service, async (dispatcher) => {
      const { res } = await request(dispatcher, service.origin, { dataType: 'stream' })
      for await (const _piece of res as unknown as AsyncIterable<Uint8Array>) break
      await service.abandoned()
    })
  })
})
