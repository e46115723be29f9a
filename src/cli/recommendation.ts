/** What the figures mean for somebody who wonders whether to use the agent. */
import type { Sockets } from './clients.js'
import { median } from './statistics.js'
import type { TimeWait } from './time-wait.js'
import type { Choice } from './transport.js'
import type { Look } from './upstream.js'

export interface Recommendation {
  /** CPU time for a request is lower by more than chance. */
  helps: boolean
  /** What to write, where it helps. */
  code: string | null
  /** In words; the first sentence is the answer. */
  text: string[]
}

/** What is known of a client. */
export interface Known extends Sockets {
  requests: number
  lost: number
  timeWait: TimeWait | null
}

export interface Evidence {
  look: Omit<Look, 'requests'>
  transport: Choice
  undici: Known
  recycling: Known
  /** For one request, of each round. */
  cpu: { undici: readonly number[]; recycling: readonly number[] }
}

/** A difference counts from so much on, as a share of what undici's Agent takes. */
const LEAST_SHARE = 0.1
/**
 * And when of all pairs of a round of one client and a round of the other so many show it, which is Mann and Whitney's
 * test: with ten rounds each, by chance in less than one measurement of twenty.
 */
const LEAST_PAIRS = 0.75
/** Fewer connections than this for a request: the upstream keeps them. */
const KEPT = 0.2

export function recommend(evidence: Evidence): Recommendation {
  const { transport, undici } = evidence
  const saved = savedShare(evidence.cpu)
  const isKept = undici.created < KEPT * undici.requests
  if (transport.transport === 'net') {
    const text = [
      `It does not help you here, because sockets cannot be recycled: ${transport.why}.`,
      'Without a URL this command says what is missing.',
    ]
    return { helps: false, code: null, text }
  }
  const [answer, helps] = isKept ? ofKept(saved) : ofClosing(saved)
  const text = [answer, ...aboutTimeWait(evidence), ...aboutLosses(evidence), ...aboutSessions(evidence, isKept)]
  return { helps, code: helps ? 'new RecyclingAgent()' : null, text }
}

/** Of CPU time; negative where more is spent, and `null` where it may be chance. */
export function savedShare({ undici, recycling }: Evidence['cpu']): number | null {
  const share = 1 - median(recycling) / median(undici)
  let agreeing = 0
  for (const theirs of undici) {
    for (const ours of recycling) if (Math.sign(theirs - ours) === Math.sign(share)) agreeing++
  }
  const pairs = undici.length * recycling.length
  return pairs > 0 && agreeing >= LEAST_PAIRS * pairs && Math.abs(share) >= LEAST_SHARE ? share : null
}

const percent = (share: number): string => `${Math.round(100 * Math.abs(share))} %`

function ofClosing(saved: number | null): [answer: string, helps: boolean] {
  if (saved === null) {
    return [
      'No difference in CPU time can be told from so few requests, although the upstream closes its connections: try --requests=2000.',
      false,
    ]
  }
  if (saved < 0) return [`It does not help you: it took ${percent(saved)} more CPU time for a request.`, false]
  return [
    `It helps you: the upstream closes its connections, and new RecyclingAgent(), with its defaults, takes ${percent(saved)} less CPU time for a request.`,
    true,
  ]
}

function ofKept(saved: number | null): [answer: string, helps: boolean] {
  const because = 'because the upstream keeps its connections: there are few to recycle'
  if (saved === null || saved < 0) return [`It does not help you, ${because}.`, false]
  const how = `new RecyclingAgent(), with its defaults, takes ${percent(saved)} less CPU time for a request`
  return [`Recycling does not help you, ${because}. All the same ${how}.`, true]
}

function aboutTimeWait({ undici, recycling }: Evidence): string[] {
  if (undici.timeWait === null || recycling.timeWait === null) return []
  const [theirs, ours] = [undici.timeWait, recycling.timeWait].map(({ client, upstream }) => client + upstream)
  if (theirs! <= ours!) return []
  return [`It leaves ${ours} connections in TIME_WAIT on this host, where undici's Agent leaves ${theirs}.`]
}

function aboutLosses({ look, undici, recycling }: Evidence): string[] {
  const text: string[] = []
  if (undici.lost > 0 || recycling.lost > 0) {
    const again = recycling.sentAgain > 0 ? `, and sent ${recycling.sentAgain} again (retryStale)` : ''
    text.push(
      `Connections ended under requests: undici's Agent lost ${undici.lost} of ${undici.requests}, RecyclingAgent ${recycling.lost}${again}.`,
    )
  }
  if (look.announces === false) {
    text.push(
      'The upstream should say so when it closes a connection (Connection: close): a client that does not know may send a request to one that is ending.',
    )
  }
  return text
}

function aboutSessions({ look }: Evidence, isKept: boolean): string[] {
  if (look.resumes !== false || isKept) return []
  return [
    'The upstream resumes no TLS session: whole handshakes are most of the cost, with any client. Let it issue tickets, or keep its connections.',
  ]
}
