/**
 * The thread's error queue, which a TLSSocket of somebody else could take for its own (SSL_get_error(3)), is empty after
 * each of our calls, whatever comes: somebody between the two flips, drops, repeats and moves bytes.
 */
import { afterEach, expect, vi } from 'vitest'
import type { RecyclingAgent } from '../../src/index.js'
import { openssl } from '../../src/sys/openssl.js'
import { TlsChannel } from '../../src/tls/tls-channel.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { seedOf } from '../support/random.js'
import { itNative } from '../support/transport.js'
import { contenders } from '../twin-tls/contenders.js'
import { fuzzRecords } from '../twin-tls/record-fuzz.js'

const TIME_MS = 30_000

afterEach(() => {
  vi.restoreAllMocks()
})

expectNoDescriptorLeft()

itNative('the error queue is empty after each call of ours', { timeout: 2 * TIME_MS }, async () => {
  /** After which call it was not; Node's own leave something there at times, and ours clear it before they begin. */
  const leftBehind: string[] = []
  const called = new Set<string>()
  for (const name of ['handshake', 'read', 'peek', 'write', 'flush', 'sendCloseNotify', 'free'] as const) {
    const method = TlsChannel.prototype[name] as (...said: unknown[]) => unknown
    vi.spyOn(TlsChannel.prototype, name as 'free').mockImplementation(function (this: TlsChannel, ...said: unknown[]) {
      const result = method.apply(this, said)
      called.add(name)
      if (openssl().peekError() !== 0) leftBehind.push(name)
      return result as undefined
    })
  }
  const [native] = contenders
  const agents: RecyclingAgent[] = []
  const contender = {
    ...native!,
    make(...options: Parameters<(typeof contenders)[0]['make']>) {
      const agent = native!.make(...options)
      agents.push(agent)
      return agent
    },
  }
  const seed = seedOf('error queue')
  const report = await fuzzRecords({ contender, seed, connections: 400, timeMs: TIME_MS })
  expect(report).toMatchObject({ done: 400, failures: [] })
  expect(Object.keys(report.errors).length).toBeGreaterThan(2)
  expect(leftBehind).toEqual([])
  expect([...called]).toEqual(expect.arrayContaining(['handshake', 'read', 'write', 'free']))
  expect(agents[0]!.stats.tls.native).toBeGreaterThan(0)
  expect(agents[0]!.stats.sockets.leased).toBe(0)
})
