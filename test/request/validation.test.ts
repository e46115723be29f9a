/** What follows from a request's options, compared with undici's own classes where they show it. */
import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { isIdempotent, serverName, withQuery } from '../../src/request/validation.js'

const require = createRequire(import.meta.url)

type Shown = { servername: string | null; idempotent: boolean; path: string }
type RequestClass = new (origin: string, options: object, handler: object) => Shown

const undici7 = require('undici/lib/core/request.js') as RequestClass
const undici8 = require('undici-8/lib/core/request.js') as RequestClass

const made = (Request: RequestClass, options: object): Shown => {
  const ignore = (): void => {}
  const handler = { onRequestStart: ignore, onResponseStart: ignore, onResponseData: ignore }
  return new Request(
    'http://a.test',
    { path: '/', method: 'GET', ...options },
    { ...handler, onResponseEnd: ignore, onResponseError: ignore },
  )
}

describe('serverName', () => {
  it.each(['name.test', 'name.test:80', 'name', '', '127.0.0.1', '127.0.0.1:80', '[::1]', '[::1]:80', ':80'])(
    'makes of the host %j what undici makes of it',
    (host) => {
      expect(serverName(host)).toBe(made(undici7, { headers: { host } }).servername)
    },
  )

  it('makes nothing of no host', () => {
    expect(serverName(null)).toBeNull()
  })
})

describe('isIdempotent', () => {
  it.each(['GET', 'HEAD', 'QUERY', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'get'])(
    'takes %s for what undici 8 takes it for',
    (method) => {
      expect(isIdempotent(method)).toBe(made(undici8, { method }).idempotent)
    },
  )
})

describe('withQuery', () => {
  it.each<[query: Record<string, unknown>]>([
    [{}],
    [{ a: 'b c', d: ['e', 'f'], g: 1, h: true, i: null, j: undefined, k: {} }],
    [{ 'ä&': '=' }],
  ])('adds %j as undici does', (query) => {
    expect(withQuery('/path', query)).toBe(made(undici7, { path: '/path', query }).path)
  })

  it.each(['/?a', '/#a'])('refuses the path %s', (path) => {
    expect(() => withQuery(path, {})).toThrow(
      new Error('Query params cannot be passed when url already contains "?" or "#".'),
    )
  })
})
