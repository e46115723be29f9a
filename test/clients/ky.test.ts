/** The package ky over the agent. */
import ky from 'ky'
import { fetches } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { describeFetchLibrary } from './fetch-wrapper.js'

expectNoDescriptorLeft()

describeFetchLibrary({
  name: 'ky',
  // It makes its requests with the global Request, which the fetch of another undici does not take.
  fetches: fetches.slice(0, 1),
  make(dispatcher, { fetch }) {
    const client = ky.create({ fetch, dispatcher } as object)
    return {
      get: (url, { signal, timeout = 10_000, retries = 0 } = {}) =>
        client.get(url, { timeout, retry: { limit: retries, delay: () => 1 }, ...(signal && { signal }) }).text(),
      exchange: (url, json) => client.post(url, { json }).json(),
      download: async (url) => (await client.get(url)).body as unknown as AsyncIterable<Uint8Array>,
      upload: (url, body) => client.put(url, { body, duplex: 'half' } as object).text(),
    }
  },
  retries: true,
  failures: {
    status: { class: 'HTTPError' },
    refused: { class: 'TypeError', message: 'fetch failed', cause: { code: 'ECONNREFUSED' } },
    reset: { class: 'TypeError', message: 'fetch failed', cause: { code: 'ECONNRESET' } },
    cut: { class: 'TypeError', message: 'terminated', cause: { code: 'UND_ERR_SOCKET' } },
    timeout: { class: 'TimeoutError' },
    abort: { class: 'DOMException', name: 'AbortError' },
  },
})
