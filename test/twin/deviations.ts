/**
 * Every place where RecyclingAgent is not like undici's Agent on purpose, with the reason. A scenario that is named here
 * passes only with exactly this difference.
 */
import type { Style } from '../support/handlers.js'
import type { Entry } from './recorder.js'
import type { Difference } from './transcript.js'

export interface Deviation extends Partial<Difference> {
  /** As it is called in its file, or a pattern for several. */
  scenario: string | RegExp
  reason: string
  /** Where it is not the same with both kinds of handlers. */
  style?: Style
  /** Where only one of undici's majors differs. */
  undici?: 7 | 8
}

/** What differs in no matter which scenario, and how two transcripts are made comparable in spite of it. */
export const EVERYWHERE = {
  parserCode: {
    reason: "HTTPParserError.code is llhttp's HPE_*, as undici 6 had it: undici 7 and 8 lose it",
    apply: (entry: Entry): Entry =>
      entry[2] === 'HTTPParserError' && (entry[3] === undefined || String(entry[3]).startsWith('HPE_'))
        ? (entry.with(3, 'HPE_* or none') as Entry)
        : entry,
  },
  sentCallbacks: {
    reason:
      'undici 7 does not tell handlers of the new kind what was sent nor that a head begins; undici 8 does, and so do we',
    silenced: ['bodySent', 'requestSent', 'started'],
  },
  targets: {
    reason: 'Events have the agent as their only target: there are no Pool and Client behind it',
  },
} as const

const closedForNothing = {
  reason: 'An abort in the start callback, before anything was written, leaves the connection in use; undici closes it',
  undicis: [['agent', 'disconnect', 'http://127.0.0.1:PORT/', 'InformationalError', 'UND_ERR_INFO', 'aborted']],
  ours: [
    [
      'agent',
      'disconnect',
      'http://127.0.0.1:PORT/',
      'ClientDestroyedError',
      'UND_ERR_DESTROYED',
      'The client is destroyed',
    ],
  ],
} satisfies Omit<Deviation, 'scenario'>

const toldAfterwards = {
  reason: 'Nothing is told after the error callback; undici goes on to tell that the request was sent',
  undicis: [['a', 'requestSent']],
} satisfies Omit<Deviation, 'scenario'>

const lostInPool = {
  reason: "What undici's Client returns for a request that it refuses is lost in its Pool",
  undicis: [['a', 'returned', true]],
  ours: [['a', 'returned', false]],
} satisfies Omit<Deviation, 'scenario'>

export const DEVIATIONS: Deviation[] = [
  {
    scenario: 'in the start callback leaves the connection in use',
    reason: 'A request never starts within the call of dispatch(); with undici it does on some idle connections',
    style: 'new',
    undicis: [['b', 'start']],
    ours: [['b', 'start']],
  },
  {
    scenario: 'in the start callback leaves the connection in use',
    reason: 'A request never starts within the call of dispatch(); with undici it does on some idle connections',
    style: 'legacy',
    undicis: [['b', 'returned', false]],
    ours: [['b', 'returned', false]],
  },
  { scenario: 'what a Pool returns for a bad path', ...lostInPool },
  { scenario: 'what a Pool returns for bad headers', ...lostInPool },
  { scenario: 'in the bodySent callback goes to the error callback', ...toldAfterwards },
  { scenario: 'in the bodySent callback is passed on, no Error as it is', ...toldAfterwards },
  { scenario: /^(without|with|twice) .*in the start callback( is once)?$/, ...closedForNothing },
  { scenario: /^tells of an abort in the start callback/, ...closedForNothing },
]
