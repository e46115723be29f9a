/** Generated responses: neither the splits of the reads nor pauses change what is heard, and no bytes make it throw. */
import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Expectation, ResponseReader } from '../../src/http1/response-reader.js'
import { type Entry, latin1, Recording, receive } from './recording.js'

/** fast-check prints seed and path of a failure; fixed, so that each run checks the same. */
const bounds = (numRuns: number) => ({ seed: 20_250_101, numRuns, interruptAfterTimeLimit: 5000 })

interface Exchange {
  method: string
  text: string
  entries: Entry[]
}

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/)
const fieldValue = fc.stringMatching(/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/)
type FieldLine = [name: string, value: string, blanks: string]
type FieldLines = FieldLine[]
/** Names that mean something to the reader come from the generator of the framing. */
const fieldLine: fc.Arbitrary<FieldLine> = fc
  .tuple(token, fieldValue, fc.constantFrom('', ' ', '  \t'))
  .filter(
    ([name]) => !/^(content-length|transfer-encoding|connection|proxy-connection|upgrade|keep-alive)$/i.test(name),
  )
const fieldLines = fc.array(fieldLine, { maxLength: 6 })

const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const reason = fc.stringMatching(/^[\t\x20-\x7e]{0,20}$/).map((text) => text.trim())
const finalStatus = fc.integer({ min: 200, max: 599 })
const method = fc.constantFrom('GET', 'POST', 'HEAD')

const format = (fields: FieldLines): string =>
  fields.map(([name, value, blanks]) => `${name}:${blanks}${value}\r\n`).join('')

function record(fields: FieldLines): Record<string, string | string[]> {
  const byName = new Map<string, string[]>()
  for (const [name, value] of fields) {
    const lower = name.toLowerCase()
    byName.set(lower, [...(byName.get(lower) ?? []), value])
  }
  return Object.fromEntries([...byName].map(([name, values]) => [name, values.length === 1 ? values[0]! : values]))
}

const informational = fc
  .tuple(fc.integer({ min: 102, max: 199 }), reason, fieldLines)
  .map(([status, text, fields]): { text: string; entries: Entry[] } => ({
    text: `HTTP/1.1 ${status} ${text}\r\n${format(fields)}\r\n`,
    entries: [{ event: 'begin' }, { event: 'informational', status, text, fields: record(fields) }],
  }))

type Body =
  | { kind: 'sized'; content: string }
  | { kind: 'chunked'; chunks: [content: string, extension: string][]; trailers: FieldLines }

const body: fc.Arbitrary<Body> = fc.oneof(
  fc.record({ kind: fc.constant('sized' as const), content: octets }),
  fc.record({
    kind: fc.constant('chunked' as const),
    chunks: fc.array(
      fc.tuple(
        octets.filter((content) => content !== ''),
        fc.constantFrom('', ';a', ';a=b;c="d"'),
      ),
    ),
    trailers: fieldLines,
  }),
)

function framed(framing: Body, isBodyless: boolean): { field: FieldLine; text: string; entries: Entry[] } {
  const entries: Entry[] = []
  let text = ''
  let content: string
  let trailers: FieldLines = []
  let field: FieldLine
  if (framing.kind === 'sized') {
    content = framing.content
    field = ['Content-Length', `${content.length}`, ' ']
    text = content
  } else {
    field = ['Transfer-Encoding', 'chunked', ' ']
    content = framing.chunks.map(([chunk]) => chunk).join('')
    trailers = framing.trailers
    for (const [chunk, extension] of framing.chunks) text += `${chunk.length.toString(16)}${extension}\r\n${chunk}\r\n`
    text += `0\r\n${format(trailers)}\r\n`
  }
  if (isBodyless) return { field, text: '', entries: [{ event: 'end', trailers: {} }] }
  if (content !== '') entries.push({ event: 'data', body: content })
  entries.push({ event: 'end', trailers: record(trailers) })
  return { field, text, entries }
}

const exchange: fc.Arbitrary<Exchange> = fc
  .tuple(method, fc.array(informational, { maxLength: 2 }), finalStatus, reason, fieldLines, body, fc.nat(6))
  .map(([method, hints, status, text, fields, content, at]) => {
    const isBodyless = method === 'HEAD' || status === 204 || status === 304
    const { field, text: bodyText, entries } = framed(content, isBodyless)
    const allFields = fields.toSpliced(Math.min(at, fields.length), 0, field)
    const isEmpty = content.kind === 'sized' && content.content === ''
    return {
      method,
      text: `${hints.map((hint) => hint.text).join('')}HTTP/1.1 ${status} ${text}\r\n${format(allFields)}\r\n${bodyText}`,
      entries: [
        ...hints.flatMap((hint) => hint.entries),
        { event: 'begin' },
        {
          event: 'head',
          status,
          text,
          fields: record(allFields),
          keepAlive: true,
          hint: null,
          sound: method === 'HEAD' || (status !== 204 && status !== 304) || isEmpty,
          framing: isBodyless
            ? { kind: 'sized', length: 0 }
            : content.kind === 'sized'
              ? { kind: 'sized', length: content.content.length }
              : { kind: 'chunked' },
        },
        ...entries,
      ],
    }
  })

const exchanges = fc.array(exchange, { minLength: 1, maxLength: 3 })
/** Sizes of the reads; the last one is repeated. */
const splits = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 200 })), {
  minLength: 1,
  maxLength: 30,
})

const expectationsOf = (list: readonly Exchange[]): Expectation[] =>
  list.map(({ method }) => ({ method, upgrade: null }))
const textOf = (list: readonly Exchange[]): Buffer => latin1(list.map(({ text }) => text).join(''))

/** Feeds with pauses in the events whose turn `pauses` says, each taken back before anything more is received. */
function feedWithPauses(
  expectations: readonly Expectation[],
  bytes: Buffer,
  sizes: readonly number[],
  pauses: readonly boolean[],
): Recording {
  let turn = 0
  const maybePause = (): void => {
    if (pauses[turn++ % pauses.length]) recording.reader.pause()
  }
  const on = { head: maybePause, data: maybePause }
  const recording = new Recording({ expectations, on })
  const { reader } = recording
  const resume = (): boolean => {
    while (reader.isPaused && reader.state !== 'closed') {
      if (recording.note(reader.resume())) return true
    }
    return reader.state === 'closed'
  }
  let position = 0
  for (let i = 0; position < bytes.length; i++) {
    const piece = bytes.subarray(position, position + sizes[Math.min(i, sizes.length - 1)]!)
    position += piece.length
    if (recording.note(receive(reader, piece)) || resume()) return recording
  }
  recording.finish()
  resume()
  return recording
}

describe('ResponseReader, on generated responses', () => {
  it('hears what was meant, whole', () => {
    fc.assert(
      fc.property(exchanges, (list) => {
        const recording = new Recording({ expectations: expectationsOf(list) }).feed(textOf(list))
        expect(recording.entries).toEqual(list.flatMap(({ entries }) => entries))
      }),
      bounds(300),
    )
  })

  it('hears the same however the reads are split', () => {
    fc.assert(
      fc.property(exchanges, splits, (list, sizes) => {
        const expected = list.flatMap(({ entries }) => entries)
        const bytes = textOf(list)
        expect(new Recording({ expectations: expectationsOf(list) }).feed(bytes, ...sizes).entries).toEqual(expected)
        const direct = new Recording({ expectations: expectationsOf(list) }).feedDirectly(bytes, sizes[0]!)
        expect(direct.entries).toEqual(expected)
      }),
      bounds(300),
    )
  })

  it('hears the same however the sink pauses', () => {
    const pauses = fc.array(fc.boolean(), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(exchanges, splits, pauses, (list, sizes, pauses) => {
        const recording = feedWithPauses(expectationsOf(list), textOf(list), sizes, pauses)
        expect(recording.entries.slice(0, -1)).toEqual(list.flatMap(({ entries }) => entries))
        expect(recording.entries.at(-1)).toMatchObject({ event: 'error', kind: 'closed' })
      }),
      bounds(300),
    )
  })
})

type Mutation = [kind: 'replace' | 'insert' | 'remove' | 'cut' | 'repeat', at: number, byte: number]

const telling = [...'\r\n\0 \t:;,0159aAfFxX-/HTP'].map((character) => character.charCodeAt(0))
const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.constantFrom('replace', 'insert', 'remove', 'cut', 'repeat'),
  fc.nat(),
  fc.oneof(fc.constantFrom(...telling), fc.integer({ min: 0, max: 255 })),
)

function mutate(bytes: Buffer, mutations: readonly Mutation[]): Buffer {
  let mutated = bytes
  for (const [kind, place, byte] of mutations) {
    const at = mutated.length === 0 ? 0 : place % mutated.length
    const before = mutated.subarray(0, at)
    const after = mutated.subarray(at)
    if (kind === 'replace') mutated = Buffer.concat([before, Buffer.of(byte), after.subarray(1)])
    else if (kind === 'insert') mutated = Buffer.concat([before, Buffer.of(byte), after])
    else if (kind === 'remove') mutated = Buffer.concat([before, after.subarray(1)])
    else if (kind === 'cut') mutated = Buffer.concat([before, after.subarray(byte)])
    else mutated = Buffer.concat([before, after.subarray(0, byte), after])
  }
  return mutated
}

describe('ResponseReader, on damaged responses', () => {
  const damaged = fc
    .tuple(exchanges, fc.array(mutation, { minLength: 1, maxLength: 4 }))
    .map(([list, mutations]) => ({ expectations: expectationsOf(list), bytes: mutate(textOf(list), mutations) }))
  const pauses = fc.array(fc.boolean(), { minLength: 1, maxLength: 8 })

  it('hears the same, and finds the same fault, however the reads are split and the sink pauses', () => {
    fc.assert(
      fc.property(damaged, splits, pauses, ({ expectations, bytes }, sizes, pauses) => {
        const expected = new Recording({ expectations }).feed(bytes).finish().entries
        expect(new Recording({ expectations }).feed(bytes, ...sizes).finish().entries).toEqual(expected)
        expect(new Recording({ expectations }).feed(bytes, 1).finish().entries).toEqual(expected)
        expect(feedWithPauses(expectations, bytes, sizes, pauses).entries).toEqual(expected)
      }),
      bounds(1000),
    )
  })

  it('hears nothing after a fault or an end', () => {
    fc.assert(
      fc.property(damaged, splits, ({ expectations, bytes }, sizes) => {
        const recording = new Recording({ expectations }).feed(bytes, ...sizes).finish()
        const { length } = recording.entries
        expect(recording.names.slice(0, -1)).not.toContain('error')
        recording.reader.stop()
        receive(recording.reader, bytes)
        recording.reader.resume()
        recording.reader.receiveEnd()
        expect(recording.entries).toHaveLength(length)
      }),
      bounds(200),
    )
  })

  it('finds no fault behind the event in which it is stopped', () => {
    fc.assert(
      fc.property(damaged, splits, fc.integer({ min: 1, max: 8 }), ({ expectations, bytes }, sizes, last) => {
        let count = 0
        const stop = (reader: ResponseReader): void => {
          if (++count === last) reader.stop()
        }
        const on = { begin: stop, informational: stop, head: stop, data: stop, end: stop, tunnel: stop }
        const { entries } = new Recording({ expectations, on }).feed(bytes, ...sizes).finish()
        if (count >= last) expect(entries.at(-1)).not.toMatchObject({ event: 'error' })
        expect(count).toBeLessThanOrEqual(last)
      }),
      bounds(500),
    )
  })

  it('keeps the limits', () => {
    fc.assert(
      fc.property(damaged, splits, fc.nat(200), fc.nat(100), ({ expectations, bytes }, sizes, header, response) => {
        const limits = { maxHeaderSize: header, maxResponseSize: response }
        const recording = new Recording({ expectations, limits }).feed(bytes, ...sizes).finish()
        for (const entry of recording.entries) {
          if (entry.event === 'data') expect(entry.body.length).toBeLessThanOrEqual(response)
          if (entry.event === 'head') {
            expect(Object.entries(entry.fields).flat(2).join('').length).toBeLessThan(Math.max(header, 1))
          }
        }
      }),
      bounds(300),
    )
  })

  it('survives what is no response at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), splits, (noise, sizes) => {
        const bytes = Buffer.from(noise)
        const expected = new Recording().feed(bytes).finish().entries
        expect(new Recording().feed(bytes, ...sizes).finish().entries).toEqual(expected)
        expect(expected.at(-1)).toMatchObject({ event: 'error' })
      }),
      bounds(300),
    )
  })
})
