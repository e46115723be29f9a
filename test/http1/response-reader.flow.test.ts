/** The sink's hold on the reader: pause, resume, stop, and what it does with the window in between. */
import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import type { ProtocolError } from '../../src/http1/protocol-error.js'
import type { ResponseReader } from '../../src/http1/response-reader.js'
import { GET, head, latin1, Recording, type RecordingOptions, receive } from './recording.js'

const sizedText = `${head('HTTP/1.1 200 OK', 'content-length: 5')}hello`
const chunkedHead = head('HTTP/1.1 200 OK', 'transfer-encoding: chunked')
const chunkedText = `${chunkedHead}3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n${head('0', 'sum: 6')}`
const untilCloseText = `${head('HTTP/1.1 200 OK')}hello`
const nextText = `${head('HTTP/1.1 200 OK', 'content-length: 4')}next`

const pause = (reader: ResponseReader): void => reader.pause()
const stop = (reader: ResponseReader): void => reader.stop()
const onFirst =
  (react: (reader: ResponseReader) => void) =>
  (reader: ResponseReader, count: number): void => {
    if (count === 1) react(reader)
  }

/** What is left to hear after each further resume(); pauses are taken back one at a time. */
function resumeAll(recording: Recording): string[][] {
  const heard: string[][] = []
  for (let turn = 0; recording.reader.isPaused && turn < 20; turn++) {
    const before = recording.entries.length
    recording.note(recording.reader.resume())
    heard.push(recording.names.slice(before))
  }
  return heard
}

describe('ResponseReader.pause', () => {
  it.each([
    ['a body of known length', sizedText, ['data', 'end']],
    ['chunks', chunkedText, ['data', 'end']],
    ['a body until FIN', untilCloseText, ['data']],
    ['no body', head('HTTP/1.1 204 No'), ['end']],
  ])('in onHead keeps %s back', (_, text, later) => {
    const recording = new Recording({ on: { head: pause } }).feed(latin1(text))
    expect(recording.names).toEqual(['begin', 'head'])
    expect(recording.reader).toMatchObject({ isPaused: true, hasBacklog: true, isInMessage: true })
    expect(recording.reader.resume()).toBeNull()
    expect(recording.names).toEqual(['begin', 'head', ...later])
    expect(recording.reader).toMatchObject({ isPaused: false, hasBacklog: false })
  })

  it('in onData keeps the end of a body of known length back', () => {
    const recording = new Recording({ on: { data: pause } }).feed(latin1(sizedText))
    expect(recording.names).toEqual(['begin', 'head', 'data'])
    expect(recording.reader).toMatchObject({ state: 'sized', hasBacklog: true, directRoom: 0 })
    recording.reader.resume()
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it('in onData keeps the end back when the body came past the parser', () => {
    const recording = new Recording({ on: { data: pause } }).feed(latin1(sizedText.slice(0, -5)))
    expect(recording.reader.receiveBody(Buffer.from('hello'))).toBeNull()
    expect(recording.names).toEqual(['begin', 'head', 'data'])
    expect(recording.reader.hasBacklog).toBe(true)
    recording.reader.resume()
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it('in onData keeps the other chunks of the same read back, one at a time', () => {
    const recording = new Recording({ on: { data: pause } }).feed(latin1(chunkedText))
    const bodies = [recording.body]
    while (recording.reader.isPaused) {
      recording.reader.resume()
      bodies.push(recording.body)
    }
    expect(bodies).toEqual(['abc', 'abcde', 'abcdef', 'abcdef'])
    expect(recording.trailers?.toRecord()).toEqual({ sum: '6' })
    expect(recording.reader.isInMessage).toBe(false)
  })

  it('in onData keeps the next response back', () => {
    const recording = new Recording({ expectations: [GET, GET], on: { data: pause } })
    recording.feed(latin1(chunkedText.replace('sum: 6\r\n', '') + nextText))
    expect(resumeAll(recording)).toEqual([[], [], ['end', 'begin', 'head', 'data'], ['end']])
    expect(recording.body).toBe('abcdefnext')
  })

  it('in onHead of each of many pipelined responses delivers them one by one', () => {
    const count = 5
    const recording = new Recording({ expectations: new Array(count).fill(GET), on: { head: pause } })
    recording.feed(latin1(nextText.repeat(count)))
    expect(resumeAll(recording)).toEqual([
      ...new Array(count - 1).fill(['data', 'end', 'begin', 'head']),
      ['data', 'end'],
    ])
  })

  it('keeps what is received afterwards', () => {
    const recording = new Recording({ on: { head: pause } }).feed(latin1(sizedText.slice(0, -5)))
    expect(recording.reader.hasBacklog).toBe(false)
    expect(receive(recording.reader, latin1('hello'))).toBeNull()
    expect(recording.names).toEqual(['begin', 'head'])
    recording.reader.resume()
    expect(recording.body).toBe('hello')
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it('of a 1xx is void, for it is the final response that flows', () => {
    const recording = new Recording({ on: { informational: pause } })
    recording.feed(latin1(head('HTTP/1.1 103 Early Hints') + sizedText))
    expect(recording.names).toEqual(['begin', 'informational', 'begin', 'head', 'data', 'end'])
  })

  it('before the first event of a read keeps all of it', () => {
    const recording = new Recording()
    recording.reader.pause()
    recording.feed(latin1(sizedText))
    expect(recording.names).toEqual([])
    recording.reader.resume()
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it.each([
    ['data', `${chunkedHead}3\r\nabc\r\n2\r\nde\r\nxyz\r\n`],
    ['head', `${chunkedHead}3\r\nabc\r\n2\r\nde\r\nxyz\r\n`],
  ] as const)('in on%s keeps an error back until what came before it was delivered', (event, text) => {
    const recording = new Recording({ on: { [event]: pause } }).feed(latin1(text))
    expect(recording.names).not.toContain('error')
    resumeAll(recording)
    expect(recording.body).toBe('abcde')
    expect(recording.names).toEqual(['begin', 'head', 'data', 'error'])
    expect(recording.entries.at(-1)).toMatchObject({ kind: 'parse', code: 'INVALID_CHUNK_SIZE' })
  })
})

describe('ResponseReader.resume', () => {
  const both = (reader: ResponseReader): void => {
    reader.pause()
    expect(reader.resume()).toBeNull()
  }

  it.each([
    ['onHead', { head: both }],
    ['onData', { data: both }],
    ['onData, twice', { data: (reader: ResponseReader) => [both(reader), both(reader)] }],
    ['onEnd', { end: both }],
    ['onContinue', { continue: both }],
    ['onInformational', { informational: both }],
  ])('within %s takes the pause back, and nothing is heard twice', (_, on) => {
    for (const text of [sizedText, chunkedText]) {
      const options: RecordingOptions = { expectations: [GET, GET], on }
      const all = latin1(head('HTTP/1.1 100 Continue') + head('HTTP/1.1 103 Early Hints') + text + nextText)
      const expected = new Recording({ expectations: [GET, GET] }).feed(all).entries
      expect(new Recording(options).feed(all).entries).toEqual(expected)
      expect(new Recording(options).feed(all, 1).entries).toEqual(expected)
      expect(new Recording(options).feedDirectly(all, 1000).entries).toEqual(expected)
    }
  })

  it('within an event does not let what came later overtake', () => {
    const on = {
      data(reader: ResponseReader, count: number): void {
        reader.pause()
        if (count > 1) reader.resume()
      },
    }
    const text = latin1(chunkedText + nextText)
    const expected = new Recording({ expectations: [GET, GET] }).feed(text)
    const recording = new Recording({ expectations: [GET, GET], on }).feed(text)
    expect(recording.reader.resume()).toBeNull()
    expect(recording.entries).toEqual(expected.entries)
  })

  it('within an event that an earlier resume() led to does not nest', () => {
    const depths: number[] = []
    let depth = 0
    const recording = new Recording({
      on: {
        data(reader, count) {
          depths.push(++depth)
          reader.pause()
          if (count > 1) reader.resume()
          depth--
        },
      },
    })
    recording.feed(latin1(chunkedText))
    recording.reader.resume()
    expect(depths).toEqual([1, 1, 1])
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it.each([
    ['known length', sizedText],
    ['chunks', chunkedText],
  ])('has nothing to do when nothing was paused, or a second time, %s', (_, text) => {
    const recording = new Recording({ on: { head: pause } })
    expect(recording.reader.resume()).toBeNull()
    recording.feed(latin1(text))
    expect(recording.reader.resume()).toBeNull()
    const { length } = recording.entries
    expect(recording.reader.resume()).toBeNull()
    expect(recording.entries).toHaveLength(length)
  })

  it('returns the error in what was kept', () => {
    const recording = new Recording({ on: { head: pause } }).feed(latin1(`${sizedText}stray`))
    expect(recording.reader.resume()?.kind).toBe('bad-response')
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it('returns the excess over maxResponseSize in what was kept', () => {
    const recording = new Recording({ limits: { maxResponseSize: 4 }, on: { data: onFirst(pause) } })
    recording.feed(latin1(chunkedText))
    expect(recording.reader.resume()?.kind).toBe('body-overflow')
    expect(recording.body).toBe('abc')
  })
})

describe('ResponseReader.receiveEnd while the sink pauses', () => {
  it.each([
    ['onHead', { head: pause }],
    ['onData', { data: pause }],
    ['both', { head: pause, data: pause }],
  ])('in %s ends a body until FIN when it was delivered', (_, on) => {
    const recording = new Recording({ on }).feed(latin1(untilCloseText)).finish()
    expect(recording.names).not.toContain('end')
    expect(recording.reader).toMatchObject({ state: 'until-close', hasBacklog: true })
    resumeAll(recording)
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
    expect(recording.body).toBe('hello')
    expect(recording.reader).toMatchObject({ state: 'closed', hasBacklog: false })
  })

  it('keeps a reset that ends a body as it keeps FIN', () => {
    const recording = new Recording({ on: { head: pause } }).feed(latin1(untilCloseText))
    expect(recording.reader.receiveReset()).toEqual({ ended: true, error: null })
    expect(recording.names).toEqual(['begin', 'head'])
    expect(recording.reader.resume()).toBeNull()
    expect(recording.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it.each([
    ['known length', sizedText, 'closed'],
    ['chunks', chunkedText, 'closed'],
    ['chunks, cut short', chunkedText.slice(0, -10), 'closed'],
    ['known length, cut short', sizedText.slice(0, -1), 'closed'],
    [
      'known length, closing, cut short',
      sizedText.slice(0, -1).replace('OK', 'OK\r\nconnection: close'),
      'length-mismatch',
    ],
  ])('finds fault only behind what was kept, %s', (_, text, kind) => {
    const bytes = latin1(text)
    const expected = new Recording().feed(bytes).finish()
    const recording = new Recording({ on: { head: pause, data: pause } }).feed(bytes).finish()
    expect(recording.names).toEqual(['begin', 'head'])
    resumeAll(recording)
    expect(recording.entries).toEqual(expected.entries)
    expect(recording.entries.at(-1)).toMatchObject({ event: 'error', kind })
  })

  it('finds fault at once when nothing was kept', () => {
    const recording = new Recording({ on: { head: pause } }).feed(latin1(sizedText.slice(0, -5)))
    expect(recording.reader.receiveEnd()?.kind).toBe('closed')
  })

  it('is forgotten when the sink stops', () => {
    const recording = new Recording({ on: { head: pause } }).feed(latin1(untilCloseText)).finish()
    recording.reader.stop()
    expect(recording.reader.hasBacklog).toBe(false)
    expect(recording.reader.resume()).toBeNull()
    expect(recording.names).toEqual(['begin', 'head'])
  })
})

describe('ResponseReader.stop', () => {
  const withHints = (text: string): string => head('HTTP/1.1 103 Early Hints') + text

  it.each([
    ['onResponseBegin', { begin: stop }, sizedText, ['begin']],
    ['onContinue', { continue: stop }, head('HTTP/1.1 100 Continue') + sizedText, ['begin', 'continue']],
    ['onInformational', { informational: stop }, withHints(sizedText), ['begin', 'informational']],
    ['onHead of a body of known length', { head: stop }, sizedText, ['begin', 'head']],
    ['onHead of an empty body', { head: stop }, head('HTTP/1.1 204 No'), ['begin', 'head']],
    ['onHead of chunks', { head: stop }, chunkedText, ['begin', 'head']],
    ['onHead of a body until FIN', { head: stop }, untilCloseText, ['begin', 'head']],
    ['onData of known length', { data: stop }, sizedText, ['begin', 'head', 'data']],
    ['onData of chunks', { data: stop }, chunkedText, ['begin', 'head', 'data']],
    ['onData until FIN', { data: stop }, untilCloseText, ['begin', 'head', 'data']],
    ['onEnd of known length', { end: stop }, sizedText, ['begin', 'head', 'data', 'end']],
    ['onEnd of chunks', { end: stop }, chunkedText, ['begin', 'head', 'data', 'end']],
  ])('in %s is the last that is heard', (_, on, text, names) => {
    for (const size of [1000, 1]) {
      for (const also of [null, pause]) {
        const reactions = Object.fromEntries(
          Object.entries(on).map(([event, react]) => [
            event,
            (reader: ResponseReader) => {
              react(reader)
              also?.(reader)
            },
          ]),
        )
        const recording = new Recording({ expectations: [GET, GET], on: reactions })
        expect(receiveAll(recording.reader, latin1(text + nextText), size)).toEqual([])
        expect(recording.names).toEqual(names)
        expect(recording.reader.hasBacklog).toBe(false)
        expect(recording.reader.resume()).toBeNull()
        expect(recording.reader.receiveEnd()).toBeNull()
        expect(recording.names).toEqual(names)
        expect(recording.reader).toMatchObject({ state: 'closed', hasBacklog: false, directRoom: 0 })
      }
    }
  })

  it('in onData delivers no further chunk of the same read', () => {
    const recording = new Recording({ on: { data: stop } }).feed(latin1(chunkedText))
    expect(recording.chunks.map(String)).toEqual(['abc'])
  })

  it('in onData hides the error behind it', () => {
    const { reader, chunks } = new Recording({ on: { data: stop } })
    expect(receive(reader, latin1(`${chunkedHead}3\r\nabc\r\nxyz`))).toBeNull()
    expect(chunks).toHaveLength(1)
  })

  it('within a body that came past the parser', () => {
    const recording = new Recording({ on: { data: stop } }).feed(latin1(sizedText.slice(0, -5)))
    expect(recording.reader.receiveBody(Buffer.from('hello'))).toBeNull()
    expect(recording.names).toEqual(['begin', 'head', 'data'])
  })

  it('drops what a pause has kept', () => {
    const recording = new Recording({ on: { data: pause } }).feed(latin1(chunkedText + nextText))
    recording.reader.stop()
    recording.reader.stop()
    expect(recording.reader).toMatchObject({ state: 'closed', hasBacklog: false })
    expect(recording.reader.resume()).toBeNull()
    expect(recording.body).toBe('abc')
  })

  it('in a head lets its parser serve another message', () => {
    const recording = new Recording().feed(latin1('HTTP/1.1 200 OK\r\nx-old: 1\r\nx-'))
    recording.reader.stop()
    const next = new Recording().feed(latin1(head('HTTP/1.1 204 No', 'new: 2')))
    expect(next.entries.at(1)).toMatchObject({ status: 204, fields: { new: '2' } })
  })
})

function receiveAll(reader: ResponseReader, bytes: Buffer, size: number): ProtocolError[] {
  const errors: ProtocolError[] = []
  for (let i = 0; i < bytes.length; i += size) {
    const error = receive(reader, bytes.subarray(i, i + size))
    if (error !== null) errors.push(error)
  }
  return errors
}

describe('the receive window', () => {
  const otherText = `${head('HTTP/1.1 404 Not Found', 'transfer-encoding: chunked', `pad: ${'x'.repeat(500)}`)}3\r\nxyz\r\n0\r\n\r\n`
  const text = head('HTTP/1.1 103 Early Hints') + chunkedText + nextText

  it.each(['begin', 'informational', 'head', 'data', 'end'] as const)(
    'may be used by another reader within on%s',
    (event) => {
      const others: Recording[] = []
      const useWindow = (): void => {
        others.push(new Recording().feed(latin1(otherText)))
      }
      const expected = new Recording({ expectations: [GET, GET] }).feed(latin1(text)).entries
      const recording = new Recording({ expectations: [GET, GET], on: { [event]: useWindow } })
      expect(recording.feed(latin1(text)).entries).toEqual(expected)
      expect(others.length).toBeGreaterThan(0)
      for (const other of others) expect(other.body).toBe('xyz')
    },
  )

  it('may be used by another reader that resumes within an event', () => {
    const other = new Recording({ on: { head: pause } }).feed(latin1(otherText))
    const recording = new Recording({ expectations: [GET, GET], on: { head: onFirst(() => other.reader.resume()) } })
    const expected = new Recording({ expectations: [GET, GET] }).feed(latin1(text)).entries
    expect(recording.feed(latin1(text)).entries).toEqual(expected)
    expect(other.names).toEqual(['begin', 'head', 'data', 'end'])
  })

  it('may be used by another reader before what was kept is resumed', () => {
    const recording = new Recording({ expectations: [GET, GET], on: { head: onFirst(pause) } })
    recording.feed(latin1(chunkedText + nextText))
    new Recording().feed(latin1(otherText))
    const useWindow = (): void => {
      new Recording().feed(latin1(otherText))
    }
    const expected = new Recording({ expectations: [GET, GET] }).feed(latin1(chunkedText + nextText)).entries
    useWindow()
    recording.reader.resume()
    expect(recording.entries).toEqual(expected)
  })

  it('serves many readers whose bytes come by turns', () => {
    const bytes = latin1(text)
    const recordings = Array.from({ length: 10 }, () => new Recording({ expectations: [GET, GET] }))
    for (let i = 0; i < bytes.length; i += 3) {
      for (const recording of recordings) recording.feed(bytes.subarray(i, i + 3))
    }
    const expected = new Recording({ expectations: [GET, GET] }).feed(bytes).entries
    for (const recording of recordings) expect(recording.entries).toEqual(expected)
  })
})

describe('what is handed out', () => {
  it.each([
    ['known length', sizedText],
    ['chunks', chunkedText],
    ['until FIN', untilCloseText],
  ])('is never written to again, %s', (_, text) => {
    const recording = new Recording().feed(latin1(text), 10)
    const chunks = recording.chunks.map((chunk) => Buffer.from(chunk))
    const raw = recording.heads[0]!.fields.toRaw().map((part) => part.toString('latin1'))
    const trailers = recording.trailers?.toRaw().map((part) => part.toString('latin1'))
    for (const length of [10, 100, 65_536]) {
      receive(new Recording().reader, Buffer.alloc(length, '*'))
      new Recording({ on: { head: pause } }).feed(Buffer.from(sizedText)).reader.resume()
    }
    expect(recording.chunks).toEqual(chunks)
    expect(recording.heads[0]!.fields.toRaw().map((part) => part.toString('latin1'))).toEqual(raw)
    expect(recording.trailers?.toRaw().map((part) => part.toString('latin1'))).toEqual(trailers)
  })

  it('may be written to by who got it', () => {
    const recording = new Recording({ on: { data: (_, count) => recording.chunks[count - 1]!.fill('*') } })
    recording.feed(latin1(chunkedText))
    expect(recording.body).toBe('******')
    expect(recording.trailers?.toRecord()).toEqual({ sum: '6' })
  })

  it('is Buffers', () => {
    const recording = new Recording().feed(latin1(chunkedText))
    expect(recording.chunks.every(Buffer.isBuffer)).toBe(true)
    expect(recording.heads[0]!.fields.toRaw().every(Buffer.isBuffer)).toBe(true)
  })
})
