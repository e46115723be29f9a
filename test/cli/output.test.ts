/** Columns, lines, colours and progress; medians and percentiles. */
import { expect, it } from 'vitest'
import { Progress, painter, table, wrap } from '../../src/cli/output.js'
import { median, percentile } from '../../src/cli/statistics.js'
import { Collected } from './collected.js'

it('columns are as wide as their widest cells', () => {
  expect(
    table([
      ['a', 'bcd', 'e'],
      ['fgh', 'i', ''],
    ]),
  ).toEqual(['a    bcd  e', 'fgh  i'])
})

it('lines are broken between words', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
  expect(wrap('uninterrupted', 5)).toEqual(['uninterrupted'])
})

it('colours and progress are for terminals', () => {
  const [terminal, pipe] = [new Collected(true), new Collected()]
  expect(painter(terminal)('red', 'no')).toBe('\x1b[31mno\x1b[39m')
  expect(painter(pipe)('red', 'no')).toBe('no')
  for (const stream of [terminal, pipe]) {
    const progress = new Progress(stream)
    progress.show('half')
    progress.clear()
    progress.clear()
  }
  expect(terminal.text).toBe('\r\x1b[Khalf\r\x1b[K')
  expect(pipe.text).toBe('')
})

it('the median is the middle, the percentile a value that was there', () => {
  expect(median([3, 1, 2])).toBe(2)
  expect(median([4, 1, 2, 3])).toBe(2.5)
  expect(median([])).toBeNaN()
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
  expect(percentile(hundred, 0.99)).toBe(99)
  expect(percentile([7], 0.99)).toBe(7)
  expect(percentile([], 0.99)).toBeNaN()
})
