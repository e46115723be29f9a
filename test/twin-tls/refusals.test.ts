/** Refusals that are switched off, one by one and for the whole agent, and what goes with a connection besides. */
import { describe } from 'vitest'
import { ok } from '../support/raw-server.js'
import { extensions, generalName, Holder, keys } from '../support/x509.js'
import { type Gives, type Meeting, meeting, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const server = authority.issue().identity()

describe('rejectUnauthorized: false', () => {
  const tolerated = (name: string, gives: Gives, identity: () => Meeting['server'], connect: object = {}) =>
    twin(
      name,
      gives,
      meeting(() => ({ server: identity(), connect: { rejectUnauthorized: false, ...connect } })),
    )
  tolerated('an unknown authority', 'answer', () => server)
  tolerated('one that signed itself', 'answer', () => Holder.alone().identity())
  tolerated('one that has expired', 'answer', () => authority.issue({ until: -0.5 }).identity(), { ca })
  tolerated('one that is not valid yet', 'answer', () => authority.issue({ from: 1 }).identity(), { ca })
  tolerated(
    'one for another name',
    'answer',
    () => authority.issue({ names: [generalName.dns('other.test')] }).identity(),
    { ca },
  )
  tolerated(
    'one that was revoked',
    'answer',
    () => {
      const revoked = authority.issue()
      return revoked.identity()
    },
    { ca, crl: authority.revoking([]) },
  )
  tolerated(
    'one for clients only',
    'answer',
    () => authority.issue({ more: [extensions.extendedKeyUsage('clientAuth')] }).identity(),
    { ca },
  )
  tolerated('one with a signature that is wrong', 'answer', () => Holder.authority().issue().identity(), { ca })
  tolerated(
    'one with a weak key',
    'answer',
    () => ({ ...authority.issue({ keys: keys.rsa(1024) }).identity(), ciphers: 'DEFAULT:@SECLEVEL=0' }),
    { ca },
  )
  tolerated('one that is good', 'answer', () => server, { ca })
  tolerated('no common version', /^ERR_SSL_/, () => ({ ...server, minVersion: 'TLSv1.3' }), { maxVersion: 'TLSv1.2' })
  tolerated('a server without a certificate', /^ERR_SSL_/, () => ({}))
  tolerated(
    'finite fields too small',
    'answer|ERR_TLS_DH_PARAM_SIZE',
    () => ({
      ...authority.issue({ keys: keys.rsa(2048) }).identity(),
      maxVersion: 'TLSv1.2',
      dhparam: 'auto',
      ciphers: 'DHE-RSA-AES128-GCM-SHA256',
    }),
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256', minDHSize: 4096 },
  )
  for (const value of [undefined, null, 0, '', 'false']) {
    twin(
      `as ${JSON.stringify(value) ?? 'undefined'}`,
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      meeting(() => ({
        server,
        connect: { rejectUnauthorized: value },
      })),
    )
  }
  twin('for one agent of two', 'answer', async (stage) => {
    const { port } = await stage.server(server, ok('ok', 'connection: close\r\n'))
    const [trusting, strict] = [stage.agent({ rejectUnauthorized: false }), stage.agent()]
    for (const agent of [trusting, strict, trusting, strict]) await stage.get(agent, { port })
  })
})

describe('what goes with a connection', () => {
  const given = (name: string, gives: Gives, connect: object, more: Partial<Meeting> = {}) =>
    twin(
      name,
      gives,
      meeting(() => ({ server, connect: { ca, ...connect }, ...more })),
    )
  given('OCSP, of a server that has nothing to staple', 'answer', { requestOCSP: true })
  given('traces of nothing', 'answer', { enableTrace: false })
  given('a session of no valid type', /^(ERR_INVALID_ARG_TYPE|answer)$/, { session: 'session' })
  given('a session that is none', 'answer', { session: Buffer.from('session') })
  given('a small highWaterMark', 'answer', { highWaterMark: 1 })
  given('keepAlive: false', 'answer', { keepAlive: false })
  given('ALPN by another name', 'answer', { NPNProtocols: ['http/1.1'] })
  given('options that nobody knows', 'answer', { nothing: true, isServer: true })
  given('options of tls', 'answer', {}, { connect: {}, agent: { tls: { ca } } })
  given('a name that wants DNS', 'answer', {}, { request: { host: 'localhost' } })

  for (const [name, staple] of [
    ['a response', Buffer.from('response')],
    ['an empty response', Buffer.alloc(0)],
  ] as const) {
    twin(`OCSP, of a server that staples ${name}`, 'answer', async (stage) => {
      const { port, server: listening } = await stage.server(server)
      listening.on('OCSPRequest', (_certificate, _issuer, callback) => callback(null, staple))
      for (const requestOCSP of [false, true]) await stage.get(stage.agent({ ca, requestOCSP }), { port })
    })
  }
  twin('PSK, and no certificate', 'answer|ERR_.*', async (stage) => {
    const psk = Buffer.from('d731ef57be09e5204f0b205b60627028', 'hex')
    const ciphers = 'PSK-AES128-GCM-SHA256'
    const { port } = await stage.server({ pskCallback: () => psk, ciphers, maxVersion: 'TLSv1.2' })
    const options = { ciphers, maxVersion: 'TLSv1.2', checkServerIdentity: () => undefined }
    for (const found of [{ psk, identity: 'me' }, { psk: Buffer.alloc(16), identity: 'me' }, null]) {
      await stage.get(stage.agent({ ...options, pskCallback: () => found }), { port })
    }
  })
  twin(
    'many connections at once',
    'answer',
    async (stage) => {
      const { port } = await stage.server(server, ok('ok', 'connection: close\r\n'))
      const agent = stage.agent({ ca }, { connections: 8 })
      await Promise.all(Array.from({ length: 24 }, () => stage.get(agent, { port })))
    },
    { isFree: true },
  )
  twin('a large answer', 'answer', async (stage) => {
    const { port } = await stage.server(server, ok('x'.repeat(300_000)))
    await stage.get(stage.agent({ ca }), { port })
  })
  twin('an upload, and a kept connection', 'answer', async (stage) => {
    const { port } = await stage.server(server, ok('ok', 'connection: close\r\n'))
    await stage.get(stage.agent({ ca }), { port, method: 'POST', body: Buffer.alloc(200_000, 'x') })
  })
})
