/*
 * How a picture is drawn: its colours, its rows of data, and bars and curves of them.
 */

import { parse, resetSVGDefIds, textMetrics, View } from 'vega'
import { compile } from 'vega-lite'
import { summaryIn } from './judge.mjs'
import { isOurs, labelOf } from './labels.mjs'
import { grouped } from './table.mjs'

/** @typedef {import('../results.mjs').Results} Results */

/** The same wherever it is drawn: widths of text are estimated, not asked of a canvas that may be installed. */
textMetrics.canvas(false)

const ours = '#0969da'
export const others = '#8c959f'
const ink = '#1f2328'
/** Of the arms, from the whole to the least of ours, and of undici's Agent. */
export const armColours = {
  recycling: '#0a3069',
  'recycling-off': '#218bff',
  'recycling-net': '#80ccff',
  'undici-agent': others,
}

export const bareAxis = { domain: false, ticks: false }
export const familyColour = {
  field: 'family',
  type: 'nominal',
  legend: null,
  scale: { domain: ['ours', 'others'], range: [ours, others] },
}

/** On white also where the page around it is dark. */
const config = {
  background: 'white',
  padding: 12,
  font: 'sans-serif',
  view: { stroke: null },
  title: { anchor: 'start', fontSize: 14, color: ink, subtitleColor: '#59636e', subtitleFontSize: 11 },
  axis: { labelColor: ink, titleColor: '#59636e', titleFontWeight: 'normal', labelLimit: 320, labelFontSize: 11 },
  legend: { labelColor: ink, titleColor: '#59636e', titleFontWeight: 'normal', labelLimit: 320 },
  text: { color: ink, fontSize: 11 },
}

/**
 * @param {object} spec of Vega-Lite
 * @returns {Promise<string>}
 */
export async function draw(spec) {
  // They count up from picture to picture.
  resetSVGDefIds()
  const view = new View(parse(compile({ config, ...spec }).spec), { renderer: 'none' })
  const svg = await view.toSVG()
  view.finalize()
  return `${svg}\n`
}

/**
 * @typedef {object} Row
 * @property {string} label
 * @property {string} family
 * @property {string} node
 * @property {number} median
 * @property {number} min
 * @property {number} max
 * @property {string} text
 *
 * @typedef {'cpu' | 'rate' | 'memory' | 'median' | 'p99'} Measure
 */

/**
 * @typedef {import('./statistics.mjs').Summary} Summary
 * @type {Record<Measure, { pick: (summary: Summary) => import('./statistics.mjs').Spread | undefined, scale: number, digits: number }>}
 */
const measures = {
  cpu: { pick: (summary) => summary.cpuSecondsPerRequest, scale: 1e6, digits: 1 },
  rate: { pick: (summary) => summary.requestsPerSecond, scale: 1, digits: 0 },
  memory: { pick: (summary) => summary.residentBytes, scale: 2 ** -20, digits: 0 },
  median: { pick: (summary) => summary.medianMs, scale: 1, digits: 1 },
  p99: { pick: (summary) => summary.p99Ms, scale: 1, digits: 1 },
}

/** Kept as they are written in the picture: what a processor computes beyond that may differ. @param {number} value */
const rounded = (value) => Number(value.toPrecision(4))

/**
 * @param {Results} results
 * @param {string} load
 * @param {string} client
 * @param {Measure} measure
 * @returns {Row[]} one row, or none where the client failed
 */
export function rowOf(results, load, client, measure) {
  const summary = summaryIn(results, load, client)
  const { pick, scale, digits } = measures[measure]
  const spread = summary && pick(summary)
  if (spread === undefined) return []
  const { median, min, max } = spread
  return [
    {
      label: labelOf(client),
      family: isOurs(client) ? 'ours' : 'others',
      node: `Node.js ${results.environment.node?.slice(1)}`,
      median: rounded(median * scale),
      min: rounded(min * scale),
      max: rounded(max * scale),
      text: grouped(median * scale, digits),
    },
  ]
}

/**
 * Bars with the range of the rounds, and the median in figures.
 *
 * @param {string} title of the axis of the values
 * @param {object} y the encoding channel that says where a bar is
 * @param {object} colour
 */
export function bars(title, y, colour) {
  const x = { type: 'quantitative', title, axis: { grid: false, tickCount: 4, format: ',d' } }
  return {
    encoding: { y },
    layer: [
      {
        mark: { type: 'bar', height: { band: 0.8 } },
        encoding: { x: { ...x, field: 'median' }, color: colour },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.5 },
        encoding: { x: { ...x, field: 'min' }, x2: { field: 'max' } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 5 },
        encoding: { x: { ...x, field: 'max' }, text: { field: 'text' } },
      },
    ],
  }
}

/**
 * Curves over how many requests there are at a time, a point and the range of its rounds for each.
 *
 * @param {string} title of the axis of the values
 * @param {(Row & { concurrency: number })[]} values
 * @param {object} colour
 */
export function curves(title, values, colour) {
  const x = {
    field: 'concurrency',
    type: 'quantitative',
    title: 'requests at a time',
    scale: { type: 'log' },
    axis: { grid: false, format: ',d', values: [...new Set(values.map((row) => row.concurrency))] },
  }
  const y = { type: 'quantitative', title, scale: { zero: true }, axis: { tickCount: 5, format: ',d' } }
  return {
    data: { values },
    width: 270,
    height: 180,
    encoding: { x, color: colour },
    layer: [
      {
        mark: { type: 'line', point: true, strokeWidth: 2 },
        encoding: { y: { ...y, field: 'median' } },
      },
      {
        mark: { type: 'rule', strokeWidth: 1 },
        encoding: { y: { ...y, field: 'min' }, y2: { field: 'max' } },
      },
    ],
  }
}
