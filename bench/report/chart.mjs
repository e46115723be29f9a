/*
 * Results as pictures: SVG that is the same for the same results.
 */

import { parse, resetSVGDefIds, textMetrics, View } from 'vega'
import { compile } from 'vega-lite'
import { loadNamed } from '../loads.mjs'
import { chartedLoads, comparedLoads } from '../published-set.mjs'
import { summaryIn } from './judge.mjs'
import { isOurs, labelOf } from './labels.mjs'
import { measuredClients } from './markdown.mjs'
import { grouped } from './table.mjs'

/** @typedef {import('../results.mjs').Results} Results */

/** The same wherever it is drawn: widths of text are estimated, not asked of a canvas that may be installed. */
textMetrics.canvas(false)

const ours = '#0969da'
const others = '#8c959f'
const ink = '#1f2328'
/** Of the arms, from the whole to the least of ours, and of undici's Agent. */
const armColours = {
  recycling: '#0a3069',
  'recycling-off': '#218bff',
  'recycling-net': '#80ccff',
  'undici-agent': others,
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
async function draw(spec) {
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
 * @typedef {'cpu' | 'rate'} Measure
 */

/** Kept as they are written in the picture: what a processor computes beyond that may differ. @param {number} value */
const rounded = (value) => Number(value.toPrecision(4))

/**
 * @param {Results} results
 * @param {string} load
 * @param {string} client
 * @param {Measure} measure
 * @returns {Row[]} one row, or none where the client failed
 */
function rowOf(results, load, client, measure) {
  const summary = summaryIn(results, load, client)
  if (summary === undefined) return []
  const { median, min, max } = measure === 'cpu' ? summary.cpuSecondsPerRequest : summary.requestsPerSecond
  const scale = measure === 'cpu' ? 1e6 : 1
  return [
    {
      label: labelOf(client),
      family: isOurs(client) ? 'ours' : 'others',
      node: `Node.js ${results.environment.node?.slice(1)}`,
      median: rounded(median * scale),
      min: rounded(min * scale),
      max: rounded(max * scale),
      text: grouped(median * scale, measure === 'cpu' ? 1 : 0),
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
function bars(title, y, colour) {
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
 * @param {Results} results
 * @param {string} load
 */
function loadChart(results, load) {
  const names = measuredClients(results, load)
  const order = names.map(labelOf)
  const colour = {
    field: 'family',
    type: 'nominal',
    legend: null,
    scale: { domain: ['ours', 'others'], range: [ours, others] },
  }
  /** @param {Measure} measure @param {object | null} axis @param {string} title */
  const panel = (measure, axis, title) => ({
    data: { values: names.flatMap((name) => rowOf(results, load, name, measure)) },
    width: 270,
    height: { step: 22 },
    ...bars(title, { field: 'label', type: 'nominal', sort: order, title: null, axis }, colour),
  })
  return draw({
    title: { text: loadNamed(load).title, subtitle: subtitle(results) },
    hconcat: [
      panel('cpu', { domain: false, ticks: false }, 'CPU time of the client, us per request'),
      panel('rate', null, 'requests per second'),
    ],
  })
}

/** @param {Results} results */
function subtitle({ environment, options }) {
  const { node, undici, upstream } = environment
  return `Node.js ${node?.slice(1)}, undici ${undici}, ${upstream}; median and range of ${options.rounds} rounds`
}

/**
 * The arms and undici's Agent, by Node.js version.
 *
 * @param {readonly Results[]} results
 * @param {string} load
 */
function splitChart(results, load) {
  const names = Object.keys(armColours)
  const labels = names.map(labelOf)
  const rows = results.flatMap((one) => names.flatMap((name) => rowOf(one, load, name, 'cpu')))
  const arm = { field: 'label', type: 'nominal', sort: labels, title: null }
  const colour = {
    ...arm,
    legend: { orient: 'bottom', columns: 2 },
    scale: { domain: labels, range: Object.values(armColours) },
  }
  return draw({
    title: { text: loadNamed(load).title, subtitle: 'What recycling and what the native path contribute' },
    data: { values: rows },
    facet: { row: { field: 'node', type: 'nominal', title: null, header: { labelAngle: 0, labelAlign: 'left' } } },
    spacing: 12,
    spec: {
      width: 480,
      height: { step: 18 },
      ...bars('CPU time of the client, us per request', { ...arm, axis: null }, colour),
    },
  })
}

/**
 * @param {import('../published.mjs').Published} published
 * @returns {Promise<[name: string, svg: string][]>}
 */
export async function charts({ main, all }) {
  /** @type {[string, string][]} */
  const drawn = []
  for (const load of chartedLoads) drawn.push([`${load}.svg`, await loadChart(main, load)])
  for (const load of comparedLoads) drawn.push([`versions-${load}.svg`, await splitChart(all, load)])
  return drawn
}
