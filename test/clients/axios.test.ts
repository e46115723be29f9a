/** The package axios over the agent, with its fetch adapter. */
import axios, { AxiosError, type AxiosInstance } from 'axios'
import type { Dispatcher } from 'undici'
import { expect, it } from 'vitest'
import { alike, fetches, globally, type NamedFetch } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { sendJson, startService } from '../support/service.js'
import { describeFetchLibrary } from './fetch-wrapper.js'

expectNoDescriptorLeft()

const clientOf = (dispatcher: Dispatcher, { fetch, Request, Response }: NamedFetch): AxiosInstance =>
  axios.create({ adapter: 'fetch', env: { fetch, Request, Response } as object, fetchOptions: { dispatcher } })

describeFetchLibrary({
  name: 'axios',
  fetches,
  make(dispatcher, fetch) {
    const client = clientOf(dispatcher, fetch)
    return {
      async get(url, { signal, timeout = 0 } = {}) {
        const { data } = await client.get<string>(url, { timeout, ...(signal && { signal }) })
        return data
      },
      exchange: async (url, value) => (await client.post(url, value)).data,
      download: async (url) => (await client.get(url, { responseType: 'stream' })).data,
      upload: async (url, body) => (await client.put(url, body)).data,
    }
  },
  // It has none of its own.
  retries: false,
  failures: {
    status: { class: 'AxiosError', code: AxiosError.ERR_BAD_REQUEST, status: 404 },
    refused: { class: 'AxiosError', code: AxiosError.ERR_NETWORK, cause: { code: 'ECONNREFUSED' } },
    reset: { class: 'AxiosError', code: AxiosError.ERR_NETWORK, cause: { code: 'ECONNRESET' } },
    cut: { class: 'AxiosError', message: 'terminated' },
    timeout: { class: 'AxiosError', code: AxiosError.ETIMEDOUT },
    abort: { class: 'CanceledError', code: AxiosError.ERR_CANCELED },
  },
})

it('goes through the global dispatcher', async () => {
  const service = await startService((_request, response) => sendJson(response, { a: 1 }), { isClosing: true })
  const data = await alike(service, (dispatcher) =>
    globally(dispatcher, async () => (await axios.get(service.origin, { adapter: 'fetch' })).data),
  )
  expect(data).toEqual({ a: 1 })
})

it('reports progress and follows redirects', async () => {
  const service = await startService(({ url, body }, response) => {
    if (url === '/') response.writeHead(307, { location: '/there' }).end()
    else response.end(body)
  })
  const seen = await alike(service, async (dispatcher) => {
    const client = axios.create({ adapter: 'fetch', fetchOptions: { dispatcher } })
    const loaded = { up: 0, down: 0 }
    const { data } = await client.post(`${service.origin}/there`, Buffer.alloc(500_000, 'x'), {
      onUploadProgress: (event) => {
        loaded.up = event.loaded
      },
      onDownloadProgress: (event) => {
        loaded.down = event.loaded
      },
    })
    return { data, loaded, moved: (await client.post(service.origin, { a: 1 })).data }
  })
  expect(seen.loaded).toEqual({ up: 500_000, down: seen.data.length })
  expect(seen.moved).toEqual({ a: 1 })
})
