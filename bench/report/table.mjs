/*
 * The results as text, one table per load.
 */

import { baselineName, clientNamed } from '../clients/index.mjs'
import { bulkBytes, isDelayed, loadNamed } from '../loads.mjs'

/**
 * @typedef {import('../results.mjs').LoadResult} LoadResult
 * @typedef {import('../results.mjs').ClientResult} ClientResult
 * @typedef {import('./statistics.mjs').Spread} Spread
 */

/**
 * @param {LoadResult} result
 * @returns {string}
 */
export function loadTable(result) {
  const load = loadNamed(result.name)
  if (isDelayed(load)) return latencyTable(result, load.title)
  const header = load.bulk
    ? ['client', 'CPU ms/request', '(min-max)', 'ratio', 'MB/s', '(min-max)', 'ratio']
    : ['client', 'CPU us/request', '(min-max)', 'ratio', 'requests/s', '(min-max)', 'ratio']
  const baseline = result.clients.find(({ name }) => name === baselineName)
  const rows = result.clients.map((client) => clientRow(client, baseline, load.bulk))
  const sink = load.upstream.endsWith('sink') ? ' (upstream: node:http)' : ''
  return `${load.title}${sink}\n\n${aligned([header, ...rows])}\n`
}

/**
 * How long requests took.
 *
 * @param {LoadResult} result
 * @param {string} title
 */
function latencyTable({ clients }, title) {
  const header = ['client', 'median ms', '(min-max)', 'ratio', '99th percentile ms', '(min-max)', 'ratio']
  const base = clients.find(({ name }) => name === baselineName)?.summary
  const rows = clients.map(({ name, summary, error }) => {
    const { medianMs, p99Ms } = summary ?? {}
    if (medianMs === undefined || p99Ms === undefined) return [clientNamed(name).title, `failed: ${error}`]
    return [
      clientNamed(name).title,
      ...spreadCells(medianMs, 1, 1),
      ratio(medianMs, base?.medianMs),
      ...spreadCells(p99Ms, 1, 1),
      ratio(p99Ms, base?.p99Ms),
    ]
  })
  return `${title}\n\n${aligned([header, ...rows])}\n`
}

/**
 * @param {ClientResult} client
 * @param {ClientResult | undefined} baseline
 * @param {boolean} bulk
 * @returns {string[]}
 */
function clientRow(client, baseline, bulk) {
  const { title } = clientNamed(client.name)
  if (client.summary === undefined) return [title, `failed: ${client.error}`]
  const { cpuSecondsPerRequest: cpu, requestsPerSecond: rate } = client.summary
  const base = baseline?.summary
  return [
    title,
    ...spreadCells(cpu, bulk ? 1e3 : 1e6, 1),
    ratio(cpu, base?.cpuSecondsPerRequest),
    ...spreadCells(rate, bulk ? bulkBytes / 1e6 : 1, 0),
    ratio(rate, base?.requestsPerSecond),
  ]
}

/**
 * @param {Spread} spread
 * @param {number} scale
 * @param {number} digits
 */
function spreadCells({ median, min, max }, scale, digits) {
  const text = (/** @type {number} */ value) => grouped(value * scale, digits)
  return [text(median), `(${text(min)}-${text(max)})`]
}

/**
 * @param {Spread} spread
 * @param {Spread | undefined} base
 */
function ratio(spread, base) {
  return base === undefined ? '' : `${(spread.median / base.median).toFixed(2)}x`
}

/**
 * @param {number} value
 * @param {number} digits
 */
export function grouped(value, digits) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/**
 * Lays out rows: columns of text to the left, those of numbers to the right. A row that is shorter than the first one
 * counts as a remark, and does not widen the columns.
 *
 * @param {readonly string[][]} rows
 * @param {number} textColumns how many columns, from the first, are text
 * @returns {string}
 */
export function aligned(rows, textColumns = 1) {
  const full = rows.filter((row) => row.length === rows[0].length)
  const widths = rows[0].map((_, column) => Math.max(...full.map((row) => row[column].length)))
  return rows
    .map((row) => row.map((cell, column) => padded(cell, widths[column], column < textColumns)).join('  '))
    .map((line) => `  ${line}`.trimEnd())
    .join('\n')
}

/**
 * @param {string} cell
 * @param {number} width
 * @param {boolean} isText
 */
function padded(cell, width, isText) {
  return isText ? cell.padEnd(width) : cell.padStart(width)
}
