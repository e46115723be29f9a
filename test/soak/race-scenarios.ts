/** The races of reuse: when an upstream ends its connections, and who sends what to it. */
import type { Carrier, Ending, Range } from '../support/ending-upstream.js'
import type { Kind } from '../support/numbered-requests.js'

export type ClientName = "undici's Agent" | 'native' | 'net'

export const kinds: readonly [carrier: Carrier, kinds: readonly Kind[]][] = [
  ['http', ['GET', 'PUT', 'POST with a key', 'POST']],
  ['unix', ['GET', 'POST']],
  ['https', ['GET', 'POST']],
]

export interface Scenario {
  name: string
  ending: Ending
  /** Of the client, before each request: by default it sends at once. */
  pauseMs?: Range
  /** Its event loop stands still meanwhile. */
  isBusy?: boolean
  /**
   * Whether chance decides what comes first, the FIN or the next request: `never`, so that ours may lose no POST more than
   * undici's Agent; `rarely`, when the upstream's process stands still between its response and its FIN; or `always`, and
   * then ours may lose as large a share of those on connections that had served as undici's Agent, and what chance
   * explains. (undici's Agent has two connections for each request under way, by turns, and so fewer of those.)
   */
  chance: 'never' | 'rarely' | 'always'
  /** Of the requests, where they take long. @default 1 */
  share?: number
  /** FIN or RST makes no difference to a Unix socket. */
  isWithoutUnix?: boolean
  /** The upstream ends all connections in good order, behind each response. */
  isInOrder?: boolean
}

const IDLE_MS: Range = [1.4, 1.6]

export const scenarios: readonly Scenario[] = [
  {
    name: 'FIN in the segment of the response',
    ending: { when: 'with a response', served: [1, 1] },
    chance: 'never',
    isInOrder: true,
  },
  {
    name: 'FIN right behind the response',
    ending: { when: 'after a response', served: [1, 1], ms: [0, 0], how: 'FIN' },
    chance: 'rarely',
    isInOrder: true,
  },
  {
    name: 'FIN in the segment of one of six responses',
    ending: { when: 'with a response', served: [1, 6] },
    chance: 'never',
  },
  {
    name: 'FIN right behind one of six responses',
    ending: { when: 'after a response', served: [1, 6], ms: [0, 0], how: 'FIN' },
    chance: 'rarely',
  },
  {
    name: 'FIN up to 5 ms after the response',
    ending: { when: 'after a response', served: [1, 1], ms: [0, 5], how: 'FIN' },
    chance: 'always',
  },
  {
    name: 'RST up to 3 ms after one of three responses',
    ending: { when: 'after a response', served: [1, 3], ms: [0, 3], how: 'RST' },
    chance: 'always',
    isWithoutUnix: true,
  },
  {
    name: 'an idle timer that ends about when the next request comes',
    ending: { when: 'idle', ms: IDLE_MS, how: 'close' },
    pauseMs: [1, 2],
    chance: 'always',
  },
  {
    // The FIN has come when the request does, but nobody has looked.
    name: 'an idle timer that ends while the client is busy',
    ending: { when: 'idle', ms: [0.5, 0.5], how: 'close' },
    pauseMs: [8, 10],
    isBusy: true,
    chance: 'rarely',
    share: 0.25,
  },
  { name: 'a restart every 3 to 12 ms', ending: { when: 'restarted', ms: [3, 12] }, chance: 'always' },
  // Whoever sends on a connection loses what cannot be sent again: as many as were sent on one that had served.
  { name: 'FIN when the next request comes', ending: { when: 'with the next request', how: 'FIN' }, chance: 'always' },
  {
    name: 'RST when the next request comes',
    ending: { when: 'with the next request', how: 'RST' },
    chance: 'always',
    isWithoutUnix: true,
  },
]
