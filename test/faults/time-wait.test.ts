/** No TIME_WAIT on either side after many requests; test/soak/time-wait.mjs counts after many more. */
import { afterAll, describe, expect, it } from 'vitest'
import { countTimeWait } from '../soak/time-wait.js'
import { isTried } from '../support/gate.js'
import { deleteNamespaces, whyNoNamespaces } from '../support/namespaces.js'
import { isNative } from '../support/transport.js'

afterAll(deleteNamespaces)

const REQUESTS = 5000
const SECONDS = 90

const why = isNative ? whyNoNamespaces : 'net sockets are not recycled'

describe.runIf(isTried(why))('requests to an upstream that closes each connection', () => {
  it('leave none when descriptors are dissolved, and need few sockets', { timeout: SECONDS * 1000 }, async () => {
    const { answered, failures, left, most, sockets, complaints } = await countTimeWait(REQUESTS, 'dissolve', SECONDS)
    expect({ answered, failures, complaints }).toEqual({ answered: REQUESTS, failures: {}, complaints: [] })
    const none = { client: 0, upstream: 0 }
    expect({ left, most }).toEqual({ left: none, most: none })
    const { fresh, recycled, aborted, refused, leased } = sockets!
    expect({ sum: fresh + recycled, aborted, refused, leased }).toEqual({
      sum: REQUESTS,
      aborted: 0,
      refused: 0,
      leased: 0,
    })
    expect(fresh).toBeLessThan(REQUESTS / 10)
  })

  it.each(['graceful', 'off', 'undici'] as const)(
    'leave it with the upstream in mode %s',
    { timeout: SECONDS * 1000 },
    async (client) => {
      const { answered, left } = await countTimeWait(500, client, SECONDS)
      expect(answered).toBe(500)
      expect(left.client).toBe(0)
      expect(left.upstream).toBeGreaterThan(100)
    },
  )
})
