/** The soak: its parts one after the other, each in processes of its own, and the promises that they are held against. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Program } from '../support/child.js'
import type { RecordFuzzReport } from '../twin-tls/record-fuzz.js'
import type { FuzzReport } from './fuzz.js'
import type { ArmName } from './kinds.js'
import type { HandshakesOrder, HandshakesReport } from './programs/soak-handshakes.js'
import type { LoadOrder, LoadReport } from './programs/soak-load.js'
import type { RecordsOrder } from './programs/soak-records.js'
import type { Row } from './race-promises.js'
import type { RacesOptions, RacesReport } from './races.js'

export interface SoakOptions {
  /** Over descriptors of the pool. One in {@link OTHER_ARMS_SHARE} more over net sockets, and over TLS. */
  requests: number
  /** Connections over TLS, one after the other, that end in every way. */
  handshakes: number
  /** Connections over TLS with a fault in their bytes. */
  records: number
  /** Of each kind and client in each race of reuse. */
  races: number
  /** Of the fuzzer. */
  cases: number
  /** At once. */
  connections: number
  /** For all of it; no part begins anything new after that. */
  seconds: number
  seed: number
}

/** One promise of one part. */
interface Verdict {
  part: string
  promise: string
  measured: string
  kept: boolean
}

const LANES = 64
const OTHER_ARMS_SHARE = 20
const FUZZERS = 2
/** undici's Agent and ours take turns so often. */
const ROUNDS = 16
/** Of the time: until when each part is to be over, unless those before it are done earlier. */
const UNTIL = { native: 0.35, net: 0.39, secure: 0.45, handshakes: 0.65, records: 0.75, races: 0.88, fuzz: 1 }
/** What a part may take beyond its time: a hang is found by the part itself, after 20 s. */
const GRACE_MS = 40_000
const MOST_HEAP_GROWTH = 0.1
/** Below that, what grows is the code that gets optimised. */
const HEAP_IS_JUDGED_FROM = 100_000
const MOST_FRESH_SHARE = 0.001
const SETTLE_MS = 5000
const SPARE_DESCRIPTORS = 200
const MEBIBYTE = 1 << 20
/** After the first tenth of many handshakes: a few bytes of each would be more. */
const MOST_RSS_GROWTH = 12 * MEBIBYTE
/** Of fewer, the first tenth is over before the code is optimised; what OpenSSL has for each would still be more. */
const MOST_RSS_GROWTH_OF_FEW = 40 * MEBIBYTE
const MANY_HANDSHAKES = 50_000

/** @returns whether all promises were kept */
export async function soak(options: SoakOptions): Promise<boolean> {
  const { requests, handshakes, records, races, cases, connections, seconds, seed } = options
  console.log(`soak: seed ${seed}, Node.js ${process.versions.node}, at most ${seconds} s`)
  const began = performance.now()
  const secondsUntil = (share: number): number => Math.max(1, seconds * share - (performance.now() - began) / 1000)
  const verdicts: Verdict[] = []
  const reports: [arm: ArmName, report: LoadReport][] = []

  if (connections > 0) verdicts.push(...(await manyConnections(connections)))
  const upstream = await Upstream.start()
  for (const arm of ['native', 'net', 'secure'] as const) {
    const count = arm === 'native' ? requests : Math.ceil(requests / OTHER_ARMS_SHARE)
    if (count === 0) continue
    const { ports } = upstream
    const order = { arm, ports, seed, requests: count, seconds: secondsUntil(UNTIL[arm]), lanes: LANES }
    const report = await loadOf(order)
    if (typeof report === 'string') {
      verdicts.push({ part: arm, promise: 'comes to its end', measured: report, kept: false })
    } else {
      reports.push([arm, report])
      const open = await upstream.open()
      verdicts.push(...verdictsOf(order, report, open))
    }
  }
  upstream.stop()
  if (handshakes > 0) verdicts.push(...(await handshakesOf(handshakes, seed, secondsUntil(UNTIL.handshakes))))
  if (records > 0) verdicts.push(await recordsOf(records, seed, secondsUntil(UNTIL.records)))
  const rows: Row[] = []
  if (races > 0) {
    const report = await racesOf(races, seed, secondsUntil(UNTIL.races))
    if (typeof report === 'string') {
      verdicts.push({ part: 'races', promise: 'come to their end', measured: report, kept: false })
    } else {
      rows.push(...report.rows)
      verdicts.push(...report.verdicts.map((verdict) => ({ part: 'races', ...verdict })))
    }
  }
  if (cases > 0) verdicts.push(await fuzzes(cases, seed, secondsUntil(UNTIL.fuzz)))

  for (const [arm, { tallies }] of reports) {
    console.log(`\nrequests, ${arm}`)
    const row = ({ failed, ...rest }: (typeof tallies)[number][1]): object => ({
      ...rest,
      'failed with': Object.entries(failed)
        .map(([code, count]) => `${code} ${count}`)
        .join(', '),
    })
    console.table(Object.fromEntries(tallies.map(([kind, tally]) => [kind, row(tally)])))
  }
  if (rows.length > 0) {
    console.log("\nraces of reuse: lost of those that were sent, and of them arrived; by undici's Agent, and by ours")
    console.table(lostByRace(rows))
  }
  console.log('\npromises')
  console.table(verdicts)
  const broken = verdicts.filter(({ kept }) => !kept)
  const elapsed = Math.round((performance.now() - began) / 1000)
  console.log(
    `soak: seed ${seed}, ${elapsed} s, ${verdicts.length - broken.length} promises kept, ${broken.length} broken`,
  )
  return broken.length === 0
}

const grouped = (number: number): string => number.toLocaleString('en-US')

/** The messages of a program that sends one; or how it has ended without. */
async function reportOf<T>(child: ChildProcess, timeoutMs: number): Promise<T | string> {
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  try {
    return await Promise.race([
      once(child, 'message').then(([report]) => report as T),
      once(child, 'exit').then(([code, signal]) => `ended with ${signal ?? code}, without a report`),
    ])
  } finally {
    clearTimeout(timer)
  }
}

class Upstream {
  readonly ports: LoadOrder['ports']
  readonly #program: Program
  readonly #child: ChildProcess

  private constructor(program: Program, child: ChildProcess, ports: LoadOrder['ports']) {
    this.#program = program
    this.#child = child
    this.ports = ports
  }

  static async start(): Promise<Upstream> {
    const program = await Program.from(new URL('./programs/soak-upstream.ts', import.meta.url))
    const child = program.start()
    const [ports] = await once(child, 'message')
    return new Upstream(program, child, ports as LoadOrder['ports'])
  }

  /** How many connections it has, when it has had the time to hear that they are closed. */
  async open(): Promise<number> {
    const deadline = performance.now() + SETTLE_MS
    for (;;) {
      this.#child.send('open')
      const [{ open }] = (await once(this.#child, 'message')) as [{ open: number }]
      if (open === 0 || performance.now() > deadline) return open
      await sleep(20)
    }
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect()
    this.#program.delete()
  }
}

async function loadOf(order: LoadOrder): Promise<LoadReport | string> {
  const program = await Program.from(new URL('./programs/soak-load.ts', import.meta.url))
  try {
    const child = program.start({ args: [JSON.stringify(order)], nodeFlags: ['--expose-gc'] })
    return await reportOf<LoadReport>(child, order.seconds * 1000 + GRACE_MS)
  } finally {
    program.delete()
  }
}

function verdictsOf(order: LoadOrder, report: LoadReport, openAtUpstream: number): Verdict[] {
  const { arm, requests } = order
  const { done, aborts, seconds, failures, heaps, descriptors, closing, timeWaits, left } = report
  for (const failure of failures) console.error(`${arm}: ${failure}`)
  for (const what of left) console.error(`${arm}: ${what}`)
  const rate = Math.round(done / seconds)
  const [half, end] = heaps
  const growth = end / half - 1
  const [before, after] = descriptors
  const verdicts: Omit<Verdict, 'part'>[] = [
    {
      promise: 'every request is answered, byte by byte, or fails with a documented error; none hangs',
      measured: `${grouped(done)} of ${grouped(requests)} requests, ${grouped(aborts)} to be aborted, ${grouped(rate)}/s, ${failures.length} failures`,
      kept: failures.length === 0 && done > 0,
    },
    { promise: 'as many descriptors at the end', measured: `${before}, then ${after}`, kept: after <= before },
    { promise: 'the upstream has no connection left', measured: String(openAtUpstream), kept: openAtUpstream === 0 },
    {
      promise: 'heap at the end within 10 % of that at half-time',
      measured: `${(half / MEBIBYTE).toFixed(2)}, then ${(end / MEBIBYTE).toFixed(2)} MiB`,
      kept: growth <= MOST_HEAP_GROWTH || done < HEAP_IS_JUDGED_FROM,
    },
    {
      promise: 'no request and no socket is left, no warning was given',
      measured: `${left.length}`,
      kept: left.length === 0,
    },
  ]
  if (arm === 'native') {
    const most = Math.max(2 * order.lanes, closing.requests * MOST_FRESH_SHARE)
    verdicts.push(
      {
        promise: `socket(2) for less than 0.1 % of the requests to upstreams that close (or ${2 * order.lanes} times)`,
        measured: `${closing.fresh} times for ${grouped(closing.requests)}`,
        kept: closing.fresh <= most,
      },
      { promise: 'no TIME_WAIT with upstreams that close', measured: String(timeWaits), kept: timeWaits === 0 },
    )
  }
  return verdicts.map((verdict) => ({ part: arm, ...verdict }))
}

async function manyConnections(count: number): Promise<Verdict[]> {
  const server = await Program.from(new URL('./programs/gathering-upstream.ts', import.meta.url))
  const program = await Program.from(new URL('./programs/many-connections.ts', import.meta.url))
  const descriptorLimit = count + SPARE_DESCRIPTORS
  const upstream = server.start({ descriptorLimit })
  try {
    const [port] = await once(upstream, 'message')
    const args = [`http://127.0.0.1:${port}`, String(count)]
    const { code, signal, stdout, stderr } = await program.run({ args, descriptorLimit, timeoutMs: 60_000 })
    const part = 'connections'
    const promise = `${grouped(count)} at once, all served, and served again`
    if (code !== 0) return [{ part, promise, measured: `ended with ${signal ?? code}: ${stderr}`, kept: false }]
    const { served, connected, left, ms }: Record<string, number> & { served: number[] } = JSON.parse(stdout)
    const isKept = connected === count && served.every((one: number) => one === count)
    return [
      { part, promise, measured: `${connected} made, ${served.join(' and ')} served, ${ms} ms`, kept: isKept },
      { part, promise: 'no descriptor is left', measured: String(left), kept: left === 0 },
    ]
  } finally {
    upstream.disconnect()
    server.delete()
    program.delete()
  }
}

async function handshakesOf(connections: number, seed: number, seconds: number): Promise<Verdict[]> {
  const server = await Program.from(new URL('./programs/handshake-upstream.ts', import.meta.url))
  const program = await Program.from(new URL('./programs/soak-handshakes.ts', import.meta.url))
  const upstream = server.start()
  const part = 'handshakes'
  try {
    const [{ ports, ca }] = await once(upstream, 'message')
    const order: HandshakesOrder = { ports, ca, seed, connections, seconds }
    const child = program.start({ args: [JSON.stringify(order)], nodeFlags: ['--expose-gc'] })
    const report = await reportOf<HandshakesReport>(child, seconds * 1000 + GRACE_MS)
    if (typeof report === 'string') return [{ part, promise: 'come to their end', measured: report, kept: false }]
    const { done, counts, resumed, byNode, failures, rss, descriptors } = report
    for (const failure of failures) console.error(`${part}: ${failure}`)
    const [first, last] = [rss[0]!, rss.at(-1)!]
    const [before, after] = descriptors
    const most = done < MANY_HANDSHAKES ? MOST_RSS_GROWTH_OF_FEW : MOST_RSS_GROWTH
    const verdicts = [
      {
        promise: 'each comes to the end that it should, by OpenSSL on its descriptor',
        measured: `${grouped(done)} of ${grouped(connections)}: ${grouped(counts.answered)} answered, ${grouped(resumed)} resumed, ${grouped(counts.failed)} not verified, ${grouped(counts.aborted)} aborted, ${failures.length} failures`,
        kept: failures.length === 0 && byNode === 0 && done > 0,
      },
      {
        promise: `no more memory at the end than after the first tenth, but for ${most / MEBIBYTE} MiB`,
        measured: `${(first / MEBIBYTE).toFixed(1)}, then ${(last / MEBIBYTE).toFixed(1)} MiB`,
        kept: last - first <= most,
      },
      { promise: 'as many descriptors at the end', measured: `${before}, then ${after}`, kept: after <= before },
    ]
    return verdicts.map((verdict) => ({ part, ...verdict }))
  } finally {
    upstream.disconnect()
    server.delete()
    program.delete()
  }
}

async function recordsOf(connections: number, seed: number, seconds: number): Promise<Verdict> {
  const program = await Program.from(new URL('./programs/soak-records.ts', import.meta.url))
  try {
    const order: RecordsOrder = { connections, seed, timeMs: seconds * 1000 }
    const report = await reportOf<RecordFuzzReport>(
      program.start({ args: [JSON.stringify(order)] }),
      order.timeMs + GRACE_MS,
    )
    const [failures, measured] =
      typeof report === 'string'
        ? [[report], report]
        : [
            report.failures,
            `${grouped(report.done)} of ${grouped(connections)} connections, ${grouped(report.answered)} answered, ${report.failures.length} failures`,
          ]
    for (const failure of failures) console.error(`records: ${failure}`)
    return {
      part: 'records',
      promise: 'bytes that are flipped, dropped, repeated or moved: documented errors, and nothing that was not sent',
      measured,
      kept: failures.length === 0,
    }
  } finally {
    program.delete()
  }
}

async function racesOf(requests: number, seed: number, seconds: number): Promise<RacesReport | string> {
  const upstream = await Program.from(new URL('../programs/ending-upstream.ts', import.meta.url))
  const program = await Program.from(new URL('./programs/soak-races.ts', import.meta.url))
  try {
    const options: RacesOptions = {
      requests,
      seconds,
      seed,
      clients: ["undici's Agent", 'native', 'net'],
      rounds: ROUNDS,
      program: upstream.file,
    }
    return await reportOf<RacesReport>(program.start({ args: [JSON.stringify(options)] }), seconds * 1000 + GRACE_MS)
  } finally {
    upstream.delete()
    program.delete()
  }
}

/** A row for each race, a column for each client. */
function lostByRace(rows: readonly Row[]): Record<string, Record<string, string>> {
  const table: Record<string, Record<string, string>> = {}
  for (const { scenario, carrier, kind, client, tally, lostOnArrival, twice, aborted } of rows) {
    const lost = Object.values(tally.lost).reduce((sum, count) => sum + count, 0)
    const more = [
      lost > 0 && `${lostOnArrival} arrived`,
      tally.wrong > 0 && `${tally.wrong} wrong`,
      tally.hung > 0 && `${tally.hung} hung`,
      twice > 0 && `${twice} twice`,
      aborted && `${aborted} aborted`,
    ].filter(Boolean)
    const name = `${carrier}, ${kind}: ${scenario}`
    table[name] = { ...table[name], [client]: [`${lost} of ${tally.sent}`, ...more].join(', ') }
  }
  return table
}

/** On both cores. */
async function fuzzes(cases: number, seed: number, seconds: number): Promise<Verdict> {
  const program = await Program.from(new URL('./programs/soak-fuzz.ts', import.meta.url))
  try {
    const each = Math.ceil(cases / FUZZERS)
    const reports = await Promise.all(
      Array.from({ length: FUZZERS }, (_, i) => {
        const options = { seed, cases: each, first: i * each, timeMs: seconds * 1000 }
        return reportOf<FuzzReport>(program.start({ args: [JSON.stringify(options)] }), options.timeMs + GRACE_MS)
      }),
    )
    let done = 0
    const failures: string[] = []
    for (const report of reports) {
      if (typeof report === 'string') failures.push(report)
      else {
        done += report.done
        failures.push(...report.failures)
      }
    }
    for (const failure of failures) console.error(`fuzz: ${failure}`)
    return {
      part: 'fuzz',
      promise: 'whatever comes is read alike in all manners, and as undici reads it',
      measured: `${grouped(done)} of ${grouped(cases)} cases, ${failures.length} failures`,
      kept: failures.length === 0 && done > 0,
    }
  } finally {
    program.delete()
  }
}
