/**
 * The one place where errors of the protocol become undici's classes. Errors of system calls and of the resolver pass
 * through as they are, as undici lets them through.
 */
import type { ProtocolError } from './http1/protocol-error.js'
import { errors } from './undici.js'

export const {
  BodyTimeoutError,
  ClientClosedError,
  ClientDestroyedError,
  ConnectTimeoutError,
  HeadersOverflowError,
  HeadersTimeoutError,
  InformationalError,
  InvalidArgumentError,
  MaxOriginsReachedError,
  NotSupportedError,
  RequestAbortedError,
  RequestContentLengthMismatchError,
  ResponseContentLengthMismatchError,
  ResponseExceededMaxSizeError,
} = errors

/** undici's `SocketError.socket`. */
export interface SocketInfo {
  localAddress?: string
  localPort?: number
  remoteAddress?: string
  remotePort?: number
  remoteFamily?: string
  timeout?: number
  bytesWritten?: number
  bytesRead?: number
}

// undici's types leave out what its classes take.
const SocketErrorClass = errors.SocketError as unknown as new (message: string, socket: SocketInfo | null) => Error
const HTTPParserErrorClass = errors.HTTPParserError as unknown as new (
  message: string,
  code: string | undefined,
  data: Buffer | undefined,
) => Error

/** @param message one of undici's: 'other side closed', 'closed', 'bad response', 'bad upgrade' */
export function socketError(message: string, info: SocketInfo | null): Error {
  return new SocketErrorClass(message, info)
}

/**
 * undici's error for a connection that was not there in time, with undici's words.
 *
 * @param attempts the addresses that were tried, as far as there were several
 * @param target host and port
 */
export function connectTimeoutError(attempts: readonly string[], target: string, timeoutMs: number): Error {
  const attempted = attempts.length > 0 ? `attempted addresses: ${attempts.join(', ')}` : `attempted address: ${target}`
  return new ConnectTimeoutError(`Connect Timeout Error (${attempted}, timeout: ${timeoutMs}ms)`)
}

/** Several addresses failed, one of them because it took too long: undici 8 calls that a timeout, too. */
export const isTimeout = (error: Error): boolean =>
  error instanceof AggregateError && error.errors.some(({ code }: NodeJS.ErrnoException) => code === 'ETIMEDOUT')

/** One of several addresses, and why it could not be connected to. */
export interface FailedAttempt {
  /** An IP literal; IPv6 without brackets. */
  address: string
  error: NodeJS.ErrnoException
}

/**
 * No address of several could be connected to: Node's error for that, whose message, which Node leaves empty, names them.
 *
 * @param target host and port
 */
export function connectFailedError(target: string, attempts: readonly FailedAttempt[]): NodeJS.ErrnoException {
  const reasons = attempts.map(({ address, error }) => {
    return `${address.includes(':') ? `[${address}]` : address} ${error.code ?? error.message}`
  })
  const errors = attempts.map(({ error }) => error)
  const aggregate: NodeJS.ErrnoException = new AggregateError(
    errors,
    `connect failed to ${target}: ${reasons.join(', ')}`,
  )
  const code = errors[0]?.code
  if (code !== undefined) aggregate.code = code
  return aggregate
}

/** As undici 8 reports it when one of several addresses took too long. @param cause see {@link connectFailedError} */
export function connectTimeoutErrorOf(cause: Error): Error {
  return Object.assign(new ConnectTimeoutError(cause.message), { cause })
}

/** @param info the connection's addresses and counters, for the errors that carry them */
export function fromProtocolError(error: ProtocolError, info: () => SocketInfo | null): Error {
  switch (error.kind) {
    case 'parse':
      return new HTTPParserErrorClass(error.message, error.parserCode, error.data)
    case 'header-overflow':
      return new HeadersOverflowError()
    case 'body-overflow':
      return new ResponseExceededMaxSizeError()
    case 'length-mismatch':
      return new ResponseContentLengthMismatchError()
    case 'closed':
      return socketError('other side closed', info())
    case 'bad-response':
      return socketError('bad response', info())
    case 'bad-upgrade':
      return socketError('bad upgrade', info())
  }
}
