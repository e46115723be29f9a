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
  /** Where only one of undici's majors differs. Without lists: that they differ is all that is declared. */
  undici?: 7 | 8
}

/** What differs in no matter which scenario, and how two transcripts are made comparable in spite of it. */
export const EVERYWHERE = {
  parserCode: {
    reason: "HTTPParserError.code is llhttp's HPE_*, as undici 6 had it: undici 7 and 8 lose it",
    apply: (entry: Entry): Entry => {
      const at = entry.indexOf('HTTPParserError') + 1
      return at > 0 && (entry[at] === undefined || String(entry[at]).startsWith('HPE_'))
        ? (entry.with(at, 'HPE_* or none') as Entry)
        : entry
    },
  },
  sentCallbacks: {
    reason:
      'undici 7 does not tell handlers of the new kind what was sent nor that a head begins; undici 8 does, and so do we',
    silenced: ['bodySent', 'requestSent', 'started'],
  },
  nodesWords: {
    reason: "The words of Node's own ERR_INVALID_ARG_TYPE name the function that was called",
    apply: (entry: Entry): Entry =>
      entry[3] === 'ERR_INVALID_ARG_TYPE' ? (entry.with(4, 'any words') as Entry) : entry,
  },
  refusedAtOnce: {
    reason: "For a request that fails within dispatch() it returns true, as in undici 8.13: no 'drain' follows",
    apply: (entry: Entry, at: number, entries: readonly Entry[]): Entry =>
      entry[1] === 'returned' && entries.slice(0, at).some(([who, what]) => who === entry[0] && what === 'error')
        ? (entry.with(2, true) as Entry)
        : entry,
  },
  splitReason: {
    reason: 'Of a reason phrase that comes in pieces undici tells only the last one; we tell it whole',
    apply: (entry: Entry): Entry => (entry[1] === 'head' ? (entry.with(4, 'any phrase') as Entry) : entry),
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

/** @param failed the addresses, with their codes */
const namesAddresses = (failed: string): Omit<Deviation, 'scenario'> => {
  const entries = (message: string): Entry[] => [
    ['a', 'error', 'AggregateError', 'ECONNREFUSED', message],
    ['agent', 'connectionError', 'http://name.test:PORT/', 'AggregateError', 'ECONNREFUSED', message],
    ['error', 'is', 'AggregateError', message, true, false],
  ]
  return {
    reason: 'The message names the addresses that failed, and why; with undici it is empty',
    undicis: entries(''),
    ours: entries(`connect failed to name.test:PORT: ${failed}`),
  }
}

const refused = (message: string, reason: string): Omit<Deviation, 'scenario'> => ({
  reason,
  undicis: [['options', 'refused', 'Error', 'ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1']],
  ours: [['options', 'refused', 'InvalidArgumentError', 'UND_ERR_INVALID_ARG', message]],
})
const lengthMismatch = [
  'ResponseContentLengthMismatchError',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'Response body length does not match content-length header',
]
const destroyed: Entry = [
  'agent',
  'disconnect',
  'http://127.0.0.1:PORT/',
  'ClientDestroyedError',
  'UND_ERR_DESTROYED',
  'The client is destroyed',
]
const wasReset: Entry = ['agent', 'disconnect', 'http://127.0.0.1:PORT/', 'InformationalError', 'UND_ERR_INFO', 'reset']
const connected: Entry = ['agent', 'connect', 'http://127.0.0.1:PORT/']
const get = (path: string, connection: string): string =>
  `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\nconnection: ${connection}\r\n\r\n`
const countedAs8 = {
  reason: 'The Nth request of a connection is the last one, as in undici 8; undici 7 sends one more',
  undici: 7,
} as const
const drainAfterLoss = {
  undici: 7,
  reason: "'drain' comes whenever a busy agent has room again; undici forgets it when the connection was lost",
  ours: [['agent', 'drain', 'http://127.0.0.1:PORT/']] satisfies Entry[],
} as const
/** What it was sent on the first of two connections, and on the second. */
const sentOn = (...paths: string[]): Entry => [
  'wire',
  'received',
  paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: name.test:PORT\r\nconnection: keep-alive\r\n\r\n`).join(''),
]
const only8 = (reason: string): Omit<Deviation, 'scenario'> => ({ undici: 8, reason })
const lostInJson = "undici's Agent copies its options as JSON, where NaN and Infinity become null; they are refused"
const lostInConnector = "undici's Pool does not check the options of its connector; its Client does, and so do we"

export const DEVIATIONS: Deviation[] = [
  {
    scenario: 'of which one waits for a connection to be made, while another one becomes free',
    reason: 'It takes the free one, and the new one stays free for others; with undici it waits for the new one',
    undicis: [['agent', 'connect', 'http://name.test:PORT/'], sentOn('/1', '/2', '/held'), sentOn('/waiting')],
    ours: [['agent', 'connect', 'http://name.test:PORT/'], sentOn('/1', '/2', '/held', '/waiting')],
  },
  ...[
    ['connections', 'invalid connections'],
    ['keepAliveTimeout', 'invalid keepAliveTimeout'],
    ['keepAliveMaxTimeout', 'invalid keepAliveMaxTimeout'],
    ['keepAliveTimeoutThreshold', 'invalid keepAliveTimeoutThreshold'],
    ['headersTimeout', 'headersTimeout must be a positive integer or zero'],
    ['bodyTimeout', 'bodyTimeout must be a positive integer or zero'],
    ['maxHeaderSize', 'invalid maxHeaderSize'],
    ['maxRequestsPerClient', 'maxRequestsPerClient must be a positive number'],
    ['maxCachedSessions', 'maxCachedSessions must be a positive integer or zero'],
  ].map(([option, message]) => ({
    scenario: new RegExp(`^constructor: ${option} (NaN|Infinity)$`),
    ...refused(message!, lostInJson),
  })),
  {
    scenario: /^constructor: connectTimeout (-1|NaN|Infinity|x|{})$/,
    ...refused('invalid connectTimeout', lostInConnector),
  },
  {
    scenario: /^constructor: autoSelectFamilyAttemptTimeout (-2|1.5|x)$/,
    ...refused('autoSelectFamilyAttemptTimeout must be a positive number', lostInConnector),
  },
  {
    scenario: 'for several addresses',
    ...namesAddresses('127.0.0.1 ECONNREFUSED, 127.0.0.2 ECONNREFUSED'),
  },
  {
    scenario: 'for addresses of both families',
    ...namesAddresses('127.0.0.1 ECONNREFUSED, [::1] ECONNREFUSED'),
  },
  {
    scenario: 'constructor: maxResponseSize null',
    reason: 'null is the default, as with all other options; undici takes it for 0',
    undicis: [
      [
        'a',
        'error',
        'ResponseExceededMaxSizeError',
        'UND_ERR_RES_EXCEEDED_MAX_SIZE',
        'Response content exceeded max size',
      ],
      [
        'agent',
        'disconnect',
        'http://127.0.0.1:PORT/',
        'ResponseExceededMaxSizeError',
        'UND_ERR_RES_EXCEEDED_MAX_SIZE',
        'Response content exceeded max size',
      ],
    ],
    ours: [
      ['a', 'data', 'ok'],
      ['a', 'trailers', { pairs: [] }],
      ['a', 'end', []],
      [
        'agent',
        'disconnect',
        'http://127.0.0.1:PORT/',
        'ClientDestroyedError',
        'UND_ERR_DESTROYED',
        'The client is destroyed',
      ],
    ],
  },
  {
    scenario: 'in the start callback leaves the connection in use',
    undici: 7,
    reason: 'A request never starts within the call of dispatch(); with undici it does on some idle connections',
    style: 'new',
    undicis: [['b', 'start']],
    ours: [['b', 'start']],
  },
  {
    scenario: 'in the start callback leaves the connection in use',
    undici: 7,
    reason: 'A request never starts within the call of dispatch(); with undici it does on some idle connections',
    style: 'legacy',
    undicis: [['b', 'returned', false]],
    ours: [['b', 'returned', false]],
  },
  { scenario: /^content-length (twice|in a list|in an array), equal$/, reason: 'Equal lengths are one (RFC 9110 8.6)' },
  {
    scenario: /^100( with a content-length)?$/,
    reason: 'A 100 that nobody expects is read over (RFC 9110 15.2.1); for undici it is an error',
  },
  {
    scenario: 'of 100 Continue has undici\u2019s properties',
    reason: 'A 100 that nobody expects is read over (RFC 9110 15.2.1): what fails is the FIN behind it',
  },
  {
    scenario: /^expectContinue with (bytes|an iterable)$/,
    reason: 'expectContinue asks the server before the body is sent (RFC 9110 10.1.1); with undici it has no effect',
  },
  { scenario: 'in the bodySent callback goes to the error callback', ...toldAfterwards },
  { scenario: 'in the bodySent callback is passed on, no Error as it is', ...toldAfterwards },
  {
    scenario: 'is none before there is a connection',
    undici: 7,
    reason: "For a request that fails within dispatch() it returns true, as in undici 8.13: no 'drain' follows",
    undicis: [['a', 'returned', false]],
    ours: [['a', 'returned', true]],
  },
  { scenario: /^(without|with|twice) .*in the start callback( is once)?$/, ...closedForNothing },
  ...(['new', 'legacy'] as const).map(
    (style): Deviation => ({
      scenario: /^of a (204|304) with a content-length$/,
      reason:
        'A response that has no body whatever its fields say is complete, and its connection closed, as undici 8 has it',
      style,
      undici: 7,
      undicis: [
        ['a', 'error', ...lengthMismatch],
        ['agent', 'disconnect', 'http://127.0.0.1:PORT/', ...lengthMismatch],
      ],
      ours: [
        ...(style === 'new' ? ([['a', 'trailers', { pairs: [] }]] as Entry[]) : []),
        ['a', 'end', []],
        ['agent', 'disconnect', 'http://127.0.0.1:PORT/', 'InformationalError', 'UND_ERR_INFO', 'reset'],
      ],
    }),
  ),
  {
    scenario: /^of a (204|304) with a transfer-encoding$/,
    reason:
      'A response that has no body whatever its fields say is complete, and its connection closed, as undici 8 has it',
    undici: 7,
    undicis: [
      [
        'agent',
        'disconnect',
        'http://127.0.0.1:PORT/',
        'ClientDestroyedError',
        'UND_ERR_DESTROYED',
        'The client is destroyed',
      ],
    ],
    ours: [['agent', 'disconnect', 'http://127.0.0.1:PORT/', 'InformationalError', 'UND_ERR_INFO', 'reset']],
  },
  {
    scenario: /^that has got (a FIN|garbage|a response) which nobody has read yet$/,
    ...drainAfterLoss,
  },
  { scenario: 'are served in order by one connection each, pipelining 0', ...drainAfterLoss },
  { scenario: 'headersTimeout fails the first of a queue, the next is served', ...drainAfterLoss },
  ...(['new', 'legacy'] as const).map(
    (style): Deviation => ({
      scenario: 'that has got a reset which nobody has read yet',
      undici: 7,
      reason:
        'A request of which nothing was written goes to another connection, be it a FIN or a reset that was there',
      style,
      undicis: [['b', 'error', 'Error', 'ECONNRESET', 'read ECONNRESET']],
      ours: [
        ['agent', 'connect', 'http://127.0.0.1:PORT/'],
        destroyed,
        ['b', 'start'],
        ...(style === 'new'
          ? ([['b', 'fields', { pairs: [['content-length', '2']] }]] as Entry[])
          : ([
              ['b', 'requestSent'],
              ['b', 'started'],
            ] as Entry[])),
        ['b', 'head', 200, ['content-length: 2'], 'OK'],
        ['b', 'data', 'ok'],
        ...(style === 'new' ? ([['b', 'trailers', { pairs: [] }]] as Entry[]) : []),
        ['b', 'end', []],
        ['wire', 'received', 'GET /next HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\nconnection: keep-alive\r\n\r\n'],
      ],
    }),
  ),
  {
    scenario: 'Keep-Alive: TIMEOUT=1',
    reason: 'The hint is read in any case of letters, as undici 8 does it',
    undici: 7,
    undicis: [destroyed, ['wire', 'received', get('/0', 'keep-alive') + get('/1', 'keep-alive')]],
    ours: [
      wasReset,
      connected,
      wasReset,
      ['wire', 'received', get('/0', 'keep-alive')],
      ['wire', 'received', get('/1', 'keep-alive')],
    ],
  },
  {
    scenario: 'maxRequestsPerClient 1',
    ...countedAs8,
    undicis: [
      destroyed,
      ['wire', 'received', get('/0', 'keep-alive') + get('/1', 'close')],
      ['wire', 'received', get('/2', 'keep-alive')],
    ],
    ours: [
      wasReset,
      connected,
      wasReset,
      ['wire', 'received', get('/0', 'close')],
      ['wire', 'received', get('/1', 'close')],
      ['wire', 'received', get('/2', 'close')],
    ],
  },
  {
    scenario: 'maxRequestsPerClient 2',
    ...countedAs8,
    undicis: [
      ['agent', 'drain', 'http://127.0.0.1:PORT/'],
      destroyed,
      ['wire', 'received', get('/0', 'keep-alive') + get('/1', 'keep-alive') + get('/2', 'close')],
      ['wire', 'received', get('/3', 'keep-alive')],
    ],
    ours: [
      wasReset,
      ['agent', 'drain', 'http://127.0.0.1:PORT/'],
      ['wire', 'received', get('/0', 'keep-alive') + get('/1', 'close')],
      ['wire', 'received', get('/2', 'keep-alive') + get('/3', 'close')],
    ],
  },
  ...(['new', 'legacy'] as const).map(
    (style): Deviation => ({
      scenario: 'by an abort of its second request',
      undici: 7,
      reason:
        'A request at the head of a pipeline is not sent twice when one behind it is aborted: its response is awaited',
      style,
      undicis: [
        ['a', 'start'],
        ...(style === 'legacy' ? ([['a', 'requestSent']] as Entry[]) : []),
        ['agent', 'disconnect', 'http://127.0.0.1:PORT/', 'InformationalError', 'UND_ERR_INFO', 'aborted'],
      ],
      ours: [wasReset],
    }),
  ),
  {
    scenario: 'is an uncaught exception, and nothing else breaks',
    reason:
      "An exception of the error callback comes up by itself; with undici it keeps 'disconnect' from being emitted",
    ours: [
      ['agent', 'disconnect', 'http://127.0.0.1:PORT/', 'SocketError', 'UND_ERR_SOCKET', 'other side closed'],
      ['agent', 'drain', 'http://127.0.0.1:PORT/'],
    ],
  },
  { scenario: 'of an abort has undici\u2019s properties', ...closedForNothing },
  { scenario: /^tells of an abort in the start callback/, ...closedForNothing },
  { scenario: /^a (stream|generator), by an abort at the start$/, ...closedForNothing },
  { scenario: 'a stream that has failed before', ...closedForNothing },
  {
    scenario: /^strictly, (larger than an iterable|larger than a stream|of an empty)/,
    style: 'legacy',
    ...toldAfterwards,
  },
  {
    scenario: 'a stream, by a connection that fails',
    reason: 'A stream body that will not be sent is destroyed; undici leaves it open when the connection fails',
    ours: [
      ['body', 'error', 'connect ECONNREFUSED 127.0.0.1:1'],
      ['body', 'closed'],
    ],
  },
  {
    scenario: /^strictly, (larger than an iterable|larger than a stream|of an empty)/,
    style: 'new',
    undici: 8,
    ...toldAfterwards,
  },
  {
    scenario: /^leniently, when smaller than (an iterable|a stream|the first chunk)/,
    ...only8('undici 8 sends no more than the content-length; we send what there is, as undici 7'),
  },
  {
    scenario: /^onResponse(Start|Data|End)$/,
    ...only8('A handler may do without a method, as with undici 7; undici 8 refuses it'),
  },
  {
    scenario: /^bad options by throwing where there is no onResponseError$/,
    ...only8('The method that is missing is called by its legacy name, as in undici 7'),
  },
  {
    scenario: 'that has got a reset which nobody has read yet',
    ...only8('A request of which nothing was written goes to another connection'),
  },
  {
    scenario: 'by an abort of its second request',
    ...only8('A request at the head of a pipeline is not sent twice when one behind it is aborted'),
  },
  {
    scenario: 'in the start callback leaves the connection in use',
    ...only8('A request never starts within the call of dispatch()'),
  },
  {
    scenario: 'fails what waits in a pool of two connections',
    ...only8("'drain' comes whenever a busy agent has room again"),
  },
]
