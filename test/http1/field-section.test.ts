import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { FieldSection } from '../../src/http1/field-section.js'
import { usedHeap } from '../support/heap.js'

/** A section of the given names and values, laid out as on the wire. */
function section(...pairs: readonly (readonly [name: string, value: string])[]): FieldSection {
  let text = ''
  const places: number[] = []
  for (const [name, value] of pairs) {
    places.push(text.length, name.length, text.length + name.length + 2, value.length)
    text += `${name}: ${value}\r\n`
  }
  const bytes = Buffer.from(text, 'latin1')
  return new FieldSection(bytes, bytes.toString('latin1'), places)
}

// First: the tests below use up the room for names.
describe('The names that are remembered', () => {
  it('do not hold on to the heads in which they came', () => {
    const rest = 'x'.repeat(16_000)
    const before = usedHeap()
    for (let i = 0; i < 2000; i++) {
      section([`X-Name-Number-${i}`, rest], [`${'y'.repeat(4000)}${i}`, '']).toRecord()
    }
    expect(usedHeap() - before).toBeLessThan(4 << 20)
  })
})

describe('FieldSection.toRaw', () => {
  it('gives names and values by turns, in their order and case, repeats apart', () => {
    const raw = section(['X-B', '1'], ['x-a', ''], ['X-B', '2']).toRaw()
    expect(raw.every(Buffer.isBuffer)).toBe(true)
    expect(raw.map(String)).toEqual(['X-B', '1', 'x-a', '', 'X-B', '2'])
  })

  it('keeps the octets of values outside of ASCII', () => {
    expect(section(['x', 'gr\xfc\xdf']).toRaw()[1]).toEqual(Buffer.from([0x67, 0x72, 0xfc, 0xdf]))
  })
})

describe('FieldSection.toRecord', () => {
  it.each<[what: string, pairs: [string, string][], record: Record<string, string | string[]>]>([
    ['lower-cases names', [['Content-TYPE', 'Text']], { 'content-type': 'Text' }],
    ['keeps one value a string', [['a', '']], { a: '' }],
    [
      'makes two values an array',
      [
        ['a', '1'],
        ['A', '2'],
      ],
      { a: ['1', '2'] },
    ],
    [
      'adds the third value to it',
      [
        ['a', '1'],
        ['b', 'x'],
        ['a', '2'],
        ['a', '3'],
      ],
      { a: ['1', '2', '3'], b: 'x' },
    ],
    ['decodes values as latin1', [['a', '\xe9\xff']], { a: '\xe9\xff' }],
  ])('%s', (_, pairs, record) => {
    expect(section(...pairs).toRecord()).toEqual(record)
  })

  it.each(['__proto__', 'constructor'])('makes %s an own property', (name) => {
    const once = section([name, '1']).toRecord()
    expect(Object.entries(once)).toEqual([[name, '1']])
    const thrice = section([name, '1'], [name, '2'], ['a', ''], [name, '3']).toRecord()
    expect(Object.entries(thrice)).toEqual([
      [name, ['1', '2', '3']],
      ['a', ''],
    ])
    expect(Object.getPrototypeOf(thrice)).toBe(Object.prototype)
  })

  it('lower-cases as many different names as there may be', () => {
    const pairs = Array.from({ length: 3000 }, (_, i) => [`X-Name-${i}`, `${i}`] as const)
    expect(section(...pairs).toRecord()).toEqual(
      Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value])),
    )
  })
})

describe('FieldSection.joined', () => {
  const fields = section(['Keep-Alive', 'timeout=5'], ['X-Other', 'no'], ['keep-alive', 'max=9'], ['Empty', ''])

  it.each([
    ['keep-alive', 'timeout=5;max=9'],
    ['x-other', 'no'],
    ['empty', ''],
    ['absent', ''],
    ['x-othez', ''],
  ])('finds under %s %j', (name, value) => {
    expect(fields.joined(name, ';')).toBe(value)
  })
})

describe('FieldSection.empty', () => {
  it('has no fields in any form', () => {
    expect(FieldSection.empty.toRaw()).toEqual([])
    expect(FieldSection.empty.toRecord()).toEqual({})
    expect(FieldSection.empty.joined('a', ',')).toBe('')
  })
})
