/*
 * Results as pictures: SVG that is the same for the same results.
 */

import { loadNamed } from '../loads.mjs'
import {
  chartedLoads,
  comparedLoads,
  latencyLoads,
  overviewClients,
  overviewLoads,
  scaleCurveClients,
  scaleCurves,
} from '../published-set.mjs'
import { armColours, bareAxis, bars, curves, draw, familyColour, others, rowOf } from './drawing.mjs'
import { labelOf } from './labels.mjs'
import { measuredClients } from './markdown.mjs'

/** @typedef {import('../results.mjs').Results} Results */

/** Of RecyclingAgent, undici's Agent and its Pool. */
const scaleColours = ['#0969da', others, '#bc4c00']

/**
 * Two measures of all clients of a load, side by side.
 *
 * @param {Results} results
 * @param {string} load
 * @param {readonly [measure: import('./drawing.mjs').Measure, title: string][]} panels
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

/**
 * What more and more requests at a time cost, in CPU time and in memory.
 *
 * @param {Results} results
 */
function scaleChart(results) {
  const labels = scaleCurveClients.map(labelOf)
  const colour = {
    field: 'label',
    type: 'nominal',
    sort: labels,
    title: null,
    legend: { orient: 'bottom' },
    scale: { domain: labels, range: scaleColours },
  }
  /** @param {readonly string[]} loads @param {import('./drawing.mjs').Measure} measure */
  const points = (loads, measure) =>
    scaleCurveClients.flatMap((client) =>
      loads.flatMap((load) =>
        rowOf(results, load, client, measure).map((row) => ({ ...row, concurrency: loadNamed(load).concurrency })),
      ),
    )
  const measured = scaleCurves.filter(({ loads }) => points(loads, 'memory').length > 0)
  if (measured.length === 0) return noData('CPU time and memory by how many requests there are at a time')
  return draw({
    title: { text: 'CPU time and memory by how many requests there are at a time', subtitle: subtitle(results) },
    spacing: 24,
    vconcat: measured.map(({ title, loads }) => ({
      title: { text: title, fontSize: 12, fontWeight: 'normal' },
      hconcat: [
        curves('CPU, us per request', points(loads, 'cpu'), colour),
        curves('memory (RSS), MiB', points(loads, 'memory'), colour),
      ],
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
  drawn.push(['scale.svg', await scaleChart(main)])
  drawn.push(['latency.svg', await latencyChart(main)])
  for (const load of comparedLoads) drawn.push([`versions-${load}.svg`, await splitChart(all, load)])
  return drawn
}
