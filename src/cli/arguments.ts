/** The command line: what is asked for, within bounds. */
import { parseArgs } from 'node:util'
import { Failure, lineOf } from './failure.js'

/** What an upstream is to be asked. */
export interface Load {
  url: URL
  /** For each of the two clients. */
  requests: number
  /** Requests at a time. */
  concurrency: number
  method: string
  headers: Record<string, string>
  /** Certificates are not verified. */
  isInsecure: boolean
}

/** What the user wants. */
export type Command =
  | { kind: 'help' }
  | { kind: 'version' }
  | { kind: 'report'; isJson: boolean }
  | { kind: 'measurement'; isJson: boolean; load: Load }

export const USAGE = `Usage: npx recycling-agent [options] [URL]

Without a URL it says what works here: whether sockets are recycled on this host, in this Node.js.
With one it measures, with a few hundred requests, what recycling would save with that upstream.

  --requests=N             to send with each of the two clients, 20 to 10000 (200)
  --concurrency=N          at a time, 1 to 64, and at most a quarter of the requests (4)
  --method=METHOD          (GET)
  --header='name: value'   to send along; may be repeated
  --insecure               does not verify the certificate
  --json                   writes JSON to stdout, and nothing else
  --version
  --help

Exit status: 0 when sockets are recycled here, or the upstream was measured; 1 when they are not recycled;
2 when it could not be found out.
`

const FEWEST = 20
const MOST = 10_000
const MOST_AT_A_TIME = 64
/** Rounds that a measurement has at least: each of them keeps all lanes busy. */
export const LEAST_ROUNDS = 4

/** Options that say how to measure. */
const OF_MEASUREMENTS = ['requests', 'concurrency', 'method', 'header', 'insecure'] as const

/** RFC 9110 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** RFC 9110 5.5. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** @throws Failure for what cannot be meant */
export function parseCommand(argv: readonly string[]): Command {
  const { values, positionals } = parse(argv)
  if (values.help) return { kind: 'help' }
  if (values.version) return { kind: 'version' }
  const isJson = values.json ?? false
  const [url, ...others] = positionals
  if (url === undefined) {
    const pointless = OF_MEASUREMENTS.find((name) => values[name] !== undefined)
    if (pointless !== undefined) throw new Failure(`--${pointless} goes with the URL of an upstream`)
    return { kind: 'report', isJson }
  }
  if (others.length > 0) throw new Failure(`one URL at a time, not also ${others.join(' ')}`)
  const requests = parseNumber('requests', values.requests ?? '200', FEWEST, MOST)
  const most = Math.min(MOST_AT_A_TIME, Math.floor(requests / LEAST_ROUNDS))
  const load = {
    url: parseUrl(url),
    requests,
    concurrency: parseNumber('concurrency', values.concurrency ?? '4', 1, most),
    method: parseMethod(values.method ?? 'GET'),
    headers: parseHeaders(values.header ?? []),
    isInsecure: values.insecure ?? false,
  }
  return { kind: 'measurement', isJson, load }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        requests: { type: 'string' },
        concurrency: { type: 'string' },
        method: { type: 'string' },
        header: { type: 'string', multiple: true },
        insecure: { type: 'boolean' },
        json: { type: 'boolean' },
        version: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    const [words = ''] = (error as Error).message.split('. ', 1)
    throw new Failure(`${lineOf(words)}; --help shows what there is`, { cause: error })
  }
}

function parseUrl(text: string): URL {
  if (!/^https?:\/\//i.test(text)) throw new Failure(`not a URL that begins with http:// or https://: ${text}`)
  if (!URL.canParse(text)) throw new Failure(`not a URL: ${text}`)
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    throw new Failure("no user and password in the URL, please; --header='authorization: ...' sends them")
  }
  return url
}

function parseNumber(name: string, text: string, least: number, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw new Failure(`--${name} takes a number from ${least} to ${most}, not ${JSON.stringify(text)}`)
}

function parseMethod(text: string): string {
  const method = text.toUpperCase()
  if (!TOKEN.test(method)) throw new Failure(`--method takes the name of a method, not ${JSON.stringify(text)}`)
  if (method === 'CONNECT') throw new Failure('--method=CONNECT makes tunnels, which are not measured')
  return method
}

function parseHeaders(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).trim().toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (colon < 0 || !TOKEN.test(name) || !FIELD_VALUE.test(value)) {
      throw new Failure(`--header takes 'name: value', not ${JSON.stringify(line)}`)
    }
    headers[name] = value
  }
  return headers
}
