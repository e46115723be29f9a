/**
 * Responses, right and wrong, and what is made of them: llhttp's own cases in our words, and what attackers of HTTP/1.1
 * clients try. All are followed by FIN.
 */
import type { GetOptions } from '../support/outcomes.js'

/**
 * One row. An answer is what a caller sees (support/outcomes, inWords); `|` stands between those of several requests.
 */
export type ResponseCase = [what: string, text: string, answer: string, more?: More]

export interface More {
  request?: Omit<GetOptions, 'origin'>
  /** How many requests were sent before the first byte came. @default 1 */
  requests?: number
  /** undici's answer, where ours is another one on purpose. */
  undici?: string
}

const HEAD = { request: { method: 'HEAD', reset: false } } as const
const UPGRADE = { request: { upgrade: 'websocket' } } as const
const CONNECT = { request: { method: 'CONNECT', path: 'x.test:80' } } as const

const lines = (...parts: string[]): string => `${parts.join('\r\n')}\r\n`
/** A head of 200 with these field lines. */
const ok = (...fields: string[]): string => lines('HTTP/1.1 200 OK', ...fields, '')
const chunked = (body: string): string => `${ok('Transfer-Encoding: chunked')}${body}`
const next = `${ok('Content-Length: 4')}next`

/** test/response/sample.md */
const samples: ResponseCase[] = [
  ['a simple response', ok('Header1: Value1', 'Header2:\t Value2', 'Content-Length: 0'), '200 end'],
  ['RTSP', lines('RTSP/1.1 200 OK', 'Content-Length: 0', ''), '200 end'],
  ['RTSP 1.0', lines('RTSP/1.0 200 OK', 'Content-Length: 0', ''), '200 end'],
  ['ICE', lines('ICE/1.0 200 OK', 'Content-Length: 0', ''), '200 end'],
  ['a name that begins as HTTP does', lines('HTTPER/1.1 200 OK', ''), '! Expected HTTP/, RTSP/ or ICE/'],
  ['no fields and no body', ok(), '200 end'],
  [
    'a redirection as Google sends it',
    `${lines('HTTP/1.1 301 Moved Permanently', 'Location: http://www.google.com/', 'Content-Type: text/html; charset=UTF-8', 'X-$PrototypeBI-Version: 1.6.0.3', 'Cache-Control: public, max-age=2592000', 'Server: gws', 'Content-Length:  32  ', '')}<HTML><TITLE>301</TITLE></HTML>\r\n`,
    '301 "<HTML><TITLE>301</TITLE></HTML>\\r" end',
  ],
  [
    'a misspelt Connection, and chunks',
    `${lines('HTTP/1.1 301 MovedPermanently', 'x-amz-id-1: 0GPHKXSJQ826RK7GZEB2', 'p3p: policyref="http://x/p3p.xml",CP="CAO DSP LAW" ', 'cneonction: close', 'Transfer-Encoding: chunked', '')}1\r\n\n\r\n0\r\n\r\n`,
    '301 "\\n" end',
  ],
  ['404 with nothing else', lines('HTTP/1.1 404 Not Found', ''), '404 end'],
  ['no reason phrase', lines('HTTP/1.1 301', ''), '301 end'],
  ['an empty reason phrase', lines('HTTP/1.1 200 ', ''), '200 end'],
  [
    'LF everywhere',
    'HTTP/1.1 200 OK\nContent-Type: text/html\nConnection: close\n\nthese',
    '! Missing expected CR after response line',
  ],
  ['an underscore in a field name', ok('Server: DCLK-AdSvr', 'Content-Length: 0', 'DCLK_imp: v7;x;0;/'), '200 end'],
  [
    'HTTP/1.0 that keeps alive',
    lines('HTTP/1.0 301 Moved', 'Content-Length: 0', 'Connection: keep-alive', ''),
    '301 end',
  ],
  [
    'a space in a field name',
    `${ok('Server: x', 'en-US Content-Type: text/xml', 'Content-Length: 16')}<xml>hello</xml>`,
    '! Invalid header token',
  ],
  [
    'a reason phrase outside of ASCII',
    lines('HTTP/1.1 500 Ori\xc3\xabntatieprobleem', 'Content-Length: 0', 'Connection: close', ''),
    '500 end',
  ],
  ['HTTP/0.9 with a status line', lines('HTTP/0.9 200 OK', ''), '200 end'],
  ['neither length nor coding', `${ok('Content-Type: text/plain')}hello world`, '200 "hello world" end'],
  ['an empty line first', `\r\n${ok('Content-Length: 2')}ok`, '200 "ok" end'],
  ['empty lines first', `\r\n\r\n\n\r${ok('Content-Length: 2')}ok`, '200 "ok" end'],
]

/** test/response/connection.md, and its kin about upgrades */
const connections: ResponseCase[] = [
  ['Proxy-Connection', `${ok('Content-Length: 11', 'Proxy-Connection: close')}hello world`, '200 "hello world" end'],
  [
    'HTTP/1.0 that keeps a body without end alive',
    `${lines('HTTP/1.0 200 OK', 'Connection: keep-alive', '')}body`,
    '200 "body" end',
  ],
  [
    '204 of HTTP/1.0 that keeps alive, and another response',
    `${lines('HTTP/1.0 204 No content', 'Connection: keep-alive', '')}${next}`,
    '204 end | 200 "next" end',
    { requests: 2 },
  ],
  [
    'a body without end that looks like a response',
    `${ok()}${next}`,
    '200 "HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nnext" end',
  ],
  [
    '204, and another response',
    `${lines('HTTP/1.1 204 No content', '')}${next}`,
    '204 end | 200 "next" end',
    { requests: 2 },
  ],
  [
    '204 that closes, and another response',
    `${lines('HTTP/1.1 204 No content', 'Connection: close', '')}${next}`,
    '204 end | ! no second connection',
    { requests: 2 },
  ],
  ['204 that closes, and a body', `${lines('HTTP/1.1 204 No content', 'Connection: close', '')}2`, '204 end'],
  [
    'Upgrade in 200',
    `${ok('Connection: upgrade', 'Upgrade: h2c', 'Content-Length: 4')}body`,
    '200 "body" end',
    UPGRADE,
  ],
  [
    'Upgrade in 200 with chunks',
    `${ok('Connection: upgrade', 'Upgrade: h2c', 'Transfer-Encoding: chunked')}2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n`,
    '200 "body" end',
  ],
  ['Upgrade in 200 without a length', `${ok('Connection: upgrade', 'Upgrade: h2c')}body`, '200 "body" end'],
  [
    '101 with a length',
    `${lines('HTTP/1.1 101 Switching', 'Connection: upgrade', 'Upgrade: websocket', 'Content-Length: 4', '')}body`,
    '101 upgrade',
    UPGRADE,
  ],
  [
    '101 with chunks',
    `${lines('HTTP/1.1 101 Switching', 'Connection: upgrade', 'Upgrade: websocket', 'Transfer-Encoding: chunked', '')}2\r\nbo\r\n`,
    '101 upgrade',
    UPGRADE,
  ],
  [
    '101 that nobody asked for',
    lines('HTTP/1.1 101 Switching', 'Connection: upgrade', 'Upgrade: h2c', ''),
    '! bad upgrade',
  ],
  [
    '101 without Upgrade',
    `${lines('HTTP/1.1 101 Switching', 'Connection: upgrade', '')}${next}`,
    '! bad upgrade',
    { ...UPGRADE, undici: '101 ! The expression evaluated to a falsy value:' },
  ],
  [
    '101 without Upgrade that nobody asked for',
    `${lines('HTTP/1.1 101 Switching', '')}${next}`,
    '! bad upgrade',
    { undici: '101 ! The expression evaluated to a falsy value:' },
  ],
  [
    '101 with Upgrade, but not in Connection',
    `${lines('HTTP/1.1 101 Switching', 'Upgrade: websocket', '')}${next}`,
    '! bad upgrade',
    { ...UPGRADE, undici: '101 ! The expression evaluated to a falsy value:' },
  ],
  ['a response to CONNECT', `${ok('Content-Length: 4')}body`, '200 upgrade', CONNECT],
  ['a 1xx to CONNECT', `${lines('HTTP/1.1 103 Hints', '')}${next}`, '103 upgrade', CONNECT],
  [
    'both length and coding to CONNECT',
    ok('Content-Length: 4', 'Transfer-Encoding: chunked'),
    '! length mismatch',
    CONNECT,
  ],
  [
    '304 with a length',
    lines('HTTP/1.1 304 Not Modified', 'Content-Length: 10', ''),
    '304 end',
    { undici: '304 ! length mismatch' },
  ],
  [
    '304 with a length of 0, and another response',
    `${lines('HTTP/1.1 304 Not Modified', 'Content-Length: 0', '')}${next}`,
    '304 end | 200 "next" end',
    { requests: 2 },
  ],
  [
    '304 with chunks announced, and another response',
    `${lines('HTTP/1.1 304 Not Modified', 'Transfer-Encoding: chunked', '')}${next}`,
    '304 end | ! no second connection',
    { requests: 2, undici: '304 end | 200 "next" end' },
  ],
  [
    '304 with a length, and its content, which is a response',
    `${lines('HTTP/1.1 304 Not Modified', `Content-Length: ${next.length}`, '')}${next}`,
    '304 end | ! no second connection',
    { requests: 2, undici: '304 ! length mismatch | ! no second connection' },
  ],
  [
    '304 with a length to HEAD, and another response',
    `${lines('HTTP/1.1 304 Not Modified', 'Content-Length: 10', '')}${next}`,
    '304 end | 200 end',
    { ...HEAD, requests: 2 },
  ],
  [
    '304 with chunks announced to HEAD, and another response',
    `${lines('HTTP/1.1 304 Not Modified', 'Transfer-Encoding: chunked', '')}${next}`,
    '304 end | 200 end',
    { ...HEAD, requests: 2 },
  ],
  [
    '204 with a length and a body',
    `${lines('HTTP/1.1 204 No Content', 'Content-Length: 2', '')}ok`,
    '204 end',
    { undici: '204 ! length mismatch' },
  ],
  [
    '204 with a length, and its content, which is a response',
    `${lines('HTTP/1.1 204 No Content', `Content-Length: ${next.length}`, '')}${next}`,
    '204 end | ! no second connection',
    { requests: 2, undici: '204 ! length mismatch | ! no second connection' },
  ],
  ['205 with a body', `${lines('HTTP/1.1 205 Reset', 'Content-Length: 2', '')}ok`, '205 "ok" end'],
  ['100 first', `${lines('HTTP/1.1 100 Continue', '')}${next}`, '200 "next" end', { undici: '! bad response' }],
  [
    '100 and 103 by turns',
    `${lines('HTTP/1.1 100 Continue', '')}${lines('HTTP/1.1 103 X', '')}`.repeat(3) + next,
    '103 103 103 200 "next" end',
    { undici: '! bad response' },
  ],
  ['103 first', `${lines('HTTP/1.1 103 Early Hints', 'Link: </a>', '')}${next}`, '103 200 "next" end'],
  ['103 with a length', `${lines('HTTP/1.1 103 Early Hints', 'Content-Length: 5', '')}${next}`, '103 200 "next" end'],
  [
    '103 with chunks announced',
    `${lines('HTTP/1.1 103 Early Hints', 'Transfer-Encoding: chunked', '')}${next}`,
    '103 200 "next" end',
  ],
  [
    '103 that closes',
    `${lines('HTTP/1.1 103 Early Hints', 'Connection: close', '')}${next}`,
    '103 ! Data after `Connection: close`',
  ],
  ['103 of HTTP/1.0', `${lines('HTTP/1.0 103 Early Hints', '')}${next}`, '103 ! Data after `Connection: close`'],
  [
    '103 of HTTP/1.0 that keeps alive',
    `${lines('HTTP/1.0 103 Early Hints', 'Connection: keep-alive', '')}${next}`,
    '103 200 "next" end',
  ],
  [
    '103 that closes, and nothing more',
    lines('HTTP/1.1 103 Early Hints', 'Connection: close', ''),
    '103 ! other side closed',
  ],
  [
    '103 with Upgrade',
    `${lines('HTTP/1.1 103 Early Hints', 'Connection: upgrade', 'Upgrade: h2c', '')}${next}`,
    '103 200 "next" end',
  ],
  [
    'status 099',
    `${lines('HTTP/1.1 099 Low', '')}${next}`,
    '! Invalid status code',
    { undici: '99 ! The expression evaluated to a falsy value:' },
  ],
  [
    'status 000',
    `${lines('HTTP/1.1 000 None', '')}${next}`,
    '! Invalid status code',
    { undici: '0 ! The expression evaluated to a falsy value:' },
  ],
  ['status 600', `${lines('HTTP/1.1 600 High', 'Content-Length: 2', '')}ok`, '600 "ok" end'],
  ['status 999', `${lines('HTTP/1.1 999 High', 'Content-Length: 2', '')}ok`, '999 "ok" end'],
  ['HEAD with a length', ok('Content-Length: 4'), '200 end', HEAD],
  ['HEAD with chunks announced', ok('Transfer-Encoding: chunked'), '200 end', HEAD],
  ['HEAD with neither', ok(), '200 end', HEAD],
  [
    'HEAD with neither that keeps alive, and another response',
    `${ok('Connection: Keep-Alive')}${next}`,
    '200 end | 200 end',
    { ...HEAD, requests: 2 },
  ],
  [
    'HEAD with neither that keeps alive among other options, and another response',
    `${ok('Connection: a,\tkeep-alive , b')}${next}`,
    '200 end | 200 end',
    { ...HEAD, requests: 2, undici: '200 end | ! no second connection' },
  ],
  [
    'HEAD with neither that keeps alive in the second of two fields, and another response',
    `${ok('Connection: a', 'Connection: keep-alive')}${next}`,
    '200 end | 200 end',
    { ...HEAD, requests: 2, undici: '200 end | ! no second connection' },
  ],
  [
    'HEAD with neither that keeps alive and closes',
    `${ok('Connection: keep-alive, close')}${next}`,
    '200 end | ! no second connection',
    { ...HEAD, requests: 2 },
  ],
  [
    'HEAD with neither and an option that ends in keep-alive',
    `${ok('Connection: not-keep-alive')}${next}`,
    '200 end | ! no second connection',
    { ...HEAD, requests: 2 },
  ],
  ['HEAD with the body that it has not', `${ok('Content-Length: 4')}body`, '200 end', HEAD],
  [
    'close among other options',
    `${ok('Connection: a, close, b', 'Content-Length: 4')}body${next}`,
    '200 "body" end | ! no second connection',
    { requests: 2 },
  ],
  [
    'keep-alive and close',
    `${ok('Connection: keep-alive', 'Connection: close', 'Content-Length: 4')}body${next}`,
    '200 "body" end | ! no second connection',
    { requests: 2 },
  ],
]

/** test/response/invalid.md, and the rest of what a head can be wrong in */
const invalidHeads: ResponseCase[] = [
  ['HTP', lines('HTP/1.1 200 OK', ''), '! Expected HTTP/, RTSP/ or ICE/'],
  ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n', '! Expected HTTP/, RTSP/ or ICE/'],
  ['a request', lines('GET / HTTP/1.1', 'Host: x', ''), '! Expected HTTP/, RTSP/ or ICE/'],
  ['HTML', '<html><body>hello</body></html>', '! Expected HTTP/, RTSP/ or ICE/'],
  ['TLS', '\x15\x03\x01\x00\x02\x02\x46', '! Expected HTTP/, RTSP/ or ICE/'],
  ['NUL first', `\0${next}`, '! Expected HTTP/, RTSP/ or ICE/'],
  ['a space first', ` ${next}`, '! Expected HTTP/, RTSP/ or ICE/'],
  ['lower case', lines('http/1.1 200 OK', 'Content-Length: 0', ''), '! Expected HTTP/, RTSP/ or ICE/'],
  ['01.1', lines('HTTP/01.1 200 OK', ''), '! Expected dot'],
  ['11.1', lines('HTTP/11.1 200 OK', ''), '! Expected dot'],
  ['1.01', lines('HTTP/1.01 200 OK', ''), '! Expected space after version'],
  ['1.11', lines('HTTP/1.11 200 OK', ''), '! Expected space after version'],
  ['5.6', lines('HTTP/5.6 200 OK', ''), '! Invalid HTTP version'],
  ['2.0', `${lines('HTTP/2.0 200 OK', 'Content-Length: 2', '')}ok`, '200 "ok" end'],
  ['1.', lines('HTTP/1. 200 OK', ''), '! Invalid minor version'],
  ['1', lines('HTTP/1 200 OK', ''), '! Expected dot'],
  ['a tab behind the version', lines('HTTP/1.1\t200 OK', ''), '! Expected space after version'],
  ['CR first, and a tab behind the version', lines('\rHTTP/1.1\t200 OK', ''), '! Expected space after version'],
  ['two spaces behind the version', lines('HTTP/1.1  200 OK', ''), '! Invalid status code'],
  ['two spaces behind the status', lines('HTTP/1.1 200  OK', 'Content-Length: 0', ''), '200 end'],
  ['no space behind the status', lines('HTTP/1.1 200OK', ''), '! Invalid response status'],
  ['one digit', lines('HTTP/1.1 2 OK', ''), '! Invalid status code'],
  ['two digits', lines('HTTP/1.1 20 OK', ''), '! Invalid status code'],
  ['four digits', lines('HTTP/1.1 2000 OK', ''), '! Invalid response status'],
  ['letters in the status', lines('HTTP/1.1 2o0 OK', ''), '! Invalid status code'],
  ['a negative status', lines('HTTP/1.1 -20 OK', ''), '! Invalid status code'],
  ['no status', lines('HTTP/1.1', ''), '! Expected space after version'],
  ['CR in the reason phrase', lines('HTTP/1.1 200 O\rK', 'Content-Length: 0', ''), '! Expected LF after CR'],
  [
    'LF behind the status line',
    'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
    '! Missing expected CR after response line',
  ],
  ['NUL in the reason phrase', lines('HTTP/1.1 200 O\0K', 'Content-Length: 0', ''), '200 end'],
  ['a folded status line', lines('HTTP/1.1 200 OK', ' Host: foo', ''), '! Unexpected space after start line'],
  ['fields separated by CR', ok('Foo: 1\rBar: 2'), '! Missing expected LF after header value'],
  ['LF behind a field', 'HTTP/1.1 200 OK\r\nFoo: 1\nBar: 2\r\n\r\n', '! Missing expected CR after header value'],
  ['LF instead of the last line', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok', '! length mismatch'],
  ['CR instead of the last line', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\rok', '! length mismatch'],
  ['LF LF', 'HTTP/1.1 200 OK\r\nFoo: 1\n\nok', '! Missing expected CR after header value'],
  [
    'a folded value (RFC 9112 5.2)',
    ok('Foo: 1', ' 2', 'Content-Length: 0'),
    '! Unexpected whitespace after header value',
  ],
  [
    'a folded value, with a tab',
    ok('Foo: 1', '\t2', 'Content-Length: 0'),
    '! Unexpected whitespace after header value',
  ],
  ['a folded first value', ok('Foo:', ' 2', 'Content-Length: 0'), '! Invalid header value char'],
  ['a space before the colon (RFC 9112 5.1)', ok('Foo : 1', 'Content-Length: 0'), '! Invalid header token'],
  ['an empty name', ok(': 1', 'Content-Length: 0'), '! Invalid header token'],
  ['no colon', ok('Foo', 'Content-Length: 0'), '! Invalid header token'],
  ['a space before a name', 'HTTP/1.1 200 OK\r\n Foo: 1\r\n\r\n', '! Unexpected space after start line'],
  ['NUL in a name', ok('F\0o: 1'), '! Invalid header token'],
  ['NUL in a value', ok('Foo: 1\x002'), '! Invalid header value char'],
  ['DEL in a value', ok('Foo: 1\x7f2', 'Content-Length: 0'), '! Invalid header value char'],
  ['a control character in a value', ok('Foo: 1\x012'), '! Invalid header value char'],
  ['a name outside of ASCII', ok('F\xf6\xf6: 1'), '! Invalid header token'],
  ['a value outside of ASCII', ok('Foo: \xf6\xf6', 'Content-Length: 0'), '200 end'],
  ...['"', '(', ')', ',', '/', ';', '<', '=', '>', '?', '@', '[', '\\', ']', '{', '}'].map(
    (character): ResponseCase => [`${character} in a name`, ok(`a${character}b: 1`), '! Invalid header token'],
  ),
  ['every character of a name', ok("!#$%&'*+-.^_`|~09azAZ: 1", 'Content-Length: 0'), '200 end'],
]

/** test/response/content-length.md, and what RFC 9112 6.3 leaves to attackers */
const lengths: ResponseCase[] = [
  ['a length', `${ok('Content-Length: 4')}body`, '200 "body" end'],
  [
    'a field that begins as Content-Length does',
    chunked('2\r\nOK\r\n0\r\n\r\n').replace('Transfer', 'Content-Length-X: 0\r\nTransfer'),
    '200 "OK" end',
  ],
  ['a field that Content-Length begins with', `${ok('Content-Lengt: 1')}body`, '200 "body" end'],
  ['the same length twice', `${ok('Content-Length: 4', 'Content-Length: 4')}body`, '! length mismatch'],
  ['two lengths', `${ok('Content-Length: 4', 'Content-Length: 5')}body`, '! length mismatch'],
  ['two lengths of 0', ok('Content-Length: 0', 'Content-Length: 0'), '! Duplicate Content-Length'],
  ['0 and another length', `${ok('Content-Length: 0', 'Content-Length: 4')}body`, '! Duplicate Content-Length'],
  ['a list of lengths', `${ok('Content-Length: 4, 4')}body`, '! length mismatch'],
  ['leading zeros', `${ok('Content-Length: 0004')}body`, '200 "body" end'],
  ['blanks around it', `${ok('Content-Length: \t 4 ')}body`, '200 "body" end'],
  ['a tab behind it', `${ok('Content-Length: 4\t')}body`, '! length mismatch'],
  ['blanks in it', `${ok('Content-Length: 4 2')}body`, '! length mismatch'],
  ['a plus sign', `${ok('Content-Length: +4')}body`, '! Invalid character in Content-Length'],
  ['a minus sign', `${ok('Content-Length: -4')}body`, '! Invalid character in Content-Length'],
  ['-0', ok('Content-Length: -0'), '! Invalid character in Content-Length'],
  ['hexadecimal', `${ok('Content-Length: 0x4')}body`, '! Invalid character in Content-Length'],
  ['an exponent', `${ok('Content-Length: 4e0')}body`, '! length mismatch'],
  ['a fraction', `${ok('Content-Length: 4.0')}body`, '! length mismatch'],
  ['an empty length', `${ok('Content-Length:')}body`, '! Empty Content-Length'],
  ['a blank length', `${ok('Content-Length:  ')}body`, '! Empty Content-Length'],
  ['letters', `${ok('Content-Length: four')}body`, '! Invalid character in Content-Length'],
  ['2^63', `${ok(`Content-Length: ${2n ** 63n}`)}body`, '200 "body" ! other side closed'],
  ['2^64 - 1', `${ok(`Content-Length: ${2n ** 64n - 1n}`)}body`, '200 "body" ! other side closed'],
  ['2^64', `${ok(`Content-Length: ${2n ** 64n}`)}body`, '! length mismatch'],
  ['2^64 + 4', `${ok(`Content-Length: ${2n ** 64n + 4n}`)}body`, '! length mismatch'],
  ['2^32 + 4', `${ok(`Content-Length: ${2n ** 32n + 4n}`)}body`, '200 "body" ! other side closed'],
  ['a folded length', `${ok('Content-Length: 4', ' 2')}body`, '! length mismatch'],
  [
    'a length, then a coding (RFC 9112 6.3, 3)',
    `${ok('Content-Length: 4', 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`,
    '! length mismatch',
  ],
  [
    'a coding, then a length',
    `${ok('Transfer-Encoding: chunked', 'Content-Length: 4')}4\r\nbody\r\n0\r\n\r\n`,
    `! Content-Length can't be present with Transfer-Encoding`,
  ],
  ['a length, then identity', `${ok('Content-Length: 4', 'Transfer-Encoding: identity')}body`, '! length mismatch'],
  [
    'a length of 0, then a coding',
    `${ok('Content-Length: 0', 'Transfer-Encoding: chunked')}4\r\nbody\r\n0\r\n\r\n`,
    `! Transfer-Encoding can't be present with Content-Length`,
  ],
  ['less than the length', `${ok('Content-Length: 5')}body`, '200 "body" ! other side closed'],
  [
    'less than the length, and close',
    `${ok('Content-Length: 5', 'Connection: close')}body`,
    '200 "body" ! length mismatch',
  ],
  ['more than the length', `${ok('Content-Length: 4')}body!`, '200 "body" end'],
  ['more than the length, and close', `${ok('Content-Length: 4', 'Connection: close')}body!`, '200 "body" end'],
  ['CR LF behind the body', `${ok('Content-Length: 4')}body\r\n`, '200 "body" end'],
]

/** test/response/transfer-encoding.md */
const codings: ResponseCase[] = [
  ['chunks', chunked('4\r\nbody\r\n0\r\n\r\n'), '200 "body" end'],
  ['no chunks', chunked('0\r\n\r\n'), '200 end'],
  [
    'sizes in both cases and with zeros',
    chunked('0A\r\n0123456789\r\n00000000000000000a\r\n0123456789\r\n000\r\n\r\n'),
    '200 "01234567890123456789" end',
  ],
  [
    'trailers',
    chunked('4\r\nbody\r\n0\r\nVary: *\r\nContent-Type: text/plain\r\n\r\n'),
    '200 "body" end Vary * Content-Type text/plain',
  ],
  ['spaces behind the size', chunked('4  \r\nbody\r\n0  \r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['a space before the size', chunked(' 4\r\nbody\r\n0\r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['chunked, deflate', `${ok('Transfer-Encoding: chunked, deflate')}World`, '200 "World" end'],
  [
    'chunked, then identity',
    `${ok('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "5\\r\\nWorld\\r\\n0\\r\\n\\r\\n" end',
  ],
  [
    'chunked, identity',
    `${ok('Transfer-Encoding: chunked, identity')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "5\\r\\nWorld\\r\\n0\\r\\n\\r\\n" end',
  ],
  ['identity, chunked', `${ok('Transfer-Encoding: identity, chunked')}5\r\nWorld\r\n0\r\n\r\n`, '200 "World" end'],
  ['gzip, chunked', `${ok('Transfer-Encoding: gzip, chunked')}5\r\nWorld\r\n0\r\n\r\n`, '200 "World" end'],
  [
    'gzip, then chunked',
    `${ok('Transfer-Encoding: gzip', 'Transfer-Encoding: chunked')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "World" end',
  ],
  ['chunked twice', `${ok('Transfer-Encoding: chunked, chunked')}5\r\nWorld\r\n0\r\n\r\n`, '200 "World" end'],
  [
    'chunked in two fields',
    `${ok('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "World" end',
  ],
  [
    'chunkedchunked',
    `${ok('Transfer-Encoding: chunkedchunked')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "5\\r\\nWorld\\r\\n0\\r\\n\\r\\n" end',
  ],
  [
    'xchunked',
    `${ok('Transfer-Encoding: xchunked')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "5\\r\\nWorld\\r\\n0\\r\\n\\r\\n" end',
  ],
  [
    'chunked;q=1',
    `${ok('Transfer-Encoding: chunked;q=1')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "5\\r\\nWorld\\r\\n0\\r\\n\\r\\n" end',
  ],
  [
    '"chunked"',
    `${ok('Transfer-Encoding: "chunked"')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "5\\r\\nWorld\\r\\n0\\r\\n\\r\\n" end',
  ],
  ['CHUNKED', `${ok('Transfer-Encoding: CHUNKED')}5\r\nWorld\r\n0\r\n\r\n`, '200 "World" end'],
  [
    'blanks around chunked',
    `${ok('Transfer-Encoding: \t chunked \t')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "5\\r\\nWorld\\r\\n0\\r\\n\\r\\n" end',
  ],
  [
    'chunked behind a vertical tab',
    `${ok('Transfer-Encoding: \x0bchunked')}5\r\nWorld\r\n0\r\n\r\n`,
    '! Invalid header value char',
  ],
  ['an empty coding', `${ok('Transfer-Encoding:')}World`, '200 "World" end'],
  ['an unknown coding', `${ok('Transfer-Encoding: pigeons')}World`, '200 "World" end'],
  [
    'chunks of HTTP/1.0',
    `${lines('HTTP/1.0 200 OK', 'Transfer-Encoding: chunked', '')}5\r\nWorld\r\n0\r\n\r\n`,
    '200 "World" end',
  ],
  [
    'a folded coding',
    chunked('5\r\nWorld\r\n0\r\n\r\n').replace('chunked', 'chunked\r\n  abc'),
    '! Unexpected whitespace after header value',
  ],
  ['extensions', chunked('5;ilovew3;somuchlove=aretheseparametersfor\r\nWorld\r\n0;last\r\n\r\n'), '200 "World" end'],
  [
    'extensions without a semicolon',
    chunked('2 erfrferferf\r\naa\r\n0 rrrr\r\n\r\n'),
    '200 ! Invalid character in chunk size',
  ],
  ['no extension behind a semicolon', chunked('2;\r\naa\r\n0\r\n\r\n'), '200 ! Invalid character in chunk extensions'],
  [
    'quoted extensions',
    chunked('5;a="I \\"love\\"; \\\\extensions\\\\";b="c";blah;foo=bar\r\nWorld\r\n0\r\n\r\n'),
    '200 "World" end',
  ],
  [
    'an extension whose quote never ends',
    chunked('5;a="abc";b="def; ghi\r\nWorld\r\n0\r\n\r\n'),
    '200 ! Invalid character in chunk extensions quoted value',
  ],
  [
    'LF in a quoted extension',
    chunked('5;a="\n"\r\nWorld\r\n0\r\n\r\n'),
    '200 ! Invalid character in chunk extensions quoted value',
  ],
  ['CR in an extension', chunked('5;a\rb\r\nWorld\r\n0\r\n\r\n'), '200 ! Expected LF after chunk size'],
  [
    'LF behind an extension',
    chunked('5;a\nWorld\r\n0\r\n\r\n'),
    '200 ! Missing expected CR after chunk extension name',
  ],
  [
    'LF behind the value of an extension',
    chunked('5;a=b\nWorld\r\n0\r\n\r\n'),
    '200 ! Missing expected CR after chunk extension value',
  ],
  ['NUL in an extension', chunked('5;a\0\r\nWorld\r\n0\r\n\r\n'), '200 ! Invalid character in chunk extensions name'],
  ['a long extension', chunked(`5;${'a'.repeat(5000)}\r\nWorld\r\n0\r\n\r\n`), '200 "World" end'],
  ['LF behind a size', chunked('5\nWorld\r\n0\r\n\r\n'), '200 ! Missing expected CR after chunk size'],
  ['CR behind a size', chunked('5\rWorld\r\n0\r\n\r\n'), '200 ! Expected LF after chunk size'],
  ['LF behind chunk data', chunked('5\r\nWorld\n0\r\n\r\n'), '200 "World" ! Missing expected CR after chunk data'],
  ['CR behind chunk data', chunked('5\r\nWorld\r0\r\n\r\n'), '200 "World" ! Expected LF after chunk data'],
  ['nothing behind chunk data', chunked('5\r\nWorld0\r\n\r\n'), '200 "World" ! Expected LF after chunk data'],
  [
    'two bytes of the wrong kind behind chunk data',
    chunked('5\r\nWorldXX0\r\n\r\n'),
    '200 "World" ! Expected LF after chunk data',
  ],
  ['LF behind the last chunk', chunked('5\r\nWorld\r\n0\n\r\n'), '200 "World" ! Missing expected CR after chunk size'],
  ['LF instead of the last line', chunked('5\r\nWorld\r\n0\r\n\n'), '200 "World" ! Invalid header field char'],
  ['CR instead of the last line', chunked('5\r\nWorld\r\n0\r\n\rX'), '200 "World" ! Expected LF after headers'],
  ['no last line', chunked('5\r\nWorld\r\n0\r\n'), '200 "World" ! other side closed'],
  ['no last chunk', chunked('5\r\nWorld\r\n'), '200 "World" ! other side closed'],
  ['an empty size', chunked('\r\nWorld\r\n0\r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['a negative size', chunked('-5\r\nWorld\r\n0\r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['a plus sign', chunked('+5\r\nWorld\r\n0\r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['0x', chunked('0x5\r\nWorld\r\n0\r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['an underscore', chunked('0_5\r\nWorld\r\n0\r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['letters', chunked('five\r\nWorld\r\n0\r\n\r\n'), '200 ! Invalid character in chunk size'],
  ['2^32 + 5', chunked('100000005\r\nWorld\r\n0\r\n\r\n'), '200 "World\\r\\n0\\r\\n\\r\\n" ! other side closed'],
  ['2^63', chunked('8000000000000000\r\nWorld\r\n0\r\n\r\n'), '200 "World\\r\\n0\\r\\n\\r\\n" ! other side closed'],
  ['2^64 - 1', chunked('ffffffffffffffff\r\nWorld\r\n0\r\n\r\n'), '200 "World\\r\\n0\\r\\n\\r\\n" ! other side closed'],
  ['2^64 + 5', chunked('10000000000000005\r\nWorld\r\n0\r\n\r\n'), '200 ! Chunk size overflow'],
  ['2^128', chunked(`1${'0'.repeat(32)}\r\nWorld\r\n0\r\n\r\n`), '200 ! Chunk size overflow'],
  [
    'Content-Length among the trailers',
    chunked('5\r\nWorld\r\n0\r\nContent-Length: 5\r\n\r\n'),
    `200 "World" ! Content-Length can't be present with Transfer-Encoding`,
  ],
  [
    'Transfer-Encoding among the trailers',
    chunked('5\r\nWorld\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'),
    '200 "World" end Transfer-Encoding chunked',
  ],
  [
    'a folded trailer',
    chunked('5\r\nWorld\r\n0\r\nA: b\r\n c\r\n\r\n'),
    '200 "World" ! Unexpected whitespace after header value',
  ],
  ['a trailer without a colon', chunked('5\r\nWorld\r\n0\r\nA\r\n\r\n'), '200 "World" ! Invalid header token'],
  ['NUL in a trailer', chunked('5\r\nWorld\r\n0\r\nA: \0\r\n\r\n'), '200 "World" ! Invalid header value char'],
  [
    'Connection: close among the trailers, and another response',
    `${chunked('5\r\nWorld\r\n0\r\nConnection: close\r\n\r\n')}${next}`,
    '200 "World" end Connection close | 200 "next" end',
    { requests: 2, undici: '200 "World" end Connection close | ! Data after `Connection: close`' },
  ],
  [
    'another coding among the trailers, and another response',
    `${chunked('5\r\nWorld\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n')}${next}`,
    '200 "World" end Transfer-Encoding gzip | 200 "next" end',
    { requests: 2, undici: '200 "World" end Transfer-Encoding gzip | ! Data after `Connection: close`' },
  ],
]

/** test/response/pipelining.md */
const pipelines: ResponseCase[] = [
  [
    'three responses',
    `${ok('Content-Length: 3')}AAA${ok('Content-Length: 4')}BBBB${ok('Content-Length: 5')}CCCCC`,
    '200 "AAA" end | 200 "BBBB" end | 200 "CCCCC" end',
    { requests: 3 },
  ],
  [
    'chunks, a 1xx, no body, a length',
    `${chunked('1\r\na\r\n0\r\n\r\n')}${lines('HTTP/1.1 103 X', '')}${lines('HTTP/1.1 304 X', '')}${next}`,
    '200 "a" end | 103 304 end | 200 "next" end',
    { requests: 3 },
  ],
  ['an empty line between two responses', `${next}\r\n${next}`, '200 "next" end | 200 "next" end', { requests: 2 }],
  [
    'garbage between two responses',
    `${next}x${next}`,
    '200 "next" end | ! Expected HTTP/, RTSP/ or ICE/',
    { requests: 2 },
  ],
  ['fewer responses than requests', next, '200 "next" end | ! other side closed', { requests: 2 }],
  ['more responses than requests', `${next}${next}`, '200 "next" end'],
  [
    'more responses than requests, and close',
    `${ok('Connection: close', 'Content-Length: 4')}body${next}`,
    '200 "body" end',
  ],
  [
    'a second response that is wrong',
    `${next}HTTP/1.1 2x0 OK\r\n\r\n`,
    '200 "next" end | ! Invalid status code',
    { requests: 2 },
  ],
  [
    'Proxy-Connection: close in a response to HEAD that persists, and another response',
    `${ok('Content-Length: 4', 'Connection: keep-alive', 'Proxy-Connection: close')}${ok('Content-Length: 4')}`,
    '200 end | 200 end',
    { ...HEAD, requests: 2, undici: '200 end | ! Data after `Connection: close`' },
  ],
  ['a 1xx behind the response', `${next}${lines('HTTP/1.1 103 X', '')}`, '200 "next" end'],
]

/** For describe.each. */
export const responseCases: [group: string, cases: ResponseCase[]][] = [
  ['samples', samples],
  ['connections', connections],
  ['heads', invalidHeads],
  ['lengths', lengths],
  ['codings', codings],
  ['pipelines', pipelines],
]
