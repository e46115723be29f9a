/** When listeners of the dispatcher's events hear them, in which async context, and what happens when one throws. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import { type Dispatcher, request } from 'undici'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RecyclingPool } from '../../src/index.js'
import { dispatchers, recyclingAgent } from '../support/dispatchers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'

const get = async (dispatcher: Dispatcher, origin: string): Promise<string> =>
  (await request(origin, { dispatcher })).body.text()

const closing = async (peer: RawPeer): Promise<void> => {
  for (;;) {
    if ((await peer.request()) === null) return
    peer.socket.end(ok('ok', 'connection: close\r\n'))
  }
}

describe.each(dispatchers)('%s', (_name, make) => {
  it.each([
    ['Connection: close', 'connection: close\r\n'],
    ['a Keep-Alive that is too short', 'keep-alive: timeout=2\r\n'],
  ])(
    "emits 'disconnect' behind the end of a response with %s: a listener that its end adds hears it",
    async (_, fields) => {
      const { origin } = await rawServer(answering(ok('ok', fields)))
      const dispatcher = make()
      const log: string[] = []
      dispatcher.on('disconnect', () => log.push('disconnect'))
      const { body } = await request(origin, { dispatcher })
      const late = new Promise<void>((resolve) => {
        body.on('end', () => {
          log.push('end')
          dispatcher.on('disconnect', () => {
            log.push('late listener')
            resolve()
          })
        })
      })
      body.resume()
      await late
      expect(log).toEqual(['end', 'disconnect', 'late listener'])
    },
  )

  it("emits 'disconnect' behind an abort", async () => {
    const { origin } = await rawServer(() => {})
    const dispatcher = make()
    const controller = new AbortController()
    const disconnected = new Promise<string>((resolve) => {
      const abort = async (): Promise<void> => {
        await setImmediate()
        await setImmediate()
        controller.abort()
        dispatcher.on('disconnect', (_origin, _targets, { message }) => resolve(message))
      }
      dispatcher.on('connect', () => void abort())
    })
    await expect(request(origin, { dispatcher, signal: controller.signal })).rejects.toThrow()
    expect(await disconnected).toBe('aborted')
  })

  it('calls listeners in the context of the dispatch() that has opened the connection', async () => {
    const { origin } = await rawServer(answering(ok('ok', 'connection: close\r\n')))
    const storage = new AsyncLocalStorage<string>()
    const dispatcher = make()
    const log: string[] = []
    const note = (event: string) => () => log.push(`${event}: ${storage.getStore()}`)
    dispatcher.on('connect', note('connect'))
    dispatcher.on('connectionError', note('connectionError'))
    const disconnected = new Promise<void>((resolve) => {
      dispatcher.on('disconnect', () => {
        note('disconnect')()
        resolve()
      })
    })
    await storage.run('first', () => get(dispatcher, origin))
    await disconnected
    await storage.run('second', () => get(dispatcher, 'http://127.0.0.1:1').catch(() => {}))
    expect(log).toEqual(['connect: first', 'disconnect: first', 'connectionError: second'])
  })
})

describe('a listener that throws', () => {
  const thrown: string[] = []
  const note = (error: Error): void => void thrown.push(error.message)

  afterEach(() => {
    process.removeListener('uncaughtException', note)
  })

  it.each(['connect', 'disconnect', 'connectionError', 'drain'] as const)(
    "of '%s' is an uncaught exception, and holds up nobody's request",
    async (event) => {
      thrown.length = 0
      // The test runner's own listeners would take it for a failure.
      const others = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException').on('uncaughtException', note)
      try {
        const { origin } = await rawServer(closing)
        for (const agent of [recyclingAgent({ connections: 1 }), new RecyclingPool(origin, { connections: 1 })]) {
          agent.once(event as 'connect', () => {
            throw new Error(`thrown in ${event}`)
          })
          if (event === 'connectionError') {
            const dead = recyclingAgent({ connections: 1 })
            dead.once(event, () => {
              throw new Error(`thrown in ${event}`)
            })
            await expect(get(dead, 'http://127.0.0.1:1')).rejects.toThrow('ECONNREFUSED')
          }
          expect(await Promise.all([get(agent, origin), get(agent, origin), get(agent, origin)])).toEqual([
            'ok',
            'ok',
            'ok',
          ])
          expect(await get(agent, origin)).toBe('ok')
          await vi.waitUntil(() => thrown.length > 0)
          await agent.close()
        }
      } finally {
        for (const other of others) process.on('uncaughtException', other)
      }
      expect(thrown).toEqual([`thrown in ${event}`, `thrown in ${event}`])
    },
  )
})

it("emits 'disconnect' before close() and destroy() resolve", async () => {
  const { origin } = await rawServer(closing)
  for (const end of ['close', 'destroy'] as const) {
    const agent = recyclingAgent()
    const log: string[] = []
    agent.on('disconnect', () => log.push('disconnect'))
    await get(agent, origin)
    await agent[end]().then(() => log.push('resolved'))
    expect(log).toEqual(['disconnect', 'resolved'])
  }
})
