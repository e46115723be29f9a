/** What libraries over fetch have in common: one suite for all. */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { alike, type Described, expectRecycling, failureOf, type NamedFetch, readAll } from '../support/alike.js'
import { inShort, reset, type Service, sendJson, startService, unusedOrigin } from '../support/service.js'
import { itNative } from '../support/transport.js'

export interface CallOptions {
  signal?: AbortSignal
  timeout?: number
  /** How often it is tried again at most; not at all by default. */
  retries?: number
}

/** The library, as it is used for the requests of one test. */
export interface FetchWrapper {
  /** @returns the text of the answer */
  get(url: string, options?: CallOptions): Promise<string>
  /** Sends and gets JSON. */
  exchange(url: string, value: object): Promise<unknown>
  download(url: string): Promise<AsyncIterable<Uint8Array>>
  /** @returns the text of the answer */
  upload(url: string, body: ReadableStream): Promise<string>
}

/** What is known of an error; what it does not say of its cause does not matter. */
type Expected = Partial<Omit<Described, 'cause'>> & { cause?: object }

export interface FetchLibrary {
  name: string
  fetches: NamedFetch[]
  make(dispatcher: Dispatcher, fetch: NamedFetch): FetchWrapper
  retries: boolean
  failures: { status: Expected; refused: Expected; reset: Expected; cut: Expected; timeout: Expected; abort: Expected }
}

const large = Buffer.alloc(2_000_000, 'some bytes of a large body, ')

const kinds: [what: string, isClosing: boolean][] = [
  ['keeps', false],
  ['closes', true],
]

export function describeFetchLibrary({ name, fetches, make, retries, failures }: FetchLibrary): void {
  describe.each(fetches)(`${name} with $name`, (fetch) => {
    describe.each(kinds)('and a service that %s its connections', (_what, isClosing) => {
      it('exchanges JSON', async () => {
        const service = await startService(({ body }, response) => sendJson(response, { got: JSON.parse(body) }), {
          isClosing,
        })
        const answers = await alike(service, async (dispatcher) => {
          const client = make(dispatcher, fetch)
          return [await client.exchange(service.origin, { a: 1 }), await client.exchange(service.origin, { b: 'ü' })]
        })
        expect(answers).toEqual([{ got: { a: 1 } }, { got: { b: 'ü' } }])
      })

      it('streams a download', async () => {
        const service = await startService((_request, response) => Readable.from([large, large]).pipe(response), {
          isClosing,
        })
        const body = await alike(service, async (dispatcher) =>
          inShort(await readAll(await make(dispatcher, fetch).download(service.origin))),
        )
        expect(body).toBe(inShort(Buffer.concat([large, large])))
      })

      it('streams an upload', async () => {
        const service = await startService(({ body }, response) => response.end(body), { isClosing })
        const body = await alike(service, (dispatcher) =>
          make(dispatcher, fetch).upload(service.origin, new Blob([large]).stream() as unknown as ReadableStream),
        )
        expect(body).toBe(inShort(large))
      })
    })

    itNative('recycles its sockets', async () => {
      const service = await startService((_request, response) => response.end('ok'), { isClosing: true })
      await expectRecycling((dispatcher) => make(dispatcher, fetch).get(service.origin))
    })

    it('has an error for a status', async () => {
      const service = await startService((_request, response) => sendJson(response, {}, 404))
      const failure = await failing(service, (dispatcher) => make(dispatcher, fetch).get(service.origin))
      expect(failure).toMatchObject(failures.status)
    })

    it('has an error for a service that refuses connections', async () => {
      const service = await startService(() => {})
      const nowhere = await unusedOrigin()
      const failure = await failing(service, (dispatcher) => make(dispatcher, fetch).get(nowhere))
      expect(failure).toMatchObject(failures.refused)
    })

    it('has an error for a connection that was reset', async () => {
      const service = await startService((_request, response) => reset(response))
      const failure = await failing(service, (dispatcher) => make(dispatcher, fetch).get(service.origin))
      expect(failure).toMatchObject(failures.reset)
    })

    it('has an error for an answer that is cut off', async () => {
      const service = await startService((_request, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('part', () => setImmediate(() => response.destroy()))
      })
      const failure = await failing(service, (dispatcher) => make(dispatcher, fetch).get(service.origin))
      expect(failure).toMatchObject(failures.cut)
    })

    it('has an error for an answer that takes too long', async () => {
      const service = await startService(() => {})
      const failure = await alike(service, async (dispatcher) => {
        const failed = await failureOf(make(dispatcher, fetch).get(service.origin, { timeout: 200 }))
        await service.abandoned()
        return failed
      })
      expect(failure).toMatchObject(failures.timeout)
    })

    it('aborts', async () => {
      let aborting = new AbortController()
      const service = await startService(() => aborting.abort())
      const failure = await alike(service, async (dispatcher) => {
        aborting = new AbortController()
        const failed = await failureOf(make(dispatcher, fetch).get(service.origin, { signal: aborting.signal }))
        await service.abandoned()
        return failed
      })
      expect(failure).toMatchObject(failures.abort)
    })

    it('leaves a download in the middle', async () => {
      const service = await startService((_request, response) => {
        response.writeHead(200).write('part')
      })
      const part = await alike(service, async (dispatcher) => {
        let heard = ''
        for await (const piece of await make(dispatcher, fetch).download(service.origin)) {
          heard += Buffer.from(piece)
          break
        }
        await service.abandoned()
        return heard
      })
      expect(part).toBe('part')
    })

    if (retries) {
      it.each(['503', 'a reset'])('tries again after %s', async (what) => {
        const service = await startService((_request, response, earlier) => {
          if (earlier === 2) response.end('now')
          else if (what === '503') response.writeHead(503).end('later')
          else reset(response)
        })
        const answer = await alike(service, (dispatcher) => make(dispatcher, fetch).get(service.origin, { retries: 2 }))
        expect(answer).toBe('now')
        expect(service.seen).toHaveLength(3)
      })
    }
  })
}

const failing = (service: Service, work: (dispatcher: Dispatcher) => Promise<unknown>): Promise<Described> =>
  alike(service, (dispatcher) => failureOf(work(dispatcher)))
