/** One request's life without a connection: the upgrade, and what is told about it. */
import { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { FieldSection } from '../../src/http1/field-section.js'
import type { ResponseHead } from '../../src/http1/response-head.js'
import { Request, type RequestTracker } from '../../src/request/request.js'
import { onMessage } from '../support/channels.js'

const head: ResponseHead = {
  statusCode: 101,
  statusText: 'Switching Protocols',
  fields: FieldSection.empty,
  shouldKeepAlive: false,
  isKeptForHead: false,
  keepAliveHint: null,
  isSound: true,
}

const throwing = (): never => {
  throw new Error('no')
}

const carrier = { resumeResponse() {}, requestAborted() {} }

interface Scene {
  onUpgrade?: (controller: Dispatcher.DispatchController) => void
}

/** A request that asks for an upgrade, and what its handler and the channels say. */
function upgrading({ onUpgrade = () => {} }: Scene = {}) {
  const told: unknown[] = []
  const tracker: RequestTracker = { requestOver: () => told.push('over') }
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart() {},
    onRequestUpgrade(controller, statusCode) {
      told.push(`upgrade ${statusCode}`)
      onUpgrade(controller)
    },
    onResponseError: (_controller, error) => told.push(error.message),
  }
  onMessage('undici:request:headers', ({ response }) => told.push(['headers', response.statusCode, response.headers]))
  onMessage('undici:request:trailers', ({ request, trailers }) => told.push(['trailers', request.completed, trailers]))
  onMessage('undici:request:error', ({ error }) => told.push(['error', (error as Error).message]))
  const options = { path: '/', method: 'GET' as const, upgrade: 'websocket' }
  const request = new Request('http://a.test', 'http:', options, handler, tracker)
  request.start(carrier)
  const socket = new Duplex({ read() {}, write() {} }).on('error', (error) => told.push(`socket: ${error.message}`))
  request.onUpgrade(head, socket)
  return { request, socket, told }
}

describe('a request that asks for an upgrade', () => {
  it('tells of the head and of an end without trailers', () => {
    const { request, socket, told } = upgrading()
    expect(told).toEqual([['headers', 101, []], 'upgrade 101', ['trailers', true, []], 'over'])
    expect([request.completed, request.aborted, socket.destroyed]).toEqual([true, false, false])
  })

  it.each<[what: string, scene: Scene]>([
    ['throws', { onUpgrade: throwing }],
    ['aborts', { onUpgrade: (controller) => controller.abort(new Error('no')) }],
    [
      'aborts and throws',
      {
        onUpgrade(controller) {
          controller.abort(new Error('no'))
          throw new Error('not told')
        },
      },
    ],
  ])('fails once, and its socket is destroyed, when the callback %s', async (what, scene) => {
    const { request, socket, told } = upgrading(scene)
    expect([request.completed, request.aborted, socket.destroyed]).toEqual([false, true, true])
    await new Promise((resolve) => socket.on('close', resolve))
    const thrown = { throws: ['socket: no'], aborts: [], 'aborts and throws': ['socket: not told'] }[what]
    expect(told).toEqual([['headers', 101, []], 'upgrade 101', ['error', 'no'], 'no', 'over', ...thrown!])
  })
})

describe("a body's own type", () => {
  const requestWith = (headers: Record<string, string>): Request =>
    new Request(
      'http://a.test',
      'http:',
      { path: '/', method: 'POST', headers },
      { onRequestStart() {}, onResponseError() {} },
      { requestOver() {} },
    )

  it('is one field, however often it is adopted', () => {
    const request = requestWith({})
    request.adoptContentType(null)
    request.adoptContentType('a/b')
    request.adoptContentType('a/b')
    expect(request.headers).toEqual(['content-type', 'a/b'])
  })

  it("gives way to the caller's", () => {
    const request = requestWith({ 'Content-Type': 'c/d' })
    request.adoptContentType('a/b')
    expect(request.headers).toEqual(['Content-Type', 'c/d'])
  })
})
