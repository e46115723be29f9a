/** The options of a request, checked by undici's rules and refused in undici's words (undici core/request.js). */
import { isIP } from 'node:net'
import { stringify } from 'node:querystring'
import type { Dispatcher } from 'undici'
import { InvalidArgumentError } from '../errors.js'
import { isFieldValue, isToken } from './header-validation.js'

const INVALID_PATH = /[^\u0021-\u00ff]/

/**
 * Checks all options but body, headers and query.
 *
 * @throws InvalidArgumentError for the first that is not valid
 */
export function validate(options: Dispatcher.DispatchOptions): void {
  const { path, method, upgrade, headersTimeout, bodyTimeout, reset, expectContinue, throwOnError } = options
  const { typeOfService } = options
  if (typeof path !== 'string') throw new InvalidArgumentError('path must be a string')
  if (path[0] !== '/' && !path.startsWith('http://') && !path.startsWith('https://') && method !== 'CONNECT') {
    throw new InvalidArgumentError('path must be an absolute URL or start with a slash')
  }
  if (INVALID_PATH.test(path)) throw new InvalidArgumentError('invalid request path')
  if (typeof method !== 'string') throw new InvalidArgumentError('method must be a string')
  if (!isToken(method)) throw new InvalidArgumentError('invalid request method')
  if (upgrade && typeof upgrade !== 'string') throw new InvalidArgumentError('upgrade must be a string')
  if (upgrade && !isFieldValue(upgrade as string)) throw new InvalidArgumentError('invalid upgrade header')
  assertTimeout('headersTimeout', headersTimeout)
  assertTimeout('bodyTimeout', bodyTimeout)
  if (reset != null && typeof reset !== 'boolean') throw new InvalidArgumentError('invalid reset')
  if (expectContinue != null && typeof expectContinue !== 'boolean') {
    throw new InvalidArgumentError('invalid expectContinue')
  }
  if (throwOnError != null) throw new InvalidArgumentError('invalid throwOnError')
  const { maxRedirections } = options as { maxRedirections?: unknown }
  if (maxRedirections != null && maxRedirections !== 0) {
    throw new InvalidArgumentError('maxRedirections is not supported, use the redirect interceptor')
  }
  if (typeOfService != null && (!Number.isInteger(typeOfService) || typeOfService < 0 || typeOfService > 255)) {
    throw new InvalidArgumentError('typeOfService must be an integer between 0 and 255')
  }
}

function assertTimeout(name: string, value: number | null | undefined): void {
  if (value != null && (!Number.isFinite(value) || value < 0)) throw new InvalidArgumentError(`invalid ${name}`)
}

/**
 * The request target with the query's parameters.
 *
 * @throws a plain Error, as undici does, when the path has a query or a fragment already
 */
export function withQuery(path: string, query: Record<string, unknown>): string {
  if (path.includes('?') || path.includes('#')) {
    throw new Error('Query params cannot be passed when url already contains "?" or "#".')
  }
  const text = stringify(query as Parameters<typeof stringify>[0])
  return text === '' ? path : `${path}?${text}`
}

/** Methods that may be repeated without harm (RFC 9110 9.2.2), of those that undici takes for it. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'QUERY'])

/** Unless the caller says otherwise; QUERY (draft-ietf-httpbis-safe-method-w-body) as of undici 8. */
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method)

/** The name for TLS's SNI in a Host field's value; `null` where there is none, as in an IP literal (RFC 6066 3). */
export function serverName(host: string | null): string | null {
  if (host === null) return null
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.split(':', 1)[0]!
  return name === '' || isIP(name) !== 0 ? null : name
}
