import { Buffer } from 'node:buffer'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Outcome, Parser, receiveWindow, WINDOW_SIZE } from '../../src/http1/llhttp.js'
import { head } from './recording.js'

let parser: Parser

beforeEach(() => {
  parser = Parser.borrow()
})

afterEach(() => parser.giveBack())

/** Parses `text`, put at `start` in the window. */
function parse(text: string, start = 0, sectionLength = 0): Outcome {
  receiveWindow().write(text, start, 'latin1')
  return parser.execute(start, start + text.length, sectionLength)
}

/** The field lines that were noted, read from the section they are in. */
function fieldsIn(section: string): string[] {
  const texts: string[] = []
  const places = parser.fieldPlaces()
  for (let i = 0; i < places.length; i += 2) {
    const offset = places[i]!
    texts.push(section.substring(offset, offset + places[i + 1]!))
  }
  return texts
}

describe('receiveWindow', () => {
  it('is one window of 64 KiB', () => {
    expect(receiveWindow()).toHaveLength(WINDOW_SIZE)
    expect(receiveWindow()).toBe(receiveWindow())
  })

  it('is found again when the memory has grown under it', () => {
    const before = receiveWindow()
    before.write('kept')
    const parsers: Parser[] = []
    while (receiveWindow() === before && parsers.length < 100_000) parsers.push(Parser.borrow())
    expect(before).toHaveLength(0)
    expect(receiveWindow().toString('latin1', 0, 4)).toBe('kept')
    expect(parse(head('HTTP/1.1 200 OK', 'content-length: 3'))).toBe(Outcome.Head)
    expect(parser.contentLength).toBe(3)
    for (const borrowed of parsers) borrowed.giveBack()
  })

  it("may move before a head's framing is read", () => {
    expect(parse(head('HTTP/1.1 200 OK', 'content-length: 3'))).toBe(Outcome.Head)
    const before = receiveWindow()
    const parsers: Parser[] = []
    // Without asking for the window, which would find it again.
    while (before.length > 0 && parsers.length < 100_000) parsers.push(Parser.borrow())
    expect(before).toHaveLength(0)
    const { contentLength, isChunked, hasTransferEncoding } = parser
    expect({ contentLength, isChunked, hasTransferEncoding }).toEqual({
      contentLength: 3,
      isChunked: false,
      hasTransferEncoding: false,
    })
    for (const borrowed of parsers) borrowed.giveBack()
  })
})

describe('Parser', () => {
  it('stops behind a head, with the bytes behind it untouched', () => {
    const text = head('HTTP/1.1 200 Fine', 'A: 1', 'b:  2 ')
    expect(parse(`${text}body`, 10)).toBe(Outcome.Head)
    expect(parser).toMatchObject({ position: 10 + text.length, status: 200, upgrade: false, error: null })
    expect(text.substring(parser.statusOffset, parser.statusOffset + parser.statusLength)).toBe('Fine')
    expect(fieldsIn(text)).toEqual(['A', '1', 'b', '2 '])
    expect(parser.fieldBytes).toBe('A1b2 '.length)
  })

  it('counts offsets from the beginning of the section when a head comes in parts', () => {
    const text = head('HTTP/1.1 200 Fine', 'Name: value', 'empty:', 'x: y')
    const outcomes: Outcome[] = []
    for (let i = 0; i < text.length; i++) outcomes.push(parse(text[i]!, 3, i))
    expect(outcomes.indexOf(Outcome.Head)).toBe(text.length - 1)
    expect(text.substring(parser.statusOffset, parser.statusOffset + parser.statusLength)).toBe('Fine')
    expect(fieldsIn(text)).toEqual(['Name', 'value', 'empty', '', 'x', 'y'])
  })

  it('notes the places of chunks in the window and ends behind the last one', () => {
    parse(head('HTTP/1.1 200 OK', 'transfer-encoding: chunked'))
    parser.beginSection()
    expect(parse('3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\nnext', 100)).toBe(Outcome.End)
    const window = receiveWindow()
    const [first, firstLength, second, secondLength] = parser.body as [number, number, number, number]
    expect(parser.body).toHaveLength(4)
    expect(window.toString('latin1', first, first + firstLength)).toBe('abc')
    expect(window.toString('latin1', second, second + secondLength)).toBe('de')
    expect(window.toString('latin1', parser.position, parser.position + 4)).toBe('next')
    expect(parser.fieldBytes).toBe('Tv'.length)
  })

  it.each<[field: string, facts: { isChunked: boolean; hasTransferEncoding: boolean; contentLength: number }]>([
    ['x: y', { isChunked: false, hasTransferEncoding: false, contentLength: -1 }],
    ['content-length: 0', { isChunked: false, hasTransferEncoding: false, contentLength: 0 }],
    ['content-length: 1234', { isChunked: false, hasTransferEncoding: false, contentLength: 1234 }],
    [`content-length: ${2 ** 33 + 5}`, { isChunked: false, hasTransferEncoding: false, contentLength: 2 ** 33 + 5 }],
    [
      `content-length: ${Number.MAX_SAFE_INTEGER}`,
      { isChunked: false, hasTransferEncoding: false, contentLength: Number.MAX_SAFE_INTEGER },
    ],
    ['transfer-encoding: chunked', { isChunked: true, hasTransferEncoding: true, contentLength: -1 }],
    ['transfer-encoding: gzip, chunked', { isChunked: true, hasTransferEncoding: true, contentLength: -1 }],
    ['transfer-encoding: gzip', { isChunked: false, hasTransferEncoding: true, contentLength: -1 }],
    ['transfer-encoding: chunked, gzip', { isChunked: false, hasTransferEncoding: true, contentLength: -1 }],
  ])('reads the framing of %j from the parser', (field, facts) => {
    expect(parse(head('HTTP/1.1 200 OK', field))).toBe(Outcome.Head)
    const { isChunked, hasTransferEncoding, contentLength } = parser
    expect({ isChunked, hasTransferEncoding, contentLength }).toEqual(facts)
  })

  it.each<[text: string, upgrade: boolean]>([
    [head('HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'upgrade: x'), true],
    [head('HTTP/1.1 101 Switching Protocols'), false],
    [head('HTTP/1.1 200 OK', 'connection: upgrade', 'upgrade: x', 'content-length: 0'), false],
  ])('tells whether %j switches protocols', (text, upgrade) => {
    expect(parse(text)).toBe(Outcome.Head)
    expect(parser.upgrade).toBe(upgrade)
  })

  it('says what is wrong, and where', () => {
    expect(parse('HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n', 5)).toBe(Outcome.Failed)
    expect(parser.error).toMatchObject({
      kind: 'parse',
      message: 'Response does not match the HTTP/1.1 protocol (Invalid header token)',
      parserCode: 'INVALID_HEADER_TOKEN',
    })
    expect(parser.error?.data?.toString('latin1')).toBe(' name: x\r\n\r\n')
  })

  it.each<[name: string, text: string]>([
    ['STRICT', 'HTTP/1.1 200 OK\rX'],
    ['LF_EXPECTED', 'HTTP/1.1 200 OK\r\na: b\rX'],
    ['CR_EXPECTED', 'HTTP/1.1 200 OK\r\na: b\nX'],
    ['UNEXPECTED_CONTENT_LENGTH', head('HTTP/1.1 200 OK', 'content-length: 1', 'content-length: 1')],
    ['UNEXPECTED_SPACE', head('HTTP/1.1 200 OK', ' a: b')],
    ['INVALID_CONSTANT', 'garbage'],
    ['INVALID_VERSION', 'HTTP/9.9 200 OK'],
    ['INVALID_HEADER_TOKEN', head('HTTP/1.1 200 OK', 'bad name: x')],
    ['INVALID_CONTENT_LENGTH', head('HTTP/1.1 200 OK', 'content-length: x')],
    ['INVALID_STATUS', 'HTTP/1.1 2x0 OK'],
    ['INVALID_TRANSFER_ENCODING', head('HTTP/1.1 200 OK', 'content-length: 1', 'transfer-encoding: chunked')],
  ])('calls it %s, as llhttp does: %j', (name, text) => {
    expect(parse(text)).toBe(Outcome.Failed)
    expect(parser.error?.parserCode).toBe(name)
  })

  it.each<[name: string, text: string]>([
    ['STRICT', '1\r\nabc'],
    ['CR_EXPECTED', '1\nabc'],
    ['INVALID_HEADER_TOKEN', '0\r\nbad name: x\r\n\r\n'],
    ['INVALID_CONTENT_LENGTH', '0\r\ncontent-length: 4\r\n\r\n'],
    ['INVALID_CHUNK_SIZE', 'x\r\n'],
  ])('calls it %s, as llhttp does, in a chunked body: %j', (name, text) => {
    parse(head('HTTP/1.1 200 OK', 'transfer-encoding: chunked'))
    expect(parse(text)).toBe(Outcome.Failed)
    expect(parser.error?.parserCode).toBe(name)
  })

  it('keeps the offending bytes when the window is used again', () => {
    parse('garbage')
    receiveWindow().fill(0)
    expect(parser.error?.data?.toString('latin1')).toBe('garbage')
  })

  it('forgets everything when it is given back', () => {
    parse('HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n')
    parser.giveBack()
    parser = Parser.borrow()
    expect(parser).toMatchObject({ error: null, statusLength: 0, hasFields: false, fieldBytes: 0 })
    expect(parse(head('HTTP/1.1 204', 'a: b'))).toBe(Outcome.Head)
    expect(fieldsIn(head('HTTP/1.1 204', 'a: b'))).toEqual(['a', 'b'])
  })

  it('knows nothing of a long head behind it when it reads a short one', () => {
    const lines = Array.from({ length: 100 }, (_, i) => `name-${i}: value`)
    expect(parse(head('HTTP/1.1 200 OK', ...lines))).toBe(Outcome.Head)
    expect(parser.fieldPlaces()).toHaveLength(400)
    parser.giveBack()
    parser = Parser.borrow()
    expect(parse(head('HTTP/1.1 204', 'a: b'))).toBe(Outcome.Head)
    expect(fieldsIn(head('HTTP/1.1 204', 'a: b'))).toEqual(['a', 'b'])
  })

  it('keeps two messages apart that are parsed by turns', () => {
    const other = Parser.borrow()
    receiveWindow().write('HTTP/1.1 404 Not ')
    other.execute(0, 17, 0)
    expect(parse(head('HTTP/1.1 200 OK', 'a: b'))).toBe(Outcome.Head)
    receiveWindow().write('Found\r\n\r\n')
    expect(other.execute(0, 9, 17)).toBe(Outcome.Head)
    expect([parser.status, other.status]).toEqual([200, 404])
    expect([other.statusOffset, other.statusLength]).toEqual([13, 9])
    other.giveBack()
  })
})

describe('the bundled parser', () => {
  it('takes bytes as bytes', () => {
    const bytes = Buffer.from(head('HTTP/1.1 200 OK', 'x: \xe9'), 'latin1')
    bytes.copy(receiveWindow())
    expect(parser.execute(0, bytes.length, 0)).toBe(Outcome.Head)
    expect(parser.fieldBytes).toBe(2)
  })
})
