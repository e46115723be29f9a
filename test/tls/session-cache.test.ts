/** Sessions are kept by context and identity, the newest ones, and freed as they go. */
import tls from 'node:tls'
import { afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { openssl } from '../../src/sys/openssl.js'
import { SessionCache } from '../../src/tls/session-cache.js'
import { TlsContext } from '../../src/tls/tls-context.js'
import type { Verdict } from '../../src/tls/verification.js'
import { describeNative } from '../support/transport.js'

const verdict: Verdict = { isAuthorized: true, error: null, objection: null }

describeNative('a session cache', () => {
  let context: TlsContext
  let other: TlsContext
  let next: number
  let freed: number[]

  beforeAll(() => {
    context = new TlsContext({})
    other = new TlsContext({ maxVersion: 'TLSv1.2' })
    expect(tls.DEFAULT_MAX_VERSION).toBe('TLSv1.3')
  })

  /** Sessions are numbers here: what OpenSSL would be asked is told. */
  beforeEach(() => {
    next = 100
    freed = []
    const library = openssl()
    vi.spyOn(library, 'takeSession').mockImplementation((ssl) => (ssl === 0 ? 0 : next++))
    vi.spyOn(library, 'isResumable').mockImplementation((session) => (session < 1000 ? 1 : 0))
    vi.spyOn(library, 'freeSession').mockImplementation((session) => void freed.push(session))
    const held = new Set<number>()
    vi.spyOn(library, 'keepSession').mockImplementation((session) => {
      expect(held.has(session)).toBe(false)
      held.add(session)
    })
    vi.spyOn(library, 'freeKeptSession').mockImplementation((session) => {
      expect(held.delete(session)).toBe(true)
      freed.push(session)
    })
  })

  /** What is in them is nothing that OpenSSL could free. */
  const caches: SessionCache[] = []

  const newCache = (limit: number): SessionCache => {
    const cache = new SessionCache(limit)
    caches.push(cache)
    return cache
  }

  afterEach(() => {
    for (const cache of caches.splice(0)) cache.clear()
    vi.restoreAllMocks()
  })

  const found = (cache: SessionCache, identity: string, by = context) => cache.find(by, identity)?.pointer

  it('finds what was kept for the same identity in the same context, with its verdict', () => {
    const cache = newCache(10)
    const doubtful: Verdict = { isAuthorized: false, error: 'CERT_HAS_EXPIRED', objection: null }
    expect(cache.keep(context, 'a.test', verdict, 1)).toBe(true)
    expect(cache.keep(context, 'b.test', doubtful, 1)).toBe(true)
    expect(cache.find(context, 'a.test')).toEqual({ pointer: 100, verdict })
    expect(cache.find(context, 'b.test')).toEqual({ pointer: 101, verdict: doubtful })
    expect(cache.find(context, 'c.test')).toBeNull()
    expect(cache.find(other, 'a.test')).toBeNull()
  })

  it('forgets all of another context when there is one', () => {
    const cache = newCache(10)
    cache.keep(context, 'a.test', verdict, 1)
    cache.keep(context, 'b.test', verdict, 1)
    cache.keep(other, 'a.test', verdict, 1)
    expect(freed).toEqual([100, 101])
    expect(found(cache, 'a.test')).toBeUndefined()
    expect(found(cache, 'a.test', other)).toBe(102)
  })

  it('keeps the newest of an identity, and as many identities as it may: the oldest goes', () => {
    const cache = newCache(2)
    cache.keep(context, 'a.test', verdict, 1)
    cache.keep(context, 'b.test', verdict, 1)
    cache.keep(context, 'a.test', verdict, 1)
    expect(freed).toEqual([100])
    cache.keep(context, 'c.test', verdict, 1)
    expect(freed).toEqual([100, 101])
    expect(found(cache, 'a.test')).toBe(102)
    expect(cache.size).toBe(2)
    cache.clear()
    expect(freed).toEqual([100, 101, 102, 103])
    expect(cache.size).toBe(0)
  })

  it('keeps nothing where nothing is to be kept', () => {
    const cache = newCache(0)
    expect(cache.keep(context, 'a.test', verdict, 1)).toBe(true)
    expect(openssl().takeSession).not.toHaveBeenCalled()
    expect(cache.size).toBe(0)
  })

  it('does not take what cannot be resumed, and drops what no longer can', () => {
    const cache = newCache(10)
    next = 1000
    expect(cache.keep(context, 'a.test', verdict, 1)).toBe(false)
    expect(freed).toEqual([1000])
    next = 100
    cache.keep(context, 'a.test', verdict, 1)
    vi.spyOn(openssl(), 'isResumable').mockReturnValue(0)
    expect(cache.find(context, 'a.test')).toBeNull()
    expect(freed).toEqual([1000, 100])
    expect(cache.keep(context, 'a.test', verdict, 0)).toBe(false)
  })

  it('has one reference to the session that a connection has resumed', () => {
    const cache = newCache(10)
    cache.keep(context, 'a.test', verdict, 1)
    next = 100
    expect(cache.keep(context, 'a.test', verdict, 1)).toBe(true)
    expect(freed).toEqual([100])
    expect(found(cache, 'a.test')).toBe(100)
  })
})
