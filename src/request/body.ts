/** The kinds of request body that undici takes, told apart once (undici core/request.js and core/util.js). */
import { InvalidArgumentError } from '../errors.js'
import { isFieldValue } from './header-validation.js'
import { encodeFormData, type FormDataLike, newBoundary } from './multipart.js'
import { IncomingMessage } from './node-http.js'

/** A Node stream, as far as a body needs it: told by `pipe` and `on`, not by its class. */
export interface StreamBody {
  on(event: string, listener: (...args: never[]) => void): unknown
  removeListener(event: string, listener: (...args: never[]) => void): unknown
  pipe: unknown
  read?: (size?: number) => unknown
  resume?: () => void
  pause?: () => void
  destroy?: (error?: Error) => void
  destroyed?: boolean
  errored?: Error | null
  errorEmitted?: boolean
  readableEnded?: boolean
  endEmitted?: boolean
  closed?: boolean
  _readableState?: { objectMode: boolean; ended: boolean; length: number; autoDestroy?: boolean } | null
}

/** What a body yields: other types are an error when they come. */
export type BodyIterable = AsyncIterable<unknown> | Iterable<unknown>

export type RequestBody =
  | { kind: 'none' }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'stream'; stream: StreamBody }
  | { kind: 'iterable'; iterable: BodyIterable }
  | { kind: 'blob'; blob: Blob }
  | { kind: 'form'; form: FormDataLike; boundary: string }

const NONE: RequestBody = { kind: 'none' }

/** @throws InvalidArgumentError for what is no body */
export function classifyBody(input: unknown): RequestBody {
  if (input == null) return NONE
  if (typeof input === 'string') return bytesBody(Buffer.from(input))
  if (isStream(input)) return { kind: 'stream', stream: input }
  if (input instanceof Uint8Array) return bytesBody(input)
  if (ArrayBuffer.isView(input)) return bytesBody(Buffer.from(input.buffer, input.byteOffset, input.byteLength))
  if (input instanceof ArrayBuffer) return bytesBody(Buffer.from(input))
  if (isFormData(input)) return { kind: 'form', form: input, boundary: newBoundary() }
  if (isBlob(input)) return { kind: 'blob', blob: input }
  if (isIterable(input)) return { kind: 'iterable', iterable: input }
  throw new InvalidArgumentError(
    'body must be a string, a Buffer, a Readable stream, an iterable, or an async iterable',
  )
}

const bytesBody = (bytes: Uint8Array): RequestBody => (bytes.byteLength === 0 ? NONE : { kind: 'bytes', bytes })

/** A body that is read while it is sent: it cannot be sent twice, nor share its connection with other requests. */
export const isOneShot = ({ kind }: RequestBody): boolean => kind === 'stream' || kind === 'iterable' || kind === 'form'

/** A body in the form in which it is sent. */
export interface Payload {
  /** In bytes; `null` when only reading it will tell. */
  length: number | null
  /** To be sent unless the caller gave one; `null` when the body does not imply any. */
  contentType: string | null
  source: Uint8Array | StreamBody | BodyIterable | null
}

const NOTHING: Payload = { length: 0, contentType: null, source: null }

/**
 * @param hasContentType the caller gave one: the body's own is of no interest
 * @param isHeldBack nothing is to be read before it is asked for, not even to learn of a stream that it is empty
 * @throws InvalidArgumentError for a Blob whose type cannot be sent
 */
export function openBody(body: RequestBody, hasContentType: boolean, isHeldBack: boolean): Payload {
  switch (body.kind) {
    case 'none':
      return NOTHING
    case 'bytes':
      return { length: body.bytes.byteLength, contentType: null, source: body.bytes }
    case 'stream':
      // Reading nothing may bring the end of a stream to light, and with it the length.
      if (!isHeldBack) body.stream.read?.(0)
      return { length: streamLength(body.stream), contentType: null, source: body.stream }
    case 'iterable':
      return { length: null, contentType: null, source: body.iterable }
    case 'blob': {
      const type = body.blob.type && !hasContentType ? `${body.blob.type}` : null
      if (type !== null && !isFieldValue(type)) throw new InvalidArgumentError('invalid content-type header')
      return {
        length: body.blob.size ?? null,
        contentType: type,
        source: isHeldBack ? readLater(body.blob) : readBlob(body.blob),
      }
    }
    case 'form': {
      const { length, contentType, chunks } = encodeFormData(body.form, body.boundary)
      return { length, contentType, source: chunks }
    }
  }
}

/** The stream itself: each iterator between it and the connection would cost ticks at its end. */
function readBlob(blob: Blob): AsyncIterable<Uint8Array> {
  if (typeof blob.stream === 'function') return blob.stream() as unknown as AsyncIterable<Uint8Array>
  return readBuffer(blob)
}

/** Its stream would begin to read as soon as there is one. */
const readLater = (blob: Blob): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () => readBlob(blob)[Symbol.asyncIterator](),
})

async function* readBuffer(blob: Pick<Blob, 'arrayBuffer'>): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(await blob.arrayBuffer())
}

function streamLength({ _readableState: state }: StreamBody): number | null {
  return state && state.objectMode === false && state.ended && Number.isFinite(state.length) ? state.length : null
}

export const isStream = (input: unknown): input is StreamBody =>
  typeof input === 'object' &&
  input !== null &&
  typeof (input as Partial<StreamBody>).pipe === 'function' &&
  typeof (input as Partial<StreamBody>).on === 'function'

const FORM_DATA_METHODS = ['append', 'delete', 'get', 'getAll', 'has', 'set', Symbol.iterator]

/** By its looks: undici's class and that of Node are not the same. */
function isFormData(input: unknown): input is FormDataLike {
  if (typeof input !== 'object' || input === null) return false
  const form = input as Record<string | symbol, unknown>
  return form[Symbol.toStringTag] === 'FormData' && FORM_DATA_METHODS.every((name) => typeof form[name] === 'function')
}

function isBlob(input: unknown): input is Blob {
  if (input instanceof Blob) return true
  if (typeof input !== 'object' || input === null) return false
  const { stream, arrayBuffer, [Symbol.toStringTag]: tag } = input as Record<string | symbol, unknown>
  return (tag === 'Blob' || tag === 'File') && (typeof stream === 'function' || typeof arrayBuffer === 'function')
}

function isIterable(input: unknown): input is BodyIterable {
  const { [Symbol.iterator]: iterator, [Symbol.asyncIterator]: asyncIterator } = input as Record<symbol, unknown>
  return typeof iterator === 'function' || typeof asyncIterator === 'function'
}

/** Destroys a stream body that is not going to be read to its end. */
export function destroyBody(body: RequestBody, error?: Error): void {
  if (body.kind === 'stream') destroyStream(body.stream, error)
}

/** No-op for a stream that is destroyed. */
export function destroyStream(stream: StreamBody, error?: Error): void {
  if (stream.destroyed) return
  // A request that a server received would take its connection along, on which the response is still to be sent: a
  // proxy's 502 (undici core/util.js, destroy). One with a status code is a response: its connection is to end.
  if (stream instanceof IncomingMessage && !stream.statusCode) (stream as { socket: unknown }).socket = null
  try {
    stream.destroy?.(error)
  } catch {
    // What only looks like a stream of Node's may throw: it is not read any more.
  }
}

/** Removes listeners, by the names of their events. */
export function leaveStream(stream: StreamBody, listeners: Record<string, ((...said: never[]) => void) | null>): void {
  try {
    for (const [event, listener] of Object.entries(listeners)) {
      if (listener !== null) stream.removeListener(event, listener)
    }
  } catch {
    // As above: who goes on listening hears of nothing that matters.
  }
}
