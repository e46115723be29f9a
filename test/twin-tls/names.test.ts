/** Whom a certificate is for (RFC 9110 4.3.4, RFC 6125), and which name the server is shown (RFC 6066 3). */

import { X509Certificate } from 'node:crypto'
import { createSecureContext, type PeerCertificate } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { answering, ok, rawServer } from '../support/raw-server.js'
import { generalName, Holder } from '../support/x509.js'
import { contenders } from './contenders.js'
import { describeCertificate } from './errors.js'
import { type GetOptions, meeting, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
// Compared by what is in them: the same ones for all.
const middle = authority.issueAuthority('Intermediate')
const behind = middle.issue()
const [a, b] = ['a.test', 'b.test'].map((name) => authority.issue({ names: [generalName.dns(name)] }).identity())
const { dns, ip, uri, email } = generalName
const REFUSED = 'ERR_TLS_CERT_ALTNAME_INVALID'

/** A resolver that knows but one host. */
const lookup = (
  _host: string,
  { all }: { all?: boolean },
  callback: (error: null, ...found: unknown[]) => void,
): void => {
  if (all) callback(null, [{ address: '127.0.0.1', family: 4 }])
  else callback(null, '127.0.0.1', 4)
}

/** A request to that host, whose certificate has these names. */
const named = (host: string, names: Buffer[], subject = 'subject.test', request: Partial<GetOptions> = {}) =>
  meeting(() => ({
    server: authority.issue({ names, subject }).identity(),
    connect: { ca, lookup },
    request: { host, ...request },
  }))

describe('names', () => {
  twin('the right one', 'answer', named('a.test', [dns('a.test')]))
  twin('a wrong one', REFUSED, named('a.test', [dns('b.test')]))
  twin('one of several', 'answer', named('a.test', [dns('b.test'), dns('a.test')]))
  twin('none of several', REFUSED, named('a.test', [dns('b.test'), dns('c.test'), ip(127, 0, 0, 1)]))
  twin('in capitals in the certificate', 'answer', named('a.test', [dns('A.TEST')]))
  twin('in capitals in the origin', 'answer', named('A.TEST', [dns('a.test')]))
  twin('a part of it', REFUSED, named('a.test', [dns('test')]))
  twin('more than it', REFUSED, named('a.test', [dns('www.a.test')]))
  twin('in the common name only', 'answer', named('a.test', [], 'a.test'))
  twin('in the common name beside others', REFUSED, named('a.test', [dns('b.test')], 'a.test'))
  twin('in the common name beside an address', 'answer', named('a.test', [ip(127, 0, 0, 1)], 'a.test'))
  twin('in the common name beside a URI', 'answer', named('a.test', [uri('https://b.test/')], 'a.test'))
  twin('in the common name beside an e-mail address', 'answer', named('a.test', [email('me@b.test')], 'a.test'))
  twin('a wrong one in the common name only', REFUSED, named('a.test', [], 'b.test'))
  twin('a wildcard in the common name only', 'answer', named('www.a.test', [], '*.a.test'))
  twin(
    'in one of several common names',
    'answer',
    meeting(() => ({
      server: authority
        .issue({
          names: [],
          subject: [
            ['CN', 'b.test'],
            ['CN', 'a.test'],
          ],
        })
        .identity(),
      connect: { ca, lookup },
      request: { host: 'a.test' },
    })),
  )
  twin(
    'no name at all',
    REFUSED,
    meeting(() => ({
      server: authority.issue({ names: [], subject: [['O', 'Nobody']] }).identity(),
      connect: { ca, lookup },
      request: { host: 'a.test' },
    })),
  )
  twin('a name with a dot at its end in the certificate', 'answer', named('a.test', [dns('a.test.')]))
  twin('an origin with a dot at its end', 'answer', named('a.test.', [dns('a.test')]))
  twin('localhost', 'answer', named('localhost', [dns('localhost')]))
  twin('in another script', 'answer', named('xn--bcher-kva.test', [dns('xn--bcher-kva.test')]))
  twin('in another script, not encoded', REFUSED, named('xn--bcher-kva.test', [dns('bücher.test')]))
  twin('with a NUL in it', REFUSED, named('a.test', [dns('a.test\0.b.test')]))
  twin('with a NUL in the common name', REFUSED, named('a.test', [], 'a.test\0.b.test'))
  twin('with another form quoted in it', REFUSED, named('a.test', [dns('b.test, DNS:a.test')]))
  twin('with quotes in it', REFUSED, named('a.test', [dns('"a.test"')]))
  twin('empty', REFUSED, named('a.test', [dns('')]))
  twin('as a URI', 'ERR_TLS_CERT_ALTNAME_INVALID', named('a.test', [uri('https://a.test/')], 'b.test'))
  twin(
    'two hundred of them',
    'answer',
    named('a.test', [...Array.from({ length: 200 }, (_, i) => dns(`a${i}.test`)), dns('a.test')]),
  )
})

describe('wildcards', () => {
  twin('for one label', 'answer', named('www.a.test', [dns('*.a.test')]))
  twin('for two labels', REFUSED, named('www.b.a.test', [dns('*.a.test')]))
  twin('of two labels', REFUSED, named('www.b.a.test', [dns('*.*.a.test')]))
  twin('for no label', REFUSED, named('a.test', [dns('*.a.test')]))
  twin('for a part of a label, at its end', 'answer', named('www.a.test', [dns('w*.a.test')]))
  twin('for a part of a label, at its beginning', 'answer', named('www.a.test', [dns('*w.a.test')]))
  twin('for a part of a label that is another one', REFUSED, named('web.a.test', [dns('ww*.a.test')]))
  twin('in the second label', REFUSED, named('www.a.test', [dns('www.*.test')]))
  twin('for a whole domain', REFUSED, named('a.test', [dns('*.test')]))
  twin('for everything', REFUSED, named('a.test', [dns('*')]))
  twin(
    'in a label of another script',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    named('xn--bcher-kva.a.test', [dns('xn--*.a.test')]),
  )
  twin('for an address', REFUSED, named('127.0.0.1', [dns('*.0.0.1')]))
})

describe('addresses', () => {
  twin('as an address', 'answer', named('127.0.0.1', [ip(127, 0, 0, 1)]))
  twin('another one', REFUSED, named('127.0.0.1', [ip(127, 0, 0, 2)]))
  twin('as a DNS name', REFUSED, named('127.0.0.1', [dns('127.0.0.1')]))
  twin('in the common name', REFUSED, named('127.0.0.1', [], '127.0.0.1'))
  twin('as a URI of that address', REFUSED, named('127.0.0.1', [uri('https://127.0.0.1/')]))
  twin('of the other family', REFUSED, named('127.0.0.1', [ip(...Array<number>(15).fill(0), 1)]))
  twin(
    'mapped into the other family',
    REFUSED,
    named('127.0.0.1', [ip(...Array<number>(10).fill(0), 255, 255, 127, 0, 0, 1)]),
  )
  twin('of five bytes', 'ERR_TLS_CERT_ALTNAME_INVALID', named('127.0.0.1', [ip(127, 0, 0, 1, 0)]))
  twin('behind a name', REFUSED, named('a.test', [ip(127, 0, 0, 1)]))
})

describe('the name that the server is shown', () => {
  const both = () => authority.issue({ names: [dns('a.test'), ip(127, 0, 0, 1)] }).identity()
  const shown = (name: string, gives: string | RegExp, connect: object, request: Partial<GetOptions> = {}) =>
    twin(
      name,
      gives,
      meeting(() => ({ server: both(), connect: { ca, lookup, ...connect }, request })),
    )
  shown('that of the origin', 'answer', {}, { host: 'a.test' })
  shown('none for an address', 'answer', {})
  shown('that of connect.servername', 'answer', { servername: 'a.test' })
  shown('a wrong one in connect.servername', REFUSED, { servername: 'b.test' })
  shown('an empty connect.servername', 'answer', { servername: '' })
  shown('an empty connect.servername, for a name', 'answer', { servername: '' }, { host: 'a.test' })
  shown('an address in connect.servername', /^(answer|ERR_INVALID_ARG_VALUE)$/, { servername: '127.0.0.1' })
  shown(
    'an address in connect.servername, for a name',
    /^(answer|ERR_INVALID_ARG_VALUE)$/,
    { servername: '127.0.0.1' },
    { host: 'a.test' },
  )
  shown('no string in connect.servername', 'ERR_INVALID_ARG_TYPE', { servername: 7 })
  shown('that of the Host field', 'answer', {}, { headers: { host: 'a.test' } })
  shown('a wrong one in the Host field', REFUSED, {}, { headers: { host: 'b.test' } })
  shown('that of the Host field with a port', 'answer', {}, { headers: { host: 'a.test:443' } })
  shown('an address in the Host field, for a name', 'answer', {}, { host: 'a.test', headers: { host: '127.0.0.1' } })
  shown('the one in the request', 'answer', {}, { servername: 'a.test' })
  shown('a wrong one in the request', REFUSED, {}, { servername: 'b.test' })
  shown(
    'one in the request, above that in the Host field',
    'answer',
    {},
    { servername: 'a.test', headers: { host: 'b.test' } },
  )
  shown('one in the request, above that of connect', 'answer', { servername: 'b.test' }, { servername: 'a.test' })
  shown('one with a dot at its end', 'answer', { servername: 'a.test.' })
  shown('one that is too long', 'ERR_TLS_CERT_ALTNAME_INVALID', { servername: `${'a'.repeat(256)}.test` })

  twin('chooses the certificate', 'answer', async (stage) => {
    const { port } = await stage.server({
      ...b,
      SNICallback: (name, callback) => callback(null, name === 'a.test' ? createSecureContext(a) : undefined),
    })
    const agent = stage.agent({ ca, lookup })
    for (const host of ['a.test', 'b.test', 'c.test']) await stage.get(agent, { host, port })
  })
  twin('is one that the server refuses', 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME|ECONNRESET', async (stage) => {
    const { port } = await stage.server({
      ...both(),
      SNICallback: (name, callback) => callback(name === 'a.test' ? new Error('unknown') : null),
    })
    const agent = stage.agent({ ca, lookup })
    for (const servername of ['a.test', '']) await stage.get(agent, { port: await stage.relay(port), servername })
  })
})

describe('checkServerIdentity', () => {
  type Check = (this: unknown, host: string, certificate: PeerCertificate) => unknown
  const checked = (check: Check | unknown, more: object = {}, server = authority.issue({ subject: 'subject.test' })) =>
    meeting(() => ({
      server: server.identity(),
      connect: { ca, checkServerIdentity: check, ...more },
    }))
  const mistrust = Object.assign(new TypeError('not whom I meant'), { more: 'to say', code: 'MISTRUST' })
  twin(
    'that returns an error',
    'MISTRUST',
    checked(() => mistrust),
  )
  twin(
    'that returns an error without a code',
    'not whom I meant',
    checked(() => new Error('not whom I meant')),
  )
  twin(
    'that returns undefined',
    'answer',
    checked(() => undefined),
  )
  twin(
    'that returns null',
    'answer',
    checked(() => null),
  )
  twin(
    'that returns false',
    'answer',
    checked(() => false),
  )
  twin(
    'that returns true',
    'true',
    checked(() => true),
  )
  twin(
    'that returns a string',
    'not whom I meant',
    checked(() => 'not whom I meant'),
  )
  twin(
    'that returns a promise',
    /^\[object Promise\]$/,
    checked(() => Promise.resolve(undefined)),
  )
  twin('that is none', /^(ERR_INTERNAL_ASSERTION|ERR_INVALID_ARG_TYPE)$/, checked(7))
  twin('that is null', /^(ERR_INTERNAL_ASSERTION|ERR_INVALID_ARG_TYPE)$/, checked(null))
  twin(
    'that accepts a wrong name',
    'answer',
    checked(() => undefined, { servername: 'wrong.test' }),
  )
  twin(
    'that accepts, of an unknown authority',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    checked(() => undefined, { ca: [] }),
  )
  twin(
    'that refuses, with rejectUnauthorized: false',
    'answer',
    checked(() => mistrust, { rejectUnauthorized: false }),
  )

  // With undici it would be an uncaught exception, and the connection wait for its timeout.
  it.each(contenders)('that throws refuses the peer ($name)', async ({ make }) => {
    const server = await rawServer(answering(ok()), { secure: authority.issue().identity() })
    const check = (): void => {
      throw new Error('thrown')
    }
    const agent = make({ connect: { ca, checkServerIdentity: check as never } })
    onTestFinished(() => agent.destroy())
    await expect(agent.request({ origin: server.origin, path: '/', method: 'GET' })).rejects.toThrow('thrown')
    expect(server.peers.flatMap(({ requests }) => requests)).toEqual([])
  })
  twin('is told host and certificate', 'answer', async (stage) => {
    const { port } = await stage.server(authority.issue({ subject: 'subject.test' }).identity())
    for (const servername of [undefined, 'localhost', 'a.test']) {
      const agent = stage.agent({
        ca,
        servername,
        checkServerIdentity: (...said: unknown[]) => {
          const [host, certificate] = said as [string, PeerCertificate]
          stage.note('check', 'told', said.length, host, certificate.subject, certificate.subjectaltname)
        },
      })
      await stage.get(agent, { port })
    }
  })
  twin('is asked for each connection that resumes no session', 'answer', async (stage) => {
    const { port } = await stage.server(authority.issue().identity(), ok('ok', 'connection: close\r\n'))
    const agent = stage.agent({ ca, maxCachedSessions: 0, checkServerIdentity: () => stage.note('check', 'asked') })
    for (let i = 0; i < 2; i++) await stage.get(agent, { port })
  })
  twin('reads the whole certificate and its chain', 'answer', async (stage) => {
    const { port } = await stage.server(behind.identity(middle))
    const agent = stage.agent({
      ca,
      checkServerIdentity: (_host: string, certificate: PeerCertificate) => {
        stage.note('check', 'told', describeCertificate(certificate as never))
        stage.note(
          'check',
          'parsed',
          new X509Certificate(certificate.raw).fingerprint256 === certificate.fingerprint256,
        )
      },
    })
    await stage.get(agent, { port })
  })
})
