/** What the races of reuse are held against. */
import type { Carrier } from '../support/ending-upstream.js'
import { countLost, type Kind, type Tally } from '../support/numbered-requests.js'
import { type ClientName, type Scenario, scenarios } from './race-scenarios.js'

/** What came of one client's requests of one kind in one scenario. */
export interface Row {
  scenario: string
  carrier: Carrier
  kind: Kind
  client: ClientName
  tally: Tally
  /** Requests that have arrived whole more than once. */
  twice: number
  /** Failed, though they have arrived whole: whoever sent them does not know. */
  lostOnArrival: number
  /** Failed, though they have arrived on a connection that had served none before. */
  lostAtFirst: number
  connections: number
  /** Of the pool: descriptors that were not closed in good order. */
  aborted: number | null
}

export interface Verdict {
  promise: string
  measured: string
  kept: boolean
}

/** Of deviations that chance explains: once in thirty thousand comparisons. */
const DEVIATIONS = 4
/** One in so many, but one in any case, meets an upstream that stands still. */
const RARELY = 100

const isReference = ({ client }: Row): boolean => client === "undici's Agent"

const inWords = ({ client, carrier, kind, scenario }: Row): string => `${client}, ${carrier}, ${kind}, ${scenario}`

/** @param faults what breaks it, in words */
function verdict(promise: string, measured: string, faults: readonly string[]): Verdict {
  for (const fault of faults) console.error(`races: ${promise}: ${fault}`)
  return { promise, measured, kept: faults.length === 0 }
}

const sum = (rows: readonly Row[], count: (row: Row) => number): number =>
  rows.reduce((total, row) => total + count(row), 0)

const scenarioOf = (row: Row): Scenario => scenarios.find(({ name }) => name === row.scenario)!

const lostOf = ({ tally }: Row): number => countLost(tally)

/** Requests on connections that had served. */
const reusesOf = ({ tally, connections }: Row): number => Math.max(1, tally.sent - connections)

/** How many POSTs ours may lose where undici's Agent has lost as many as it has. */
function mostOf(ours: Row, theirs: Row): number {
  const lost = lostOf(theirs)
  const { chance } = scenarioOf(ours)
  // No segments there: data and FIN are two calls of the upstream.
  switch (ours.carrier === 'unix' && chance === 'never' ? 'rarely' : chance) {
    case 'never':
      return lost
    case 'rarely':
      return lost + Math.max(1, ours.tally.sent / RARELY)
    case 'always': {
      const share = reusesOf(ours) / reusesOf(theirs)
      // A count that chance makes is its own variance.
      return share * lost + DEVIATIONS * Math.sqrt(lostOf(ours) + share ** 2 * lost)
    }
  }
}

export function verdictsOf(rows: readonly Row[], open: number, [before, after]: readonly [number, number]): Verdict[] {
  const ours = rows.filter((row) => !isReference(row))
  const posts = ours.filter(({ kind }) => kind === 'POST')
  const repeatable = ours.filter(({ kind }) => kind !== 'POST')
  const inOrder = ours.filter((row) => row.client === 'native' && scenarioOf(row).isInOrder)
  const rivalOf = ({ scenario, carrier, kind }: Row): Row =>
    rows.find((row) => isReference(row) && row.scenario === scenario && row.carrier === carrier && row.kind === kind)!
  const where = (broken: readonly Row[], count: (row: Row) => number): string[] =>
    broken.filter((row) => count(row) > 0).map((row) => `${count(row)} of ${row.tally.sent}: ${inWords(row)}`)
  const sent = (some: readonly Row[]): number => sum(some, ({ tally }) => tally.sent)
  const wrong = ({ tally }: Row): number => tally.wrong
  const hung = ({ tally }: Row): number => tally.hung
  const unexplained = posts.filter((row) => lostOf(row) > mostOf(row, rivalOf(row)))
  return [
    verdict(
      'no request that may be sent again is lost: GET, PUT, POST with an Idempotency-Key',
      `${sum(repeatable, lostOf)} of ${sent(repeatable)}`,
      where(repeatable, lostOf),
    ),
    verdict(
      "no more POSTs are lost than by undici's Agent, but for chance",
      `${sum(posts, lostOf)} of ${sent(posts)}, undici's Agent ${sum(posts.map(rivalOf), lostOf)} of as many`,
      unexplained.map((row) => {
        const rival = rivalOf(row)
        return `${lostOf(row)} of ${reusesOf(row)}, undici's Agent ${lostOf(rival)} of ${reusesOf(rival)}: ${inWords(row)}`
      }),
    ),
    verdict(
      'no POST arrives twice',
      `${sum(posts, ({ twice }) => twice)}`,
      where(posts, ({ twice }) => twice),
    ),
    verdict("no request gets another one's response", `${sum(ours, wrong)} of ${sent(ours)}`, where(ours, wrong)),
    verdict('none hangs', `${sum(ours, hung)}`, where(ours, hung)),
    verdict(
      'descriptors of an upstream that ends each connection are recycled in good order',
      `${sum(inOrder, ({ aborted }) => aborted!)} aborted`,
      where(inOrder, ({ aborted }) => aborted!),
    ),
    verdict(
      'none is lost that is the first on its connection',
      `${sum(ours, ({ lostAtFirst }) => lostAtFirst)}`,
      where(rows, ({ lostAtFirst }) => lostAtFirst),
    ),
    verdict('as many descriptors at the end', `${before}, then ${after}`, after <= before ? [] : [`${after - before}`]),
    verdict('the upstream has no connection left', `${open}`, open === 0 ? [] : [`${open}`]),
  ]
}
