/** What the soak asks for, how often, and what may come of it: the promises, kind by kind. */

export type ArmName = 'native' | 'net' | 'secure'

export interface Kind {
  /** As in the path of the request. */
  name: string
  /** Of 10,000 requests. */
  share: number
  /** Upstreams that do nothing wrong and close each connection: what descriptors are recycled for. */
  isHealthyClosing?: boolean
  upload?: 'bytes' | 'stream' | 'iterable'
  /** Waits for a moment only. */
  isImpatient?: boolean
  /** Codes, or names where there is no code, of the errors that it may end with; with none it is to be answered. */
  errors?: readonly string[]
  /** May be answered all the same, when the fault comes too late or concerns nobody. */
  mayBeAnswered?: boolean
}

const CLOSED = 'UND_ERR_SOCKET'
const RESET = 'ECONNRESET'
const PARSER = 'HTTPParserError'
const MISMATCH = 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'

/** libuv tells a reset that comes together with bytes as FIN, and so do sockets of Node's. */
const CUT = [RESET, CLOSED]

const healthy: readonly Kind[] = [
  { name: 'close', share: 4000, isHealthyClosing: true },
  { name: 'chunked-close', share: 400, isHealthyClosing: true },
  { name: 'until-close', share: 400, isHealthyClosing: true },
  { name: 'keep', share: 3300 },
  { name: 'chunked', share: 500 },
  { name: 'slow', share: 200 },
  { name: 'echo', share: 400, upload: 'bytes' },
  { name: 'echo-close', share: 200, upload: 'bytes' },
  { name: 'echo', share: 200, upload: 'stream' },
  { name: 'echo', share: 200, upload: 'iterable' },
]

/** Together 2 %. */
const faults: readonly Kind[] = [
  { name: 'head-fin', share: 20, errors: [CLOSED] },
  { name: 'head-rst', share: 20, errors: CUT },
  { name: 'body-fin', share: 20, errors: [CLOSED] },
  { name: 'body-fin-close', share: 20, errors: [MISMATCH] },
  { name: 'body-rst', share: 20, errors: CUT },
  { name: 'chunked-fin', share: 20, errors: [CLOSED] },
  { name: 'chunked-garbage', share: 15, errors: [PARSER] },
  { name: 'garbage', share: 15, errors: [PARSER] },
  { name: 'late-head', share: 5, isImpatient: true, errors: ['UND_ERR_HEADERS_TIMEOUT'] },
  { name: 'late-body', share: 5, isImpatient: true, errors: ['UND_ERR_BODY_TIMEOUT'] },
  { name: 'more', share: 15 },
  { name: 'early', share: 10, upload: 'stream', errors: [...CUT, 'EPIPE'], mayBeAnswered: true },
  { name: 'upload-rst', share: 15, upload: 'bytes', errors: [...CUT, 'EPIPE'] },
]

export const kinds: readonly Kind[] = [...healthy, ...faults]
const total = kinds.reduce((sum, { share }) => sum + share, 0)

/** Its name, and what it sends. */
export const labelOf = ({ name, upload }: Kind): string => (upload === undefined ? name : `${name}, ${upload}`)

/** By its share. @param chance from 0 to below 2^32 */
export function kindBy(chance: number): Kind {
  let at = (chance / 2 ** 32) * total
  for (const kind of kinds) {
    at -= kind.share
    if (at < 0) return kind
  }
  return kinds[0]!
}
