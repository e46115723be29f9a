/**
 * What a peer can do wrong in HTTP/1.1. Raised only in this folder; errors.ts turns each kind into undici's class.
 */
import type { Buffer } from 'node:buffer'

export type ProtocolErrorKind =
  /** The bytes are not a response: RFC 9112 2.2. */
  | 'parse'
  /** The field lines of one section are longer than `maxHeaderSize`. */
  | 'header-overflow'
  /** The body is longer than `maxResponseSize`. */
  | 'body-overflow'
  /** The body is not as long as Content-Length says: RFC 9112 6.3. */
  | 'length-mismatch'
  /** The connection ended before the message did, though the peer meant to keep it open. */
  | 'closed'
  /** A response that nobody asked for. */
  | 'bad-response'
  /** 101 (Switching Protocols) without a request to switch. */
  | 'bad-upgrade'

export class ProtocolError extends Error {
  readonly kind: ProtocolErrorKind
  /** llhttp's name of the error, for `parse`. */
  readonly parserCode: string | undefined
  /** The offending bytes, for `parse`. */
  readonly data: Buffer | undefined

  constructor(kind: ProtocolErrorKind, message: string = kind, parserCode?: string, data?: Buffer) {
    super(message)
    this.name = 'ProtocolError'
    this.kind = kind
    this.parserCode = parserCode
    this.data = data
  }

  static parse(reason: string, parserCode: string, data: Buffer): ProtocolError {
    return new ProtocolError('parse', `Response does not match the HTTP/1.1 protocol (${reason})`, parserCode, data)
  }
}
