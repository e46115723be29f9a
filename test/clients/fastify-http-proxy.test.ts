/** The plugin @fastify/http-proxy over the agent. */
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy'
import fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { alike } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { startService } from '../support/service.js'
import { describeReverseProxy, type RunningProxy, visiting } from './reverse-proxy.js'

expectNoDescriptorLeft()

async function start(options: FastifyHttpProxyOptions): Promise<RunningProxy> {
  const app = fastify({ forceCloseConnections: true })
  app.register(httpProxy, options)
  return { origin: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() }
}

describeReverseProxy({
  name: '@fastify/http-proxy',
  start: (undici, upstream) => start({ upstream, undici } as FastifyHttpProxyOptions),
  failures: { refused: 500, reset: 500, timeout: 504 },
  dropsAbandoned: true,
  isTransparent: true,
})

describe('@fastify/http-proxy', () => {
  it('chooses the upstream by request, and rewrites paths', async () => {
    const service = await startService(({ url }, response) => response.end(url), { isClosing: true })
    const { body } = await alike(service, (undici) => {
      const replyOptions = { getUpstream: () => service.origin }
      const options = { upstream: '', undici, prefix: '/api', rewritePrefix: '/v2', replyOptions }
      return visiting(start(options as unknown as FastifyHttpProxyOptions), (origin, visitor) =>
        visitor.get(`${origin}/api/things?n=1`),
      )
    })
    expect(body).toBe('/v2/things?n=1')
  })
})
