/** Handlers of both kinds: what is called, and the controller that those of the new kind get. */
import { PassThrough } from 'node:stream'
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from '../../src/errors.js'
import { FieldSection } from '../../src/http1/field-section.js'
import { type HandlerPort, handlerPort } from '../../src/request/handler.js'

type Controller = Dispatcher.DispatchController & { rawHeaders: Buffer[] | null; rawTrailers: Buffer[] | null }

const control = { pause() {}, resume() {}, abort() {} }

function fieldsOf(name: string, value: string): FieldSection {
  return new FieldSection(Buffer.from(name + value), name + value, [0, name.length, name.length, value.length])
}

const head = (statusCode: number, fields: FieldSection) => ({
  statusCode,
  statusText: '',
  fields,
  shouldKeepAlive: true,
  isKeptForHead: false,
  keepAliveHint: null,
  isSound: true,
})

describe('the controller', () => {
  function started() {
    let controller: Controller | undefined
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(given) {
        controller = given as Controller
      },
    }
    const port = handlerPort(handler, false)
    port.onStart(control)
    return { port, controller: controller! }
  }
  const words = (raw: Buffer[] | null) => raw?.map(String)

  it('has the raw fields of the latest head, and of the trailers', () => {
    const { port, controller } = started()
    expect([controller.rawHeaders, controller.rawTrailers]).toEqual([null, null])
    port.onHead(head(103, fieldsOf('Link', 'a')))
    expect(words(controller.rawHeaders)).toEqual(['Link', 'a'])
    port.onHead(head(200, fieldsOf('Date', 'b')))
    expect(words(controller.rawHeaders)).toEqual(['Date', 'b'])
    port.onEnd(fieldsOf('Trailer', 'c'))
    expect(words(controller.rawTrailers)).toEqual(['Trailer', 'c'])
  })

  it('lets interceptors put other raw fields in their place, or change them where they are', () => {
    const { port, controller } = started()
    port.onHead(head(200, fieldsOf('Date', 'b')))
    controller.rawHeaders!.splice(0, 2)
    expect(controller.rawHeaders).toEqual([])
    const others = [Buffer.from('other'), Buffer.from('fields')]
    controller.rawHeaders = others
    controller.rawTrailers = others
    expect(controller.rawHeaders).toBe(others)
    expect(controller.rawTrailers).toBe(others)
    controller.rawHeaders = null
    expect(controller.rawHeaders).toBeNull()
    port.onHead(head(200, fieldsOf('Date', 'b')))
    expect(words(controller.rawHeaders)).toEqual(['Date', 'b'])
  })
})

describe('a method that is no function', () => {
  const modern = ['onResponseStart', 'onResponseData', 'onResponseEnd', 'onResponseStarted', 'onRequestUpgrade']
  const legacy = ['onHeaders', 'onData', 'onComplete', 'onResponseStarted', 'onUpgrade']
  const sent = ['onBodySent', 'onRequestSent']
  const complete = (first: string, names: string[]): Record<string, unknown> =>
    Object.fromEntries([first, 'onError', 'onResponseError', ...names, ...sent].map((name) => [name, () => {}]))
  const calls: Record<string, (port: HandlerPort) => void> = {
    start: (port) => port.onStart(control),
    started: (port) => port.onResponseBegin(),
    head: (port) => port.onHead(head(200, FieldSection.empty)),
    data: (port) => port.onData(Buffer.from('a')),
    end: (port) => port.onEnd(FieldSection.empty),
    upgrade: (port) => port.onUpgrade(head(101, FieldSection.empty), new PassThrough()),
    bodySent: (port) => port.onBodySent('a'),
    requestSent: (port) => port.onRequestSent(),
    error: (port) => port.onError(new Error('why')),
  }
  /** What each callback says when the handler has lost its method after it was looked at. */
  const told = (first: string, names: string[], wantsTunnel: boolean): string[] =>
    Object.values(calls).flatMap((call) => {
      const handler = complete(first, names)
      const port = handlerPort(handler as Dispatcher.DispatchHandler, wantsTunnel)
      port.onStart(control)
      for (const name of Object.keys(handler)) handler[name] = 5
      try {
        call(port)
        return ['nothing thrown']
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidArgumentError)
        return [(error as Error).message]
      }
    })

  it('is named where it is called, in a handler of the new kind', () => {
    expect(told('onRequestStart', modern, true)).toEqual([
      'invalid onRequestStart method',
      'invalid onResponseStarted method',
      'invalid onResponseStart method',
      'invalid onResponseData method',
      'invalid onResponseEnd method',
      'invalid onRequestUpgrade method',
      'invalid onBodySent method',
      'invalid onRequestSent method',
      'invalid onError method',
    ])
  })

  it('is named where it is called, in a legacy handler', () => {
    expect(told('onConnect', legacy, true)).toEqual([
      'invalid onConnect method',
      'invalid onResponseStarted method',
      'invalid onHeaders method',
      'invalid onData method',
      'invalid onComplete method',
      'invalid onUpgrade method',
      'invalid onBodySent method',
      'invalid onRequestSent method',
      'invalid onError method',
    ])
  })

  it.each<[name: string, value: unknown, wantsTunnel: boolean]>([
    ['onRequestUpgrade', undefined, true],
    ['onRequestUpgrade', 5, true],
    ['onBodySent', 5, false],
    ['onRequestSent', {}, false],
  ])('%s is refused at once in a handler of the new kind, being %s', (name, value, wantsTunnel) => {
    const handler = { ...complete('onRequestStart', modern), [name]: value } as Dispatcher.DispatchHandler
    expect(() => handlerPort(handler, wantsTunnel)).toThrow(new InvalidArgumentError(`invalid ${name} method`))
  })

  it('need not be there in a handler of the new kind', () => {
    const port = handlerPort({ onRequestStart() {}, onBodySent: null } as never, false)
    port.onStart(control)
    for (const name of ['head', 'data', 'end'] as const) expect(() => calls[name]!(port)).not.toThrow()
    expect([port.has('onBodySent'), port.has('onRequestSent'), port.has('onResponseStarted')]).toEqual([
      false,
      false,
      false,
    ])
  })
})
