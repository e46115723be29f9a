import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { ProtocolError } from '../../src/http1/protocol-error.js'

describe('ProtocolError', () => {
  it('is an Error whose message is its kind unless there is a better one', () => {
    const error = new ProtocolError('bad-response')
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'ProtocolError', kind: 'bad-response', message: 'bad-response' })
    expect(error.parserCode).toBeUndefined()
    expect(error.data).toBeUndefined()
  })

  it("words a parse error as undici does and keeps the parser's code and the offending bytes", () => {
    const data = Buffer.from('x')
    expect(ProtocolError.parse('Invalid header token', 'INVALID_HEADER_TOKEN', data)).toMatchObject({
      kind: 'parse',
      message: 'Response does not match the HTTP/1.1 protocol (Invalid header token)',
      parserCode: 'INVALID_HEADER_TOKEN',
      data,
    })
  })
})
