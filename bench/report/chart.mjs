/*
 * Results as pictures: SVG that is the same for the same results.
 */

import { parse, resetSVGDefIds, textMetrics, View } from 'vega'
import { compile } from 'vega-lite'
import { loadNamed } from '../loads.mjs'
import { chartedLoads, comparedLoads, latencyLoads, overviewClients, overviewLoads } from '../published-set.mjs'
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

const bareAxis = { domain: false, ticks: false }
const familyColour = {
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
 * @typedef {'cpu' | 'rate' | 'median' | 'p99'} Measure
 */

/**
 * @typedef {import('./statistics.mjs').Summary} Summary
 * @type {Record<Measure, { pick: (summary: Summary) => import('./statistics.mjs').Spread | undefined, scale: number, digits: number }>}
 */
const measures = {
  cpu: { pick: (summary) => summary.cpuSecondsPerRequest, scale: 1e6, digits: 1 },
  rate: { pick: (summary) => summary.requestsPerSecond, scale: 1, digits: 0 },
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
function rowOf(results, load, client, measure) {
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
 * Two measures of all clients of a load, side by side.
 *
 * @param {Results} results
 * @param {string} load
 * @param {readonly [measure: Measure, title: string][]} panels
 */
function panelsOf(results, load, panels) {
  const names = measuredClients(results, load)
  const order = names.map(labelOf)
  return panels.map(([measure, title], i) => {
    const axis = i === 0 ? bareAxis : null
    return {
      data: { values: names.flatMap((name) => rowOf(results, load, name, measure)) },
      width: 270,
      height: { step: 22 },
      ...bars(title, { field: 'label', type: 'nominal', sort: order, title: null, axis }, familyColour),
    }
  })
}

/**
 * @param {Results} results
 * @param {string} load
 */
function loadChart(results, load) {
  return draw({
    title: { text: loadNamed(load).title, subtitle: subtitle(results) },
    hconcat: panelsOf(results, load, [
      ['cpu', 'CPU time of the client, us per request'],
      ['rate', 'requests per second'],
    ]),
  })
}

/**
 * For the README: what a connection per request costs, over http and over https.
 *
 * @param {Results} results
 */
function overviewChart(results) {
  const order = overviewClients.map(labelOf)
  return draw({
    title: { text: 'CPU time per request, a connection per request', subtitle: subtitle(results) },
    hconcat: overviewLoads.map(({ load, title }, i) => ({
      title: { text: title, fontSize: 12, fontWeight: 'normal' },
      data: { values: overviewClients.flatMap((name) => rowOf(results, load, name, 'cpu')) },
      width: 270,
      height: { step: 26 },
      ...bars(
        'microseconds of the client',
        { field: 'label', type: 'nominal', sort: order, title: null, axis: i === 0 ? bareAxis : null },
        familyColour,
      ),
    })),
  })
}

/**
 * How long requests take over a link with a delay.
 *
 * @param {Results} results
 */
function latencyChart(results) {
  const measured = latencyLoads.filter((load) => measuredClients(results, load).length > 0)
  if (measured.length === 0) return noData('How long a request takes over a link with a delay')
  return draw({
    title: { text: 'How long a request takes over a link with a delay', subtitle: subtitle(results) },
    spacing: 24,
    vconcat: measured.map((load) => ({
      title: { text: loadNamed(load).title, fontSize: 12, fontWeight: 'normal' },
      hconcat: panelsOf(results, load, [
        ['median', 'median, ms'],
        ['p99', '99th percentile, ms'],
      ]),
    })),
  })
}

/** Stands where nothing has been published yet. @param {string} title */
function noData(title) {
  return draw({
    title,
    width: 540,
    height: 60,
    data: { values: [{ text: 'no data' }] },
    mark: { type: 'text', color: others },
    encoding: { text: { field: 'text' } },
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
  const drawn = [['overview.svg', await overviewChart(main)]]
  for (const load of chartedLoads) drawn.push([`${load}.svg`, await loadChart(main, load)])
  drawn.push(['latency.svg', await latencyChart(main)])
  for (const load of comparedLoads) drawn.push([`versions-${load}.svg`, await splitChart(all, load)])
  return drawn
}
