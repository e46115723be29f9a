/** The proxy that readers are to copy, examples/demo/forward.mjs, by the suite that Fastify's has to pass. */
import { EventEmitter, once } from 'node:events'
import { get, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { describeReverseProxy, listening, type RunningProxy, visiting } from '../clients/reverse-proxy.js'
import { alike } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { examplesDirectory } from '../support/examples.js'
import { startService } from '../support/service.js'

type Forward = (dispatcher: Dispatcher, origin: string, request: IncomingMessage, response: ServerResponse) => void

const { forward } = (await import(join(examplesDirectory, 'demo/forward.mjs'))) as { forward: Forward }

expectNoDescriptorLeft()

/** Every proxy of these tests has the same name for the upstream, whichever port it listens on. */
const forwardTo = (
  dispatcher: Dispatcher,
  upstream: string,
  request: IncomingMessage,
  response: ServerResponse,
): void => {
  request.headers.host = 'site.test'
  forward(dispatcher, upstream, request, response)
}

const start = (dispatcher: Dispatcher, upstream: string): Promise<RunningProxy> =>
  listening((request, response) => forwardTo(dispatcher, upstream, request, response))

describeReverseProxy({
  name: 'examples/demo/forward.mjs',
  start,
  failures: { refused: 502, reset: 502, timeout: 504 },
  dropsAbandoned: true,
  isTransparent: true,
})

describe('examples/demo/forward.mjs', () => {
  it('passes on no field of the connection, and says that it was there (RFC 9110 7.6)', async () => {
    const service = await startService((_request, response) => {
      response.writeHead(200, { connection: 'close, x-hop', 'x-hop': '1', 'x-end': '2', via: '1.0 inner' }).end('ok')
    })
    const fields = await alike(service, (dispatcher) =>
      visiting(start(dispatcher, service.origin), async (origin) => {
        const headers = { connection: 'keep-alive, x-secret', 'x-secret': '1', te: 'trailers', 'x-kept': '2' }
        const [answer] = await once(get(origin, { agent: false, headers }), 'response')
        answer.resume()
        await once(answer, 'end')
        const { 'x-hop': hop, 'x-end': end, via } = answer.headers
        return { hop, end, via }
      }),
    )
    expect(fields).toEqual({ hop: undefined, end: '2', via: '1.0 inner, 1.1 demo' })
    const { connection: _connection, ...seen } = service.seen[0]!.headers
    expect(seen).toEqual({ host: 'site.test', 'x-kept': '2', via: '1.1 demo' })
  })

  it('drops a request whose client has gone while it waited for a connection', async () => {
    const held = new EventEmitter()
    const service = await startService(({ url }, response) => {
      if (url === '/first') held.emit('asked', response)
      else response.end(url)
    })
    const seen = await alike(
      service,
      (dispatcher) => {
        const arrived = new EventEmitter()
        const proxy = listening((request, response) => {
          forwardTo(dispatcher, service.origin, request, response)
          arrived.emit(request.url!, response)
        })
        return visiting(proxy, async (origin, visitor) => {
          const asked = once(held, 'asked')
          const first = visitor.get(`${origin}/first`)
          const [answer] = (await asked) as [ServerResponse]

          const waiting = once(arrived, '/second')
          const second = get(`${origin}/second`, { agent: false }).on('error', () => {})
          const [atProxy] = (await waiting) as [ServerResponse]
          const gone = once(atProxy, 'close')
          second.destroy()
          await gone

          answer.end('first')
          await first
          await visitor.get(`${origin}/third`)
          return service.seen.map(({ url }) => url)
        })
      },
      { connections: 1 },
    )
    expect(seen).toEqual(['/first', '/third'])
  })
})
