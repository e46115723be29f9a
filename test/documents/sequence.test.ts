/** docs/design.md shows the calls and segments of a recycled connection as they are. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  type Call,
  isBareAcknowledgement,
  recordSequence,
  sequenceBlock,
  sequenceDiagram,
} from '../../docs/scripts/sequence.js'
import { type Segment, whyNoCapture } from '../support/capture.js'
import { isTried } from '../support/gate.js'
import { whyNotNative } from '../support/transport.js'

/** The lines of a diagram, without those that come when the kernel likes. */
const linesOf = (diagram: string): string[] =>
  diagram
    .trim()
    .split('\n')
    .filter((line) => !isBareAcknowledgement(line))

describe.runIf(isTried(whyNotNative ?? whyNoCapture))('what is captured', () => {
  // On a loaded machine the kernel may put off what it does about segments: then a FIN comes after its response was read.
  it('is what docs/design.md shows, bare acknowledgements aside (else: npm run docs:pictures)', {
    retry: 2,
  }, async () => {
    const design = readFileSync(new URL('../../docs/design.md', import.meta.url), 'utf8')
    const [, block = ''] = design.split(new RegExp(`<!-- .*generated: ${sequenceBlock}.* -->`))
    expect(linesOf(await recordSequence())).toEqual(linesOf(block))
  })
})

const PORT = 80
const call = (timeNs: number, name: Call['name'], more: Partial<Call> = {}): Call => ({
  timeNs: String(timeNs),
  fd: 9,
  name,
  result: 0,
  error: '',
  isDissolving: false,
  ...more,
})
const segment = (timeNs: number, sourcePort: number, more: Partial<Segment>): Segment => ({
  timeNs: BigInt(timeNs),
  sourcePort,
  destinationPort: sourcePort === PORT ? 40_000 : PORT,
  sequence: 0,
  syn: false,
  ack: false,
  fin: false,
  reset: false,
  length: 0,
  ...more,
})
const dissolve = { isDissolving: true }
const drawn = (calls: Call[], segments: Segment[] = []): string[] =>
  sequenceDiagram(calls, segments, PORT)
    .split('\n')
    .slice(5, -1)
    .map((line) => line.trim())

describe('the diagram', () => {
  it('has calls and segments in the order of their times', () => {
    const calls = [
      call(10, 'connect', { result: -1, error: 'EINPROGRESS' }),
      call(30, 'send', { result: 9 }),
      call(60, 'recv', { result: 5 }),
      call(70, 'connect', dissolve),
    ]
    const segments = [
      segment(11, 40_000, { syn: true }),
      segment(12, PORT, { syn: true, ack: true }),
      segment(31, 40_000, { length: 9, ack: true }),
      segment(40, PORT, { ack: true }),
      segment(50, PORT, { length: 5, fin: true, ack: true }),
      segment(71, 40_000, { reset: true }),
    ]
    expect(drawn(calls, segments)).toEqual([
      'Note over A,U: request 1',
      'A->>S: connect(2): EINPROGRESS',
      'S-)U: SYN',
      'U-)S: SYN, ACK',
      'A->>S: send(2)',
      'S-)U: the request, ACK',
      'U--)S: ACK',
      'U-)S: the response, FIN, ACK',
      'A->>S: recv(2): the response',
      'A->>S: connect(2) with AF_UNSPEC',
      'S-xU: RST',
    ])
  })

  it('has one line for options that are set in a row, and says what the trial is', () => {
    const options = [2, 3, 4].map((time) => call(time, 'setsockopt'))
    const lines = drawn([call(1, 'socket'), ...options, call(5, 'connect', dissolve), call(6, 'connect')])
    expect(lines).toEqual([
      'A->>S: socket(2)',
      'A->>S: setsockopt(2), 3 times',
      'A->>S: connect(2) with AF_UNSPEC, for a trial',
      'Note over A,U: request 1',
      'A->>S: connect(2)',
    ])
  })

  it('leaves out calls on other descriptors, and tells the end of the stream', () => {
    expect(drawn([call(1, 'connect'), call(2, 'close', { fd: 10 }), call(3, 'recv')])).toEqual([
      'Note over A,U: request 1',
      'A->>S: connect(2)',
      'A->>S: recv(2): end of stream',
    ])
  })

  it('is none where nothing was connected', () => {
    expect(() => drawn([call(1, 'socket')])).toThrow('nothing was connected')
  })

  it.each([
    ['S--)U: ACK', true],
    ['U-)S: SYN, ACK', false],
    ['U-)S: the response, ACK', false],
    ['S-xU: RST, ACK', false],
  ])('%s: a bare acknowledgement, %s', (line, isBare) => {
    expect(isBareAcknowledgement(line)).toBe(isBare)
  })
})
