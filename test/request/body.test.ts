/** Kinds of bodies that are told by their looks, and the form in which they are sent. */
import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from '../../src/errors.js'
import { classifyBody, openBody } from '../../src/request/body.js'

const method = (): void => {}

const formLike = {
  append: method,
  delete: method,
  get: method,
  getAll: method,
  has: method,
  set: method,
  [Symbol.toStringTag]: 'FormData',
  [Symbol.iterator]: () => [][Symbol.iterator](),
}

const blobLike = (type: unknown): object => ({
  type,
  stream: () => new Blob(['ab']).stream(),
  [Symbol.toStringTag]: 'Blob',
})

describe('classifyBody', () => {
  it.each<[what: string, input: unknown, kind: string]>([
    ["undici's and Node's FormData by their methods", formLike, 'form'],
    ['a File-like by its tag', { arrayBuffer: method, [Symbol.toStringTag]: 'File' }, 'blob'],
    [
      'what has the tag of a form, but not its methods',
      { [Symbol.toStringTag]: 'FormData', *[Symbol.iterator]() {} },
      'iterable',
    ],
    ['a Map', new Map(), 'iterable'],
    ['a function that is iterable', Object.assign(method.bind(null), { *[Symbol.iterator]() {} }), 'iterable'],
    ['what can be piped and listened to, before all else', { ...formLike, pipe: method, on: method }, 'stream'],
  ])('knows %s', (_what, input, kind) => {
    expect(classifyBody(input).kind).toBe(kind)
  })

  it.each([1, true, {}, method, Symbol('s'), { pipe: method }, new Date(), Promise.resolve()])(
    'refuses %s',
    (input) => {
      expect(() => classifyBody(input)).toThrow(InvalidArgumentError)
    },
  )
})

describe('openBody', () => {
  it('looks at the type of a Blob only when the caller gave none', () => {
    const blob = classifyBody(blobLike('text/plain\r\nx: y'))
    expect(() => openBody(blob, false, false)).toThrow(new InvalidArgumentError('invalid content-type header'))
    expect(openBody(blob, true, false).contentType).toBeNull()
    expect(openBody(classifyBody(blobLike('text/plain')), false, false).contentType).toBe('text/plain')
    expect(openBody(classifyBody(blobLike('')), false, false).contentType).toBeNull()
  })

  it('reads a Blob-like that is no stream as a whole', async () => {
    const arrayBuffer = async (): Promise<ArrayBuffer> => new Uint8Array(Buffer.from('whole')).buffer
    const blob = classifyBody({ size: 5, arrayBuffer, [Symbol.toStringTag]: 'Blob' })
    const { length, source } = openBody(blob, false, false)
    const chunks: unknown[] = []
    for await (const chunk of source as AsyncIterable<Uint8Array>) chunks.push(Buffer.from(chunk).toString())
    expect({ length, chunks }).toEqual({ length: 5, chunks: ['whole'] })
  })

  it('does not know the length of a Blob-like that does not tell its size', () => {
    expect(openBody(classifyBody(blobLike('')), false, false).length).toBeNull()
  })
})
