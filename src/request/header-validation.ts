/**
 * The caller's header fields, in each of the forms that undici takes, checked by undici's rules and with its words
 * (undici core/request.js, processHeader). What passes here can be written to the wire as it is.
 */
import { InvalidArgumentError, NotSupportedError } from '../errors.js'

/** A flat array of names and values, an iterable of pairs, or an object. */
export type HeadersInput =
  | readonly unknown[]
  | Iterable<readonly [string, unknown]>
  | Readonly<Record<string, unknown>>
  | null
  | undefined

/** Where checked fields go. Fields that the connection generates itself are taken out of the list. */
export interface HeaderFields {
  /** Names and values by turns. */
  headers: (string | string[])[]
  host: string | null
  contentLength: number | null
  contentType: string | string[] | null
  /** The caller wants (true) or does not want (false) the connection to end with this request. */
  reset: boolean | null
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const LENGTHS = /^[0-9]+(?:[\t ]*,[\t ]*[0-9]+)*$/
const INVALID_VALUE = /[^\t\x20-\x7e\x80-\xff]/

/** RFC 9110 5.6.2. */
export const isToken = (text: string): boolean => TOKEN.test(text)

/** RFC 9110 5.5, obs-text included. */
export const isFieldValue = (text: string): boolean => !INVALID_VALUE.test(text)

/** @throws InvalidArgumentError, or NotSupportedError for `expect` */
export function addHeaders(fields: HeaderFields, input: HeadersInput): void {
  if (input == null) return
  if (Array.isArray(input)) {
    if (input.length % 2 !== 0) throw new InvalidArgumentError('headers array must be even')
    for (let i = 0; i < input.length; i += 2) addHeader(fields, input[i], input[i + 1])
  } else if (typeof input !== 'object') {
    throw new InvalidArgumentError('headers must be an object or an array')
  } else if (hasSafeIterator(input)) {
    for (const pair of input as Iterable<unknown>) {
      if (!Array.isArray(pair) || pair.length !== 2) {
        throw new InvalidArgumentError('headers must be in key-value pair format')
      }
      addHeader(fields, pair[0], pair[1])
    }
  } else {
    const record = input as Readonly<Record<string, unknown>>
    for (const name of Object.keys(record)) addHeader(fields, name, record[name])
  }
}

/** An iterator of the object's own or of its class, not one that was planted on Object.prototype. */
function hasSafeIterator(object: object): boolean {
  if (Object.hasOwn(object, Symbol.iterator)) return true
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype === null || prototype === Object.prototype) return false
  return typeof (object as Partial<Iterable<unknown>>)[Symbol.iterator] === 'function'
}

/** @throws InvalidArgumentError, or NotSupportedError for `expect` */
export function addHeader(fields: HeaderFields, name: unknown, input: unknown): void {
  if (input === undefined) return
  const key = name as string
  const isList = Array.isArray(input)
  if (input !== null && typeof input === 'object' && !isList) throw new InvalidArgumentError(`invalid ${key} header`)
  const lower = key.toLowerCase()
  if (!isToken(lower)) throw new InvalidArgumentError('invalid header key')
  const value = isList ? input.map((element) => fieldValue(key, element)) : fieldValue(key, input)
  switch (lower) {
    case 'host':
      if (fields.host !== null) throw new InvalidArgumentError('duplicate host header')
      if (typeof value !== 'string') throw new InvalidArgumentError('invalid host header')
      fields.host = value
      break
    case 'content-length':
      addContentLength(fields, value)
      break
    case 'transfer-encoding':
    case 'keep-alive':
    case 'upgrade':
      throw new InvalidArgumentError(`invalid ${lower} header`)
    case 'connection':
      addConnection(fields, value)
      break
    case 'expect':
      throw new NotSupportedError('expect header not supported')
    default:
      if (lower === 'content-type') fields.contentType ??= value
      fields.headers.push(key, value)
  }
}

/**
 * Several equal lengths are one (RFC 9110 8.6), be they in a list or in fields of their own: the built-in `fetch` of
 * Node.js 20 and 22 makes `5, 5` of the caller's length and its own.
 */
function addContentLength(fields: HeaderFields, value: string | string[]): void {
  const list = `${value}`
  if (!LENGTHS.test(list)) throw new InvalidArgumentError('invalid content-length header')
  for (const digits of list.split(',')) {
    const length = Number.parseInt(digits, 10)
    if (fields.contentLength !== null && fields.contentLength !== length) {
      throw new InvalidArgumentError('duplicate content-length header')
    }
    fields.contentLength = length
  }
}

/** A comma-separated list of tokens (RFC 9110 7.6.1), of which only `close` has an effect. */
function addConnection(fields: HeaderFields, value: string | string[]): void {
  if (typeof value !== 'string') throw new InvalidArgumentError('invalid connection header')
  for (const element of value.toLowerCase().split(',')) {
    const token = element.trim()
    if (!isToken(token)) throw new InvalidArgumentError('invalid connection header')
    if (token === 'close') fields.reset = true
  }
}

function fieldValue(name: string, input: unknown): string {
  if (input === null) return ''
  if (typeof input === 'object') throw new InvalidArgumentError(`invalid ${name} header`)
  const value = `${input}`
  if (!isFieldValue(value)) throw new InvalidArgumentError(`invalid ${name} header`)
  return value
}
