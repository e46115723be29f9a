/*
 * Results as the generated parts of docs/benchmarks.md.
 */

import { baselineName, clientNamed, isMeasuredWith } from '../clients/index.mjs'
import { bulkBytes, loadNamed } from '../loads.mjs'
import {
  comparedLoads,
  latencyLoads,
  machineComparedClients,
  machineComparedLoads,
  scaleClients,
  scaleLoads,
  tabledLoads,
} from '../published-set.mjs'
import { comparison, isTargetOf, judge, summaryIn } from './judge.mjs'
import { labelOf } from './labels.mjs'
import { grouped } from './table.mjs'
import { targets } from './target-list.mjs'

/**
 * @typedef {import('../results.mjs').Results} Results
 * @typedef {import('../published.mjs').Published} Published
 * @typedef {import('./statistics.mjs').Spread} Spread
 */

/** Stands where nothing has been published yet. */
const noData = 'No data yet.'

/**
 * @param {readonly string[][]} rows the first is the head
 * @param {number} textColumns how many columns, from the first, are text
 */
function table(rows, textColumns) {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)))
  /** @type {(row: string[]) => string} */
  const line = (row) =>
    `| ${row.map((cell, column) => (column < textColumns ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join(' | ')} |`
  const rule = widths.map((width, column) => (column < textColumns ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  const [head, ...body] = rows
  return [head, rule, ...body].map(line).join('\n')
}

/**
 * @param {Results} results
 * @param {string} load
 * @returns {string[]} the clients that have something to say about this load
 */
export function measuredClients(results, load) {
  const { clients = [] } = results.loads.find(({ name }) => name === load) ?? {}
  return clients.map(({ name }) => name).filter((name) => isMeasuredWith(clientNamed(name), loadNamed(load)))
}

/**
 * @param {Spread} spread
 * @param {number} scale
 * @param {number} digits
 */
function spreadCells({ median, min, max }, scale, digits) {
  const text = (/** @type {number} */ value) => grouped(value * scale, digits)
  return [text(median), `${text(min)}-${text(max)}`]
}

/** @param {Spread} spread @param {Spread | undefined} base */
const ratio = (spread, base) => (base === undefined ? '' : `${(spread.median / base.median).toFixed(2)}x`)

/**
 * @param {Results} results
 * @param {string} load
 */
function loadTable(results, load) {
  if (measuredClients(results, load).length === 0) return noData
  const { bulk } = loadNamed(load)
  const [cpuUnit, rateUnit] = bulk ? ['CPU ms/request', 'MB/s'] : ['CPU us/request', 'requests/s']
  const base = summaryIn(results, load, baselineName)
  const rows = measuredClients(results, load).map((name) => {
    const summary = summaryIn(results, load, name)
    if (summary === undefined) return [labelOf(name), 'failed', '', '', '', '', '']
    const { cpuSecondsPerRequest: cpu, requestsPerSecond: rate } = summary
    return [
      labelOf(name),
      ...spreadCells(cpu, bulk ? 1e3 : 1e6, 1),
      ratio(cpu, base?.cpuSecondsPerRequest),
      ...spreadCells(rate, bulk ? bulkBytes / 1e6 : 1, 0),
      ratio(rate, base?.requestsPerSecond),
    ]
  })
  return table([['client', cpuUnit, 'range', 'ratio', rateUnit, 'range', 'ratio'], ...rows], 1)
}

/**
 * How long requests take, of all loads over a link with a delay.
 *
 * @param {Results} results
 */
function latencyTable(results) {
  const rows = latencyLoads.flatMap((load) => {
    const base = summaryIn(results, load, baselineName)
    return measuredClients(results, load).map((name) => {
      const { medianMs, p99Ms } = summaryIn(results, load, name) ?? {}
      if (medianMs === undefined || p99Ms === undefined) return [load, labelOf(name), 'failed', '', '', '', '', '']
      return [
        load,
        labelOf(name),
        ...spreadCells(medianMs, 1, 1),
        ratio(medianMs, base?.medianMs),
        ...spreadCells(p99Ms, 1, 1),
        ratio(p99Ms, base?.p99Ms),
      ]
    })
  })
  if (rows.length === 0) return noData
  const head = ['load', 'client', 'median, ms', 'range', 'ratio', '99th percentile, ms', 'range', 'ratio']
  return table([head, ...rows], 2)
}

/**
 * What many requests at a time cost, memory included.
 *
 * @param {Results} results
 */
function scaleTable(results) {
  const rows = scaleLoads.flatMap((load) => {
    const base = summaryIn(results, load, baselineName)
    const clients = measuredClients(results, load).filter((name) => scaleClients.includes(name))
    return clients.map((name) => {
      const { cpuSecondsPerRequest: cpu, residentBytes: memory } = summaryIn(results, load, name) ?? {}
      if (cpu === undefined || memory === undefined) return [load, labelOf(name), 'failed', '', '', '', '', '']
      return [
        load,
        labelOf(name),
        ...spreadCells(cpu, 1e6, 1),
        ratio(cpu, base?.cpuSecondsPerRequest),
        ...spreadCells(memory, 2 ** -20, 0),
        ratio(memory, base?.residentBytes),
      ]
    })
  })
  if (rows.length === 0) return noData
  return table([['load', 'client', 'CPU us/request', 'range', 'ratio', 'RSS, MiB', 'range', 'ratio'], ...rows], 2)
}

/** The columns of the table of idle connections. @type {readonly [client: string, label: string][]} */
const idleClients = [
  ['ours', labelOf(baselineName)],
  ['ours-node-tls', labelOf('recycling-node-tls')],
  ['undici-pool', labelOf('undici-pool')],
  ['undici-agent', labelOf('undici-agent')],
]

/**
 * Bytes per idle connection.
 *
 * @param {import('../published.mjs').IdleMemory[]} idleMemory
 */
function idleMemoryTable(idleMemory) {
  const rows = idleMemory.flatMap(({ scheme, figures }) =>
    [...new Set(figures.map(({ connections }) => connections))].map((connections) => {
      /** @param {string} client */
      const of = (client) =>
        figures.find((figure) => figure.connections === connections && figure.client === client)?.rss
      const theirs = Math.min(...['undici-pool', 'undici-agent'].flatMap((client) => of(client) ?? []))
      const cells = idleClients.map(([client]) => {
        const bytes = of(client)
        return bytes === undefined ? '-' : grouped(bytes, 0)
      })
      return [`${scheme}, ${grouped(connections, 0)}`, ...cells, ((of('ours') ?? Number.NaN) / theirs).toFixed(2)]
    }),
  )
  if (rows.length === 0) return noData
  return table([['connections', ...idleClients.map(([, label]) => label), 'ratio'], ...rows], 1)
}

/** @param {Published} published */
function machineTables({ runs, main, idleMemory }) {
  const { undici, koffi, upstream, wrk, openssl, kernel, machine } = main.environment
  const programs = openssl === undefined ? { wrk } : { wrk, openssl }
  const facts = Object.entries({ machine, kernel, 'upstream, one worker': upstream, undici, koffi, ...programs })
  const rows = runs.map(({ environment, options }) => [
    `${environment.node?.slice(1)}`,
    `${environment['built-in undici']}`,
    `${environment.date?.slice(0, 16).replace('T', ' ')}`,
    `${options.rounds} of ${options.seconds} s`,
    `\`${environment['command line']}\``,
  ])
  const memoryRows = idleMemory.map(({ environment, options }) => [
    `${environment.node?.slice(1)}`,
    '-',
    `${environment.date?.slice(0, 16).replace('T', ' ')}`,
    `${options.rounds}`,
    `\`${environment['command line']}\``,
  ])
  // As they are made for a look at this page.
  const isPreview = runs.some(({ options }) => options.rounds * options.seconds < 2)
  return [
    ...(isPreview
      ? ['**These results come from very short rounds. They show what this page looks like, and no more.**']
      : []),
    table([['', ''], ...facts.map(([name, value]) => [name, value ?? ''])], 2),
    table([['Node.js', 'its built-in undici', 'date (UTC)', 'rounds', 'command'], ...rows, ...memoryRows], 5),
  ].join('\n\n')
}

/**
 * What each step from undici's Agent to all of ours saves, of the CPU time of a request.
 *
 * @param {Published} published
 */
function splitTable({ all }) {
  const us = (/** @type {number | undefined} */ value) => (value === undefined ? '-' : grouped(value, 1))
  const rows = comparedLoads.flatMap((load) =>
    all.map((results) => {
      /** @param {string} name */
      const cpu = (name) => {
        const summary = measuredClients(results, load).includes(name) ? summaryIn(results, load, name) : undefined
        return summary === undefined ? undefined : summary.cpuSecondsPerRequest.median * 1e6
      }
      const [agent, net, off, whole] = ['undici-agent', 'recycling-net', 'recycling-off', 'recycling'].map(cpu)
      /** @param {number=} from @param {number=} to */
      const saved = (from, to) => (from === undefined || to === undefined ? undefined : from - to)
      return [
        load,
        `${results.environment.node?.slice(1)}`,
        us(agent),
        us(net),
        us(off),
        us(whole),
        us(saved(agent, net)),
        // Where connections persist there is nothing to recycle: all of it is the native path.
        us(saved(net, off ?? whole)),
        us(saved(off, whole)),
        whole === undefined || agent === undefined ? '' : `${(agent / whole).toFixed(1)}x`,
      ]
    }),
  )
  const head = ['load', 'Node.js', 'undici Agent', "`transport: 'net'`", "`recycle: 'off'`", 'RecyclingAgent']
  return table([[...head, 'the engine saves', 'the native path saves', 'recycling saves', 'in all'], ...rows], 2)
}

/** The same loads on two machines. @param {Published} published */
function machineComparisonTable({ main, slower }) {
  if (slower === undefined) return noData
  const rows = machineComparedLoads.flatMap((load) =>
    machineComparedClients.flatMap((name) => {
      const cells = [main, slower].flatMap((results) => {
        const cpu = summaryIn(results, load, name)?.cpuSecondsPerRequest
        const base = summaryIn(results, load, baselineName)?.cpuSecondsPerRequest
        return cpu === undefined ? [] : [grouped(cpu.median * 1e6, 1), ratio(cpu, base)]
      })
      return cells.length < 4 ? [] : [[load, labelOf(name), ...cells]]
    }),
  )
  return table([['load', 'client', 'CPU us/request here', 'ratio', 'on the slower machine', 'ratio'], ...rows], 2)
}

/** @param {Published} published */
function targetTable({ main, all }) {
  const rows = targets.flatMap((target) => {
    const ofTarget = target.nodeMajors === undefined ? [main] : all.filter((results) => isTargetOf(results, target))
    return ofTarget.map((results) => {
      const { measured, verdict } = judge(results, target)
      const node = `${results.environment.node?.slice(1)}`
      return [target.load, node, comparison(target, labelOf(target.than)), `${target.factor}x`, measured, verdict]
    })
  })
  return table([['load', 'Node.js', 'comparison', 'target', 'measured', ''], ...rows], 3)
}

/**
 * @param {Published} published
 * @returns {[block: string, content: string][]}
 */
export function benchmarkBlocks(published) {
  const { main, idleMemory } = published
  return [
    ['machine and commands', machineTables(published)],
    ['split', splitTable(published)],
    ['targets', targetTable(published)],
    ['slower machine', machineComparisonTable(published)],
    ['latency', latencyTable(main)],
    ['scale', scaleTable(main)],
    ['idle memory', idleMemoryTable(idleMemory)],
    ...tabledLoads.map((name) => /** @type {[string, string]} */ ([`load ${name}`, loadTable(main, name)])),
  ]
}
