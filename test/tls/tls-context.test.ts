/** A context of ours is as it ought to be for as long as a connection needs it, and no longer than it is of today. */
import { setImmediate } from 'node:timers/promises'
import tls, { type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { CurrentContext, TlsContext } from '../../src/tls/tls-context.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { recording } from '../support/handlers.js'
import { collectGarbage } from '../support/heap.js'
import { ok, rawServer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1'])
})

const { DEFAULT_CIPHERS, DEFAULT_MAX_VERSION } = tls

afterEach(() => {
  Object.assign(tls, { DEFAULT_CIPHERS, DEFAULT_MAX_VERSION })
})

expectNoDescriptorLeft()

describeNative('the context of a set of options', () => {
  it('is one, until a default of node:tls has changed', () => {
    const current = new CurrentContext({ ca })
    const first = current.get()
    expect(current.get()).toBe(first)
    tls.DEFAULT_MAX_VERSION = 'TLSv1.2'
    const second = current.get()
    expect(second).not.toBe(first)
    expect(second.pointer).not.toBe(first.pointer)
    expect(current.get()).toBe(second)
    tls.DEFAULT_CIPHERS = 'ECDHE-ECDSA-AES128-GCM-SHA256'
    expect(current.get()).not.toBe(second)
  })

  it('throws what Node throws, each time', () => {
    const current = new CurrentContext({ ca: 'no authority', minVersion: 'none' as never })
    for (let i = 0; i < 2; i++) {
      expect(() => current.get()).toThrow(expect.objectContaining({ code: 'ERR_TLS_INVALID_PROTOCOL_VERSION' }))
    }
  })

  it('is not made where Node shows no address', () => {
    const create = tls.createSecureContext
    Object.assign(tls, { createSecureContext: () => ({ context: { _external: {} } }) })
    try {
      expect(() => new TlsContext({})).toThrow('cannot be told')
    } finally {
      Object.assign(tls, { createSecureContext: create })
    }
  })
})

describeNative('a connection', () => {
  it('is made with the defaults of its time, and resumes no session of those before', async () => {
    const reused: boolean[] = []
    const versions: (string | null)[] = []
    const { origin } = await rawServer(
      async (peer) => {
        reused.push((peer.socket as TLSSocket).isSessionReused())
        versions.push((peer.socket as TLSSocket).getProtocol())
        await peer.request()
        peer.socket.end(ok('ok', 'connection: close\r\n'))
      },
      { secure: certificate },
    )
    const agent = recyclingAgent({ connect: { ca } })
    const twice = async (): Promise<void> => {
      for (let i = 0; i < 2; i++) {
        expect(await get(agent, origin)).toBe('ok')
        await quiet(agent)
      }
    }
    tls.DEFAULT_MAX_VERSION = 'TLSv1.2'
    await twice()
    tls.DEFAULT_MAX_VERSION = 'TLSv1.3'
    await twice()
    expect(versions).toEqual(['TLSv1.2', 'TLSv1.2', 'TLSv1.3', 'TLSv1.3'])
    expect(reused).toEqual([false, true, false, true])
    expect(agent.stats.tls.native).toBe(4)
  })

  it('outlives all else that knows its context, whatever is collected', async () => {
    const { origin, peers } = await rawServer(
      async (peer) => {
        for (;;) {
          if ((await peer.request()) === null) return
          peer.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf')
        }
      },
      { secure: certificate },
    )
    const answers: Promise<unknown>[] = []
    // Nobody keeps these agents.
    for (let i = 0; i < 20; i++) {
      const { handler, done } = recording('new')
      recyclingAgent({ connect: { ca } }).dispatch({ origin, path: '/', method: 'GET' }, handler)
      answers.push(done)
      collectGarbage()
      if (i % 2 === 0) await setImmediate()
    }
    while (peers.length < 20 || peers.some(({ requests }) => requests.length === 0)) await setImmediate()
    tls.DEFAULT_MAX_VERSION = 'TLSv1.2'
    for (let i = 0; i < 5; i++) {
      collectGarbage()
      await setImmediate()
    }
    for (const peer of peers) {
      peer.write('full')
      collectGarbage()
    }
    for (const events of await Promise.all(answers)) expect((events as unknown[]).at(-1)).toEqual(['end', []])
    for (const { socket } of peers) socket.destroy()
    for (let i = 0; i < 5; i++) {
      await setImmediate()
      collectGarbage()
    }
  })
})
