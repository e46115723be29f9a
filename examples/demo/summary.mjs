/*
 * The table at the end: one column for each dispatcher.
 */

import { format } from './live.mjs'

/** @typedef {import('../demo.mjs').Sample} Sample */

/** @type {[label: string, value: (sample: Sample) => string][]} */
const rows = [
  ['requests', ({ requests }) => format(requests)],
  ['requests per second', ({ requests, seconds }) => format(requests / seconds)],
  ['CPU of the proxy per request', ({ requests, cpuSeconds }) => `${format((cpuSeconds * 1e6) / requests)} us`],
  ['sockets created', ({ created }) => format(created)],
  ['sockets recycled', ({ recycled }) => format(recycled)],
  ['TIME_WAIT left, proxy', ({ timeWait }) => format(timeWait?.proxy ?? '?')],
  ['TIME_WAIT left, upstream', ({ timeWait }) => format(timeWait?.upstream ?? '?')],
]

/**
 * @param {{ name: string, sample: Sample }[]} results
 * @returns {string}
 */
export function summary(results) {
  const lines = [
    ['', ...results.map(({ name }) => name)],
    ...rows.map(([label, value]) => [label, ...results.map(({ sample }) => value(sample))]),
  ]
  const width = (/** @type {number} */ column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0))
  return lines
    .map(([label = '', ...cells]) => {
      const padded = cells.map((cell, index) => cell.padStart(width(index + 1)))
      return [label.padEnd(width(0)), ...padded].join('   ')
    })
    .join('\n')
}
