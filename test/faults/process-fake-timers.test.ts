/**
 * A fake clock in the caller's tests: installed before the package is loaded, after it, or while a request runs. I/O goes
 * on by itself; timeouts go by the fake clock, as they do with undici's Agent, next to which each case is tried.
 */
import type { Dispatcher } from 'undici'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { fakes, loads, turn } from '../support/loaded-anew.js'
import { outcomeOf } from '../support/outcomes.js'
import { ok, type RawServer, rawServer } from '../support/raw-server.js'

afterEach(() => void vi.useRealTimers())

/** With requests that arrive, and that are answered when `release` is called. */
async function hold(): Promise<RawServer & { release(): void }> {
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const server = await rawServer(async (peer) => {
    while ((await peer.request()) !== null) {
      await released
      peer.write(ok('answer'))
    }
  })
  return { ...server, peers: server.peers, release }
}

async function untilAsked({ peers }: RawServer): Promise<void> {
  while (!peers.some(({ requests }) => requests.length > 0)) await turn()
}

function ending(dispatcher: Dispatcher): Dispatcher {
  onTestFinished(() => dispatcher.destroy())
  return dispatcher
}

describe.each(fakes)('a fake clock (%s)', (_what, fake) => {
  const answered = { body: 'answer', end: ['complete'] }

  describe.each(loads)('next to %s', (_name, load) => {
    it.each(['before', 'after'] as const)('that is installed %s loading does not stop requests', async (when) => {
      const server = await hold()
      server.release()
      if (when === 'before') vi.useFakeTimers(fake)
      const make = await load()
      if (when === 'after') vi.useFakeTimers(fake)
      const dispatcher = ending(make({}))
      for (let i = 0; i < 3; i++) expect(await outcomeOf(dispatcher, { origin: server.origin })).toMatchObject(answered)
    })

    it('that is installed while a request runs does not stop it, nor does its end', async () => {
      const server = await hold()
      const dispatcher = ending((await load())({}))
      const outcome = outcomeOf(dispatcher, { origin: server.origin })
      await untilAsked(server)
      vi.useFakeTimers(fake)
      server.release()
      expect(await outcome).toMatchObject(answered)
      expect(await outcomeOf(dispatcher, { origin: server.origin })).toMatchObject(answered)
      vi.useRealTimers()
      expect(await outcomeOf(dispatcher, { origin: server.origin })).toMatchObject(answered)
    })

    it.each(['before', 'after'] as const)('that is installed %s loading governs timeouts', async (when) => {
      const server = await hold()
      if (when === 'before') vi.useFakeTimers(fake)
      const make = await load()
      if (when === 'after') vi.useFakeTimers(fake)
      const dispatcher = ending(make({ headersTimeout: 2000 }))
      let isOver = false
      const outcome = outcomeOf(dispatcher, { origin: server.origin }).finally(() => {
        isOver = true
      })
      await untilAsked(server)
      for (let i = 0; i < 20; i++) await turn()
      expect(isOver).toBe(false)
      // undici counts in seconds, and begins to count late.
      for (let second = 0; second < 6 && !isOver; second++) {
        vi.advanceTimersByTime(1000)
        await turn()
        await turn()
      }
      expect((await outcome).end[0]).toBe('HeadersTimeoutError')
    })
  })
})
