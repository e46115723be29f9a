/** The controller that handlers of the new kind get. */
import type { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { FieldSection } from '../../src/http1/field-section.js'
import { handlerPort } from '../../src/request/handler.js'

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
