/** The package ofetch over the agent. */
import { createFetch, ofetch } from 'ofetch'
import { expect, it } from 'vitest'
import { alike, fetches, globally } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { sendJson, startService } from '../support/service.js'
import { describeFetchLibrary } from './fetch-wrapper.js'

expectNoDescriptorLeft()

describeFetchLibrary({
  name: 'ofetch',
  fetches,
  make(dispatcher, { fetch, Headers }) {
    const plain = fetch === globalThis.fetch ? ofetch : createFetch({ fetch, Headers, AbortController })
    const client = plain.create({ dispatcher } as object)
    return {
      get: (url, { signal, timeout, retries = 0 } = {}) =>
        client(url, {
          responseType: 'text',
          retry: retries,
          ...(timeout !== undefined && { timeout }),
          ...(signal && { signal }),
        }),
      exchange: (url, body) => client(url, { method: 'POST', body }),
      download: (url) => client(url, { responseType: 'stream' }) as unknown as Promise<AsyncIterable<Uint8Array>>,
      upload: (url, body) => client(url, { method: 'PUT', body, responseType: 'text' }),
    }
  },
  retries: true,
  failures: {
    status: { class: 'FetchError', status: 404 },
    refused: { class: 'FetchError', cause: { message: 'fetch failed', cause: { code: 'ECONNREFUSED' } } },
    reset: { class: 'FetchError', cause: { message: 'fetch failed', cause: { code: 'ECONNRESET' } } },
    // The body is read outside of what it watches.
    cut: { class: 'TypeError', message: 'terminated', cause: { code: 'UND_ERR_SOCKET' } },
    timeout: { class: 'FetchError', cause: { name: 'TimeoutError' } },
    abort: { class: 'FetchError', cause: { name: 'AbortError' } },
  },
})

it('goes through the global dispatcher', async () => {
  const service = await startService((_request, response) => sendJson(response, { a: 1 }), { isClosing: true })
  const data = await alike(service, (dispatcher) => globally(dispatcher, () => ofetch(service.origin)))
  expect(data).toEqual({ a: 1 })
})
