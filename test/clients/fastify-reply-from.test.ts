/** The plugin @fastify/reply-from over the agent. */
import replyFrom, { type FastifyReplyFromOptions } from '@fastify/reply-from'
import fastify from 'fastify'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { undiciMajor } from '../../build/undici-under-test.js'
import { RecyclingAgent, RecyclingPool } from '../../src/index.js'
import { alike } from '../support/alike.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { isTried } from '../support/gate.js'
import { startService } from '../support/service.js'
import { whyNotNative } from '../support/transport.js'
import { describeReverseProxy, type RunningProxy, visiting } from './reverse-proxy.js'

expectNoDescriptorLeft()

/** BalancedPool asks its pools for their URL by a symbol of its own copy of undici. */
const whyNotItsUndici =
  undiciMajor === 7 ? null : 'the BalancedPool of @fastify/reply-from, of undici 7, takes no pools of undici 8'

type RetryOptions = Parameters<import('fastify').FastifyReply['from']>[1]

async function start(options: FastifyReplyFromOptions, retries: RetryOptions = {}): Promise<RunningProxy> {
  const app = fastify({ forceCloseConnections: true })
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.register(replyFrom, options)
  app.all('/*', (_request, reply) => reply.from(undefined, retries))
  return { origin: await app.listen({ host: '127.0.0.1', port: 0 }), close: () => app.close() }
}

const withDispatcher = (
  undici: Dispatcher,
  base: string,
  more: FastifyReplyFromOptions = {},
): FastifyReplyFromOptions => ({ base, undici, ...more }) as FastifyReplyFromOptions

describeReverseProxy({
  name: '@fastify/reply-from',
  start: (dispatcher, upstream) => start(withDispatcher(dispatcher, upstream)),
  failures: { refused: 500, reset: 500, timeout: 504 },
  dropsAbandoned: true,
  isTransparent: true,
})

describe('@fastify/reply-from', () => {
  it('tries again on a connection that the upstream has ended', async () => {
    const service = await startService((_request, response, earlier) => {
      if (earlier === 0) response.destroy()
      else response.end('now')
    })
    const { body } = await alike(service, (dispatcher) =>
      visiting(start(withDispatcher(dispatcher, service.origin), { retriesCount: 1 }), (origin, visitor) =>
        visitor.get(origin),
      ),
    )
    expect(body).toBe('now')
    expect(service.seen).toHaveLength(2)
  })

  it('tries again after 503', async () => {
    const service = await startService((_request, response, earlier) => {
      response.writeHead(earlier < 2 ? 503 : 200).end(`${earlier}`)
    })
    const { body } = await alike(service, (dispatcher) =>
      visiting(start(withDispatcher(dispatcher, service.origin)), (origin, visitor) => visitor.get(origin)),
    )
    expect(body).toBe('2')
  })

  it('has a timeout for each answer', async () => {
    const service = await startService(() => {})
    const { status } = await alike(service, (dispatcher) =>
      visiting(start(withDispatcher(dispatcher, service.origin), { timeout: 200 }), (origin, visitor) =>
        visitor.get(origin),
      ),
    )
    expect(status).toBe(504)
  })

  it('destroys the agent with the server if it is told to', async () => {
    const service = await startService((_request, response) => response.end('ok'))
    const agent = new RecyclingAgent()
    const options = withDispatcher(agent, service.origin, { destroyAgent: true })
    expect((await visiting(start(options), (origin, visitor) => visitor.get(origin))).body).toBe('ok')
    expect(agent.destroyed).toBe(true)
  })

  it.runIf(isTried(whyNotNative ?? whyNotItsUndici))('balances over pools that recycle', async () => {
    const pools: RecyclingPool[] = []
    const factory = (origin: string | URL, options: object): RecyclingPool => {
      pools.push(new RecyclingPool(String(origin), options))
      return pools.at(-1)!
    }
    const services = [
      await startService((_request, response) => response.end('one'), { isClosing: true }),
      await startService((_request, response) => response.end('other'), { isClosing: true }),
    ]
    const options = { base: services.map(({ origin }) => origin), undici: { factory }, destroyAgent: true }
    await visiting(start(options as unknown as FastifyReplyFromOptions), async (origin, visitor) => {
      for (let i = 0; i < 8; i++) expect((await visitor.get(origin)).status).toBe(200)
    })
    expect(services.map(({ seen }) => seen.length)).toEqual([4, 4])
    const sockets = pools.map(({ stats }) => stats.sockets)
    expect(sockets.map(({ fresh, recycled }) => fresh + recycled)).toEqual([4, 4])
    for (const { recycled } of sockets) expect(recycled).toBeGreaterThan(0)
  })
})
