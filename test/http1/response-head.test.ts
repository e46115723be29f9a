import { describe, expect, it } from 'vitest'
import {
  type Framing,
  type FramingFacts,
  framingOf,
  keepAliveHint,
  saysKeepAlive,
} from '../../src/http1/response-head.js'

const plain: FramingFacts = {
  status: 200,
  upgrade: false,
  isChunked: false,
  hasTransferEncoding: false,
  contentLength: -1,
}
const none: Framing = { kind: 'sized', length: 0 }

describe('framingOf', () => {
  it.each<[rule: string, facts: Partial<FramingFacts> & { method?: string }, framing: Framing]>([
    ['ends a HEAD response with its head (RFC 9112 6.3, 1)', { method: 'HEAD', contentLength: 5 }, none],
    [
      'ends a chunked HEAD response with its head',
      { method: 'HEAD', isChunked: true, hasTransferEncoding: true },
      none,
    ],
    ['ends a 1xx with its head', { status: 103, contentLength: 5 }, none],
    ['ends a 204 with its head', { status: 204, contentLength: 5 }, none],
    ['ends a 304 with its head', { status: 304, contentLength: 5 }, none],
    ['tunnels behind 200 to CONNECT (RFC 9112 6.3, 2)', { method: 'CONNECT', contentLength: 5 }, { kind: 'tunnel' }],
    ['tunnels behind any status to CONNECT', { method: 'CONNECT', status: 407 }, { kind: 'tunnel' }],
    ['tunnels behind a switch of protocols', { status: 101, upgrade: true }, { kind: 'tunnel' }],
    ['reads chunks (RFC 9112 6.3, 4)', { isChunked: true, hasTransferEncoding: true }, { kind: 'chunked' }],
    ['reads another coding until FIN (RFC 9112 6.3, 4)', { hasTransferEncoding: true }, { kind: 'until-close' }],
    ['reads as much as Content-Length says (RFC 9112 6.3, 6)', { contentLength: 5 }, { kind: 'sized', length: 5 }],
    ['reads nothing for a Content-Length of 0', { contentLength: 0 }, none],
    ['reads until FIN without any framing (RFC 9112 6.3, 8)', {}, { kind: 'until-close' }],
    ['asks the method by its exact name', { method: 'head' }, { kind: 'until-close' }],
  ])('%s', (_, facts, framing) => {
    const { method = 'GET' } = facts
    expect(framingOf(method, { ...plain, ...facts })).toEqual(framing)
  })
})

describe('keepAliveHint', () => {
  it.each<[value: string, seconds: number | null]>([
    ['', null],
    ['timeout=5', 5],
    ['timeout=5, max=1000', 5],
    ['max=1000, timeout=30', 30],
    ['Timeout=7', 7],
    ['timeout=0', 0],
    ['timeout=', null],
    ['timeout = 5', null],
    ['timeout=-5', null],
    ['timeout=1.9', 1],
    ['max=5', null],
  ])('reads %j as %s', (value, seconds) => {
    expect(keepAliveHint(value)).toBe(seconds)
  })
})

describe('saysKeepAlive', () => {
  it.each<[value: string, answer: boolean]>([
    ['', false],
    ['keep-alive', true],
    ['Keep-Alive', true],
    ['upgrade,\tkeep-alive , x', true],
    ['keep-alive, close', false],
    ['keep-alive,Close', false],
    ['keep-alive, closed', true],
    ['not-keep-alive', false],
    ['keep-alive2', false],
    ['keep alive', false],
  ])('reads %j as %s', (value, answer) => {
    expect(saysKeepAlive(value)).toBe(answer)
  })
})
