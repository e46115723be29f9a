/** The package http-proxy-3 over the agent, on its fetch path. */
import type { ServerResponse } from 'node:http'
import { createProxyServer, type ServerOptions } from 'http-proxy-3'
import { describe, expect, it } from 'vitest'
import { alike, type Fetch, fetches } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { startService, unusedOrigin } from '../support/service.js'
import { describeReverseProxy, listening, type RunningProxy, visiting } from './reverse-proxy.js'

expectNoDescriptorLeft()

function start(options: ServerOptions): Promise<RunningProxy> {
  const proxy = createProxyServer(options)
  proxy.on('error', (error, _request, to) => {
    const response = to as ServerResponse
    if (response.headersSent) response.destroy()
    else response.writeHead(502).end(String((error as NodeJS.ErrnoException).code))
  })
  // It does not end an answer without a body, such as that to HEAD.
  proxy.on('end', (_request, response) => response.end())
  return listening((request, response) => void proxy.web(request, response))
}

const overFetch = (dispatcher: object, target: string, fetch: Fetch): ServerOptions => ({
  target,
  fetch,
  fetchOptions: {
    requestOptions: { dispatcher } as object,
    async onBeforeRequest(options) {
      // Its client's, which fetch does not take: the body is framed anew (RFC 9112 6.1).
      ;(options.headers as Headers).delete('transfer-encoding')
    },
  },
})

describe.each(fetches)('http-proxy-3 with $name', ({ name: fetchName, fetch }) => {
  describeReverseProxy({
    name: `http-proxy-3 with ${fetchName}`,
    start: (dispatcher, upstream) => start(overFetch(dispatcher, upstream, fetch)),
    failures: { refused: 502, reset: 502, timeout: 502 },
    dropsAbandoned: false,
    isTransparent: false,
  })

  it.each([
    ['refuses connections', 'ECONNREFUSED'],
    ['does not answer in time', 'UND_ERR_HEADERS_TIMEOUT'],
  ])('tells the error of an upstream that %s by its code', async (what, code) => {
    const service = await startService(() => {})
    const target = what.startsWith('refuses') ? await unusedOrigin() : service.origin
    const { body } = await alike(
      service,
      (dispatcher) => {
        return visiting(start(overFetch(dispatcher, target, fetch)), (origin, visitor) => visitor.get(origin))
      },
      { headersTimeout: 200 },
    )
    expect(body).toBe(code)
  })

  it('has a timeout of its own', async () => {
    const service = await startService(() => {})
    const { status, body } = await alike(service, async (dispatcher) => {
      const options = { ...overFetch(dispatcher, service.origin, fetch), proxyTimeout: 200 }
      const answer = await visiting(start(options), (origin, visitor) => visitor.get(origin))
      await service.abandoned()
      return answer
    })
    expect([status, body]).toEqual([502, String(DOMException.TIMEOUT_ERR)])
  })
})
