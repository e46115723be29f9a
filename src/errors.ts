/**
 * The one place where errors of the kernel and of the protocol become undici's classes. Connect errors, resets and
 * resolver errors pass through as the system errors that they are, as undici lets them through.
 */
import { errors } from 'undici'

export const {
  BodyTimeoutError,
  ClientClosedError,
  ClientDestroyedError,
  ConnectTimeoutError,
  HeadersOverflowError,
  HeadersTimeoutError,
  HTTPParserError,
  InformationalError,
  InvalidArgumentError,
  NotSupportedError,
  RequestAbortedError,
  RequestContentLengthMismatchError,
  ResponseContentLengthMismatchError,
  ResponseExceededMaxSizeError,
  SocketError,
} = errors
