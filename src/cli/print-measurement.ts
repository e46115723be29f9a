/** A measurement, for people: before it begins, and when it is done. */
import type { Load } from './arguments.js'
import type { ClientSummary, Measurement } from './measurement.js'
import { type Paint, table, wrap } from './output.js'
import type { TimeWait } from './time-wait.js'
import { tlsMaker } from './tls-report.js'
import { LOOKS } from './upstream.js'

/** What is going to be sent. Values of fields may be secrets. */
export function announcement({ url, method, requests, concurrency, headers, isInsecure }: Load): string {
  const names = Object.keys(headers)
  const fields = names.length === 0 ? '' : `, with ${names.join(', ')}`
  const verified = isInsecure && url.protocol === 'https:' ? ' Its certificate is not verified.' : ''
  const text =
    `Sends ${method} ${url.pathname}${url.search} to ${url.origin}${fields}: up to ${LOOKS} requests to look at it, then ` +
    `${requests} with undici's Agent and ${requests} with RecyclingAgent in turns, ${concurrency} at a time.${verified}`
  return `${wrap(text).join('\n')}\n\n`
}

export function printMeasurement(measurement: Measurement, paint: Paint): string {
  const { undici, recycling, recommendation } = measurement
  const rows = [
    ['', undici.title, recycling.title],
    ...FIGURES.map(([name, value]) => [name, value(undici), value(recycling)]),
  ]
  const [head = '', ...figures] = table(rows)
  const [answer = '', ...more] = recommendation.text
  const lines = [
    ...table(ofUpstream(measurement)),
    '',
    paint('bold', head),
    ...figures,
    '',
    ...wrap(answer).map((line) => paint(recommendation.helps ? 'green' : 'yellow', line)),
    ...more.flatMap((sentence) => wrap(sentence)),
  ]
  return `${lines.join('\n')}\n`
}

function ofUpstream({ upstream, tls }: Measurement): string[][] {
  const { status, keeps, announces } = upstream
  const answered = status < 300 ? String(status) : `${status}: the figures are those of such answers`
  const ends = announces ? 'no: it closes them, and says so' : 'no: it closes them without saying so'
  const rows = [
    ['answers', answered],
    ['keeps its connections', keeps ? 'yes' : ends],
  ]
  if (tls === null) return rows
  rows.push(['TLS', `${upstream.tls}, ${tlsMaker(tls)}${tls.why === null ? '' : ` (${tls.why})`}`])
  rows.push(['resumes TLS sessions', upstream.resumes ? 'yes' : 'no'])
  return rows
}

type Figure = [name: string, value: (client: ClientSummary) => string]

const ms = (value: number): string => `${value.toFixed(2)} ms`
const side =
  (of: keyof TimeWait) =>
  ({ timeWait }: ClientSummary): string =>
    timeWait === null ? 'not known' : String(timeWait[of])

const FIGURES: readonly Figure[] = [
  ['CPU time for a request', ({ cpuMicrosecondsPerRequest }) => `${cpuMicrosecondsPerRequest.toFixed(0)} us`],
  ['latency, median', ({ latencyMs }) => ms(latencyMs.median)],
  ['latency, 99th percentile', ({ latencyMs }) => ms(latencyMs.p99)],
  ['requests', ({ requests }) => String(requests)],
  ['requests lost', ({ lost }) => String(lost)],
  ['sockets created', ({ created }) => String(created)],
  ['sockets recycled', ({ recycled }) => String(recycled)],
  ["TIME_WAIT here, the client's", side('client')],
  ["TIME_WAIT here, the upstream's", side('upstream')],
]
