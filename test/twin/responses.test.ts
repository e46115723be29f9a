/** Responses, well-formed and not: what the handler sees of them, and what becomes of the connection. */
import { describe } from 'vitest'
import { ok } from '../support/raw-server.js'
import { type Answer, exchange, HEAD } from './answers.js'
import { type AnyOptions, type Play, turns, twin } from './twin.js'

const EMPTY = 'content-length: 0\r\n\r\n'
const one = { connections: 1 }
const chunks = '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n`

/** Closed by both sides in the end, so that what becomes of the connection is seen. */
const answered = (bytes: string, ending?: Answer['ending'], request: AnyOptions = {}): Play =>
  exchange({ bytes, ...(ending === undefined ? {} : { ending }) }, { request, agent: one })

describe('a status line', () => {
  const lines = [
    'HTTP/1.1 200 OK',
    'HTTP/1.1 200',
    'HTTP/1.1 200 ',
    'HTTP/1.1 299 Any Words  At All',
    'HTTP/1.1 404 Not Found',
    'HTTP/1.1 500 \u00ff',
    'HTTP/1.1 999 Large',
    'HTTP/1.1 600 X',
    'HTTP/1.0 200 OK',
    'HTTP/2.0 200 OK',
    'HTTP/0.9 200 OK',
    'HTTP/1.2 200 OK',
    'HTTP/3.0 200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 000 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1\t200 OK',
    'http/1.1 200 OK',
    'HTTP/11 200 OK',
    'HTTP/1.1 abc OK',
    'HTTP/1.1 200 a\tb',
    'HTTP/1.1 200 a\0b',
    'ICE/1.0 200 OK',
    'RTSP/1.0 200 OK',
    'SSH-2.0-OpenSSH',
    'GET / HTTP/1.1',
    '',
  ]
  for (const line of lines) twin(`of ${JSON.stringify(line)}`, answered(`${line}\r\n${EMPTY}`, 'fin'))
  twin('behind empty lines', answered(`\r\n\r\n${HEAD}${EMPTY}`, 'fin'))
  twin('behind a blank', answered(` ${HEAD}${EMPTY}`, 'fin'))
  twin('that ends in LF', answered(`HTTP/1.1 200 OK\n${EMPTY}`, 'fin'))
  twin('that ends in CR', answered(`HTTP/1.1 200 OK\r${EMPTY}`, 'fin'))
  twin('that is cut off', answered('HTTP/1.1 20', 'fin'))
})

describe('a field line', () => {
  const lines = [
    'a: b',
    'a:b',
    'a:',
    'a : b',
    'a b: c',
    ': b',
    'a',
    'a: b\r\n folded',
    'a: b\r\n\tfolded',
    ' a: b',
    'a: \u00e9',
    'a: b\0c',
    'a: b\rc',
    'a: b\nc: d',
    'a: \x01',
    'a: \x7f',
    '\u00e9: b',
    'a\0: b',
    'a"b: c',
    "!#$%&'*+-.^_`|~: b",
    `x: ${'y'.repeat(3000)}`,
  ]
  for (const line of lines)
    twin(`of ${JSON.stringify(line.slice(0, 30))}`, answered(`${HEAD}${line}\r\n${EMPTY}`, 'fin'))
  twin('that ends in LF', answered(`${HEAD}a: b\n${EMPTY}`, 'fin'))
  twin('that is cut off', answered(`${HEAD}content-`, 'fin'))
  twin('of a head that ends in LF', answered(`${HEAD}content-length: 0\r\n\n`, 'fin'))
  twin(
    'a hundred times',
    answered(`${HEAD}${Array.from({ length: 100 }, (_, i) => `x-${i % 7}: ${i}\r\n`).join('')}${EMPTY}`),
  )
})

describe('the length of a body (RFC 9112 6.3)', () => {
  const bodies: [string, string, Answer['ending']?][] = [
    ['by content-length', ok('hello')],
    ['by content-length 0', ok('')],
    ['by content-length with zeros in front', `${HEAD}content-length: 0005\r\n\r\nhello`],
    ['by chunks', `${CHUNKED}\r\n${chunks}`],
    ['by Chunked in another case', `${HEAD}Transfer-Encoding: CHUNKED\r\n\r\n${chunks}`],
    ['by gzip, chunked', `${HEAD}transfer-encoding: gzip, chunked\r\n\r\n${chunks}`],
    ['by two transfer-encoding lines', `${HEAD}transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`],
    ['by chunked, gzip', `${HEAD}transfer-encoding: chunked, gzip\r\n\r\nhello`, 'fin'],
    ['by identity', `${HEAD}transfer-encoding: identity\r\n\r\nhello`, 'fin'],
    ['by gzip', `${HEAD}transfer-encoding: gzip\r\n\r\nhello`, 'fin'],
    ['by FIN', `${HEAD}\r\nhello`, 'fin'],
    ['by FIN with nothing', `${HEAD}\r\n`, 'fin'],
    ['by FIN with connection: keep-alive', `${HEAD}connection: keep-alive\r\n\r\nhello`, 'fin'],
    ['by FIN of HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nhello', 'fin'],
    ['by both content-length and chunks', `${CHUNKED}content-length: 5\r\n\r\n${chunks}`, 'fin'],
    [
      'by both chunks and content-length',
      `${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n${chunks}`,
      'fin',
    ],
    ['by content-length twice', `${HEAD}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`, 'fin'],
    ['by two content-lengths', `${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`, 'fin'],
    ['by a list of content-lengths', `${HEAD}content-length: 5, 5\r\n\r\nhello`, 'fin'],
    ['by a negative content-length', `${HEAD}content-length: -5\r\n\r\nhello`, 'fin'],
    ['by a content-length with a sign', `${HEAD}content-length: +5\r\n\r\nhello`, 'fin'],
    ['by a content-length that is no number', `${HEAD}content-length: five\r\n\r\nhello`, 'fin'],
    ['by an empty content-length', `${HEAD}content-length:\r\n\r\nhello`, 'fin'],
    ['by a content-length beyond 64 bits', `${HEAD}content-length: 99999999999999999999\r\n\r\nhello`, 'fin'],
    ['by a content-length beyond 53 bits', `${HEAD}content-length: 9007199254740993\r\n\r\nhello`, 'fin'],
  ]
  for (const [what, bytes, ending] of bodies) twin(what, answered(bytes, ending))

  for (const status of [204, 304, 205, 199, 201]) {
    const head = `HTTP/1.1 ${status} X\r\n`
    if (status >= 200)
      twin(
        `of a ${status} without a length`,
        answered(`${head}\r\n`, status === 204 || status === 304 ? undefined : 'fin'),
      )
    twin(`of a ${status} with content-length 0`, answered(`${head}${EMPTY}${status < 200 ? ok() : ''}`))
  }
  for (const status of [204, 304]) {
    twin(`of a ${status} with a content-length`, answered(`HTTP/1.1 ${status} X\r\ncontent-length: 5\r\n\r\n`))
    twin(
      `of a ${status} with a transfer-encoding`,
      answered(`HTTP/1.1 ${status} X\r\ntransfer-encoding: chunked\r\n\r\n`),
    )
  }
  for (const [what, fields] of [
    ['a content-length', 'content-length: 5\r\n'],
    ['a transfer-encoding', 'transfer-encoding: chunked\r\n'],
    ['neither', ''],
    ['neither, but keep-alive', 'connection: keep-alive\r\n'],
    ['a close', 'content-length: 5\r\nconnection: close\r\n'],
  ] as const) {
    for (const reset of [undefined, false]) {
      twin(`of a response to HEAD with ${what}${reset === false ? ', reset false' : ''}`, async (stage) => {
        await answered(`${HEAD}${fields}\r\n`, undefined, { method: 'HEAD', ...(reset === false ? { reset } : {}) })(
          stage,
        )
        await turns(5)
      })
    }
  }
})

describe('a chunked body', () => {
  const bodies: [string, string][] = [
    ['with extensions', '3;a=b;c="d"\r\nabc\r\n0;last\r\n\r\n'],
    ['with sizes in capitals and zeros', '00A\r\n0123456789\r\n000\r\n\r\n'],
    ['with a trailer section', '3\r\nabc\r\n0\r\nA: 1\r\na: 2\r\nb:\r\n\r\n'],
    [
      'with framing fields in the trailer section',
      '3\r\nabc\r\n0\r\ncontent-length: 7\r\ntransfer-encoding: x\r\nconnection: close\r\n\r\n',
    ],
    ['with nothing but the last chunk', '0\r\n\r\n'],
    ['with a size that is no number', 'x\r\nabc\r\n0\r\n\r\n'],
    ['with a negative size', '-3\r\nabc\r\n0\r\n\r\n'],
    ['with an empty size', '\r\nabc\r\n0\r\n\r\n'],
    ['with a blank behind the size', '3 \r\nabc\r\n0\r\n\r\n'],
    ['with 0x', '0x3\r\nabc\r\n0\r\n\r\n'],
    ['with a size beyond 64 bits', 'fffffffffffffffff\r\nabc'],
    ['with a chunk that is too long', '3\r\nabcd\r\n0\r\n\r\n'],
    ['with a chunk that is too short', '3\r\nab\r\n0\r\n\r\n'],
    ['with LF behind the size', '3\nabc\r\n0\r\n\r\n'],
    ['with LF behind the chunk', '3\r\nabc\n0\r\n\r\n'],
    ['with CR in an extension', '3;a\rb\r\nabc\r\n0\r\n\r\n'],
    ['with a bad trailer', '3\r\nabc\r\n0\r\nbad trailer\r\n\r\n'],
    ['cut behind a chunk', '3\r\nabc\r\n'],
    ['cut within a chunk', '5\r\nabc'],
    ['cut within a size', '3\r\nabc\r\n1'],
    ['cut before the end of the trailer section', '3\r\nabc\r\n0\r\n'],
    ['cut within a trailer', '3\r\nabc\r\n0\r\na: b'],
  ]
  for (const [what, body] of bodies) {
    for (const connection of ['keep-alive', 'close']) {
      twin(`${what}, connection: ${connection}`, answered(`${CHUNKED}connection: ${connection}\r\n\r\n${body}`, 'fin'))
    }
  }
})

describe('a connection that ends', () => {
  for (const ending of ['fin', 'reset'] as const) {
    twin(`by ${ending} instead of a response`, answered('', ending))
  }
  for (const connection of ['keep-alive', 'close']) {
    const sized = `${HEAD}connection: ${connection}\r\ncontent-length: 9\r\n\r\n`
    twin(`behind the head, connection: ${connection}`, answered(sized, 'fin'))
    twin(`within a sized body, connection: ${connection}`, answered(`${sized}abc`, 'fin'))
    for (const [what, bytes] of [
      ['a sized body', `${sized}abc`],
      ['a chunked body', `${CHUNKED}connection: ${connection}\r\n\r\n3\r\nabc\r\n`],
      ['a close-delimited body', `${HEAD}connection: ${connection}\r\n\r\nabc`],
    ] as const) {
      twin(`by a reset within ${what}, connection: ${connection}`, async (stage) => {
        const { origin, peer } = await stage.server((served) => served.request().then(() => served.write(bytes)))
        // A reset may overtake what was not read: here it cannot.
        const { done } = stage.send(stage.agent(one), { origin })
        await stage.noted('data')
        ;(await peer(0)).socket.resetAndDestroy()
        await done
        await stage.noted('disconnect')
      })
    }
  }
})

describe('bytes behind the response', () => {
  for (const [what, rest] of [
    ['another response', ok('poison')],
    ['garbage', 'garbage'],
    ['an empty line', '\r\n'],
    ['an informational response', 'HTTP/1.1 103 Early\r\n\r\n'],
    ['half a head', 'HTTP/1.1 200 O'],
  ] as const) {
    for (const [framing, bytes] of [
      ['a sized', ok()],
      ['a chunked', `${CHUNKED}\r\n${chunks}`],
      ['an empty', ok('')],
    ] as const) {
      twin(`${what} behind ${framing} one`, async (stage) => {
        const { origin } = await stage.server((peer) => peer.request().then(() => peer.write(bytes + rest)))
        const { done } = stage.send(stage.agent(one), { origin })
        await done
        await (what === 'an empty line' ? turns(10) : stage.noted('disconnect'))
      })
    }
    twin(`${what} behind a closing one`, async (stage) => {
      const { origin } = await stage.server((peer) =>
        peer.request().then(() => peer.write(ok('ok', 'connection: close\r\n') + rest)),
      )
      await stage.send(stage.agent(one), { origin }).done
      await stage.noted('disconnect')
    })
  }
})

describe('informational responses', () => {
  for (const status of [100, 101, 102, 103, 150, 199]) {
    const head = `HTTP/1.1 ${status} X\r\nx: y\r\n`
    twin(`${status}`, answered(`${head}\r\n${ok()}`, 'fin'))
    twin(`${status} with a content-length`, answered(`${head}content-length: 3\r\n\r\nabc${ok()}`, 'fin'))
  }
  twin(
    '101 with an upgrade that nobody asked for',
    answered('HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n', 'fin'),
  )
  twin('200 with an upgrade that nobody asked for', answered(`${HEAD}connection: upgrade\r\nupgrade: x\r\n${EMPTY}`))
  twin('several', answered(`${'HTTP/1.1 103 X\r\na: b\r\n\r\n'.repeat(5)}${ok()}`))
  twin('and then a FIN', answered('HTTP/1.1 103 X\r\n\r\n', 'fin'))
})
