/** Responses by chance: rows of the table and made-up ones, put together and damaged. */
import { Buffer } from 'node:buffer'
import { responseCases } from '../faults/response-cases.js'
import type { Random } from '../support/random.js'

const corpus: string[] = responseCases.flatMap(([, cases]) => cases.map(([, text]) => text))

const STATUSES = [
  '200 OK',
  '200',
  '204 No',
  '304 No',
  '101 X',
  '103 X',
  '100 X',
  '404 Not Found',
  '500 \xff',
  '099 X',
  '999 ',
]
const VERSIONS = ['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0']
const FIELDS = [
  'Connection: close',
  'Connection: keep-alive',
  'Connection: upgrade',
  'Connection: keep-alive, close',
  'Upgrade: websocket',
  'Keep-Alive: timeout=5',
  'Keep-Alive: timeout=1',
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: 005',
  'Content-Length: 7',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: gzip',
  'Proxy-Connection: close',
  'Set-Cookie: a=b',
  'set-cookie: c=d',
  'X-Empty:',
  '__proto__: p',
  `X-Long: ${'v'.repeat(300)}`,
]
const BODIES = [
  'hello',
  '',
  '5\r\nhello\r\n0\r\n\r\n',
  '1\r\na\r\n4;x=y\r\nbody\r\n0\r\nSum: 5\r\n\r\n',
  '0\r\n\r\n',
  'A'.repeat(900),
]
/** What parsers stumble over. */
const TELLING = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '"',
  '\\',
  '-',
  '0',
  '1',
  '9',
  'f',
  '\x7f',
  '\xff',
  'HTTP/1.1 ',
  'ffffffffffffffff',
  '18446744073709551616',
  'chunked',
  'close',
]

function pick<T>(list: readonly T[], next: Random): T {
  return list[next(list.length)]!
}

function compose(next: Random): string {
  const fields = Array.from({ length: next(5) }, () => pick(FIELDS, next))
  return `${[`${pick(VERSIONS, next)} ${pick(STATUSES, next)}`, ...fields, '', ''].join('\r\n')}${pick(BODIES, next)}`
}

function damage(text: string, next: Random): string {
  const at = next(text.length + 1)
  const length = next(4) === 0 ? next(60) : 1
  const [before, here, after] = [text.slice(0, at), text.slice(at, at + length), text.slice(at + length)]
  switch (next(7)) {
    case 0:
      return before + after
    case 1:
      return before + here + here + after
    case 2:
      return `${before}${pick(TELLING, next)}${here}${after}`
    case 3:
      return `${before}${pick(TELLING, next)}${after}`
    case 4:
      return `${before}${String.fromCharCode(next(256))}${after}`
    case 5:
      return before
    default: {
      // Lines change places.
      const lines = text.split('\r\n')
      const from = next(lines.length)
      const [line] = lines.splice(from, 1)
      lines.splice(next(lines.length + 1), 0, line!)
      return lines.join('\r\n')
    }
  }
}

/** What a peer might send to `requests` requests. */
export function randomResponse(next: Random, requests: number): Buffer {
  let text = ''
  for (let i = 0; i < requests + next(2); i++) text += next(2) === 0 ? pick(corpus, next) : compose(next)
  for (let i = next(5); i > 0; i--) text = damage(text, next)
  return Buffer.from(text, 'latin1')
}

/** Cut into pieces, none of them empty. */
export function randomPieces(bytes: Buffer, next: Random): Buffer[] {
  const most = next(3) === 0 ? 4 : 200
  const pieces = []
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + next(most)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
