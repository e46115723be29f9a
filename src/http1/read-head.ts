/** From the places that the parser noted in a head's bytes to what they say, or to the error in them. */
import type { Buffer } from 'node:buffer'
import { FieldSection } from './field-section.js'
import type { Parser } from './llhttp.js'
import { ProtocolError } from './protocol-error.js'
import { keepAliveHint, type ResponseHead, saysKeepAlive } from './response-head.js'

const LAST_OF_ASCII = 0x7f

/** undici calls any error behind a Content-Length, until its bytes are there, a mismatch of lengths. */
export function headError(parser: Parser, section: Buffer): ProtocolError {
  // A name without a value is not a field.
  const places = parser.fieldPlaces()
  places.length -= places.length % 4
  const contentLength = new FieldSection(section, section.toString('latin1'), places).joined('content-length', '')
  if (contentLength !== '' && Number.parseInt(contentLength, 10) !== 0) return new ProtocolError('length-mismatch')
  return parser.error!
}

/** @param section begins with the head's bytes, `length` of them, from the status line on */
export function readHead(parser: Parser, section: Buffer, length: number, method: string): ResponseHead {
  const text = section.toString('latin1', 0, length)
  const fields = new FieldSection(section, text, parser.fieldPlaces())
  const { status, statusOffset, statusLength } = parser
  const isHead = method === 'HEAD'
  const isBodyless = !isHead && (status === 204 || status === 304)
  // llhttp cannot know that no body follows.
  const isKeptForHead = isHead && !parser.shouldKeepAlive && saysKeepAlive(fields.joined('connection', ','))
  return {
    statusCode: status,
    statusText: readStatusText(section, text, statusOffset, statusLength),
    fields,
    shouldKeepAlive: parser.shouldKeepAlive || isKeptForHead,
    isKeptForHead,
    keepAliveHint: keepAliveHint(fields.joined('keep-alive', ',')),
    isSound: !isBodyless || (parser.contentLength <= 0 && !parser.hasTransferEncoding),
  }
}

function readStatusText(section: Buffer, text: string, offset: number, length: number): string {
  for (let i = offset; i < offset + length; i++) {
    if (text.charCodeAt(i) > LAST_OF_ASCII) return section.toString('utf8', offset, offset + length)
  }
  return text.substring(offset, offset + length)
}
