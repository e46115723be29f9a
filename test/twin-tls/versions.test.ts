/** What client and server agree on: version, cipher, curve, signature, ALPN (RFC 8446 4, RFC 7301). */
import { constants } from 'node:crypto'
import tls, { type TlsOptions } from 'node:tls'
import { describe, onTestFinished } from 'vitest'
import { Holder, keys } from '../support/x509.js'
import { meeting, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const ec = authority.issue().identity()
const rsaIdentity = authority.issue({ keys: keys.rsa(2048) }).identity()
/** What TLS below 1.2 takes. */
const OLD = 'DEFAULT:@SECLEVEL=0'

const agreed = (name: string, gives: string | RegExp, server: TlsOptions, connect: object = {}, more: object = {}) =>
  twin(
    name,
    gives,
    meeting(() => ({ server: { ...ec, ...server }, connect: { ca, ...connect }, ...more })),
  )

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

describe('versions', () => {
  for (const version of VERSIONS) {
    const only = { minVersion: version, maxVersion: version }
    const isOld = version === 'TLSv1' || version === 'TLSv1.1'
    agreed(`a server of ${version} only`, isOld ? 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' : 'answer', {
      ...only,
      ciphers: OLD,
    })
    agreed(`a client of ${version} only`, 'answer', { minVersion: 'TLSv1', ciphers: OLD }, { ...only, ciphers: OLD })
    agreed(
      `a client of ${version} only, and a server as it is by default`,
      isOld ? /^ERR_SSL_(TLSV1_ALERT_PROTOCOL_VERSION|NO_PROTOCOLS_AVAILABLE)$/ : 'answer',
      {},
      only,
    )
    agreed(`both of ${version} only`, 'answer', { ...only, ciphers: OLD }, { ...only, ciphers: OLD })
  }
  agreed(
    'a client of 1.2 at most, and a server of 1.3 at least',
    /^ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION$/,
    { minVersion: 'TLSv1.3' },
    { maxVersion: 'TLSv1.2' },
  )
  agreed(
    'a client of 1.3 at least, and a server of 1.2 at most',
    /^ERR_SSL_/,
    { maxVersion: 'TLSv1.2' },
    { minVersion: 'TLSv1.3' },
  )
  agreed('a client that has more', 'answer', { maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1', ciphers: OLD })
  agreed('by secureProtocol', 'answer', {}, { secureProtocol: 'TLSv1_2_method' })
  agreed('by a secureProtocol that is none', 'ERR_TLS_INVALID_PROTOCOL_METHOD', {}, { secureProtocol: 'nothing' })
  agreed('by a secureProtocol of no longer', 'ERR_TLS_INVALID_PROTOCOL_METHOD', {}, { secureProtocol: 'SSLv3_method' })
  agreed(
    'by secureProtocol and minVersion',
    'ERR_TLS_PROTOCOL_VERSION_CONFLICT',
    {},
    { secureProtocol: 'TLS_method', minVersion: 'TLSv1.2' },
  )
  agreed('by a minVersion that is none', 'ERR_TLS_INVALID_PROTOCOL_VERSION', {}, { minVersion: 'TLSv1.4' })
  agreed('by a maxVersion that is none', 'ERR_TLS_INVALID_PROTOCOL_VERSION', {}, { maxVersion: 'SSLv3' })
  agreed(
    'by a minVersion above maxVersion',
    'ERR_SSL_NO_PROTOCOLS_AVAILABLE',
    {},
    { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' },
  )
  agreed('by secureOptions', 'answer', {}, { secureOptions: constants.SSL_OP_NO_TLSv1_3 })
  agreed(
    'by secureOptions of both, none of which is common',
    'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    { secureOptions: constants.SSL_OP_NO_TLSv1_2 },
    { secureOptions: constants.SSL_OP_NO_TLSv1_3 },
  )
  agreed(
    'by secureOptions that leave nothing',
    'ERR_SSL_NO_PROTOCOLS_AVAILABLE',
    {},
    { secureOptions: constants.SSL_OP_NO_TLSv1_3 | constants.SSL_OP_NO_TLSv1_2 },
  )
  agreed('by secureOptions of no valid type', 'ERR_INVALID_ARG_TYPE', {}, { secureOptions: 'none' })

  for (const [key, value] of [
    ['DEFAULT_MAX_VERSION', 'TLSv1.2'],
    ['DEFAULT_MIN_VERSION', 'TLSv1.3'],
  ] as const) {
    twin(`tls.${key} set to ${value}`, 'answer', async (stage) => {
      const { port } = await stage.server({ ...ec, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' })
      const assignable = tls as unknown as Record<string, string>
      const before = assignable[key]!
      const restore = (): void => {
        assignable[key] = before
      }
      onTestFinished(restore)
      assignable[key] = value
      await stage.get(stage.agent({ ca }), { port })
      restore()
    })
  }
  twin('tls.DEFAULT_MAX_VERSION below what the server takes', /^ERR_SSL_/, async (stage) => {
    const { port } = await stage.server({ ...ec, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' })
    const assignable = tls as unknown as { DEFAULT_MAX_VERSION: string }
    const before = tls.DEFAULT_MAX_VERSION
    const restore = (): void => {
      assignable.DEFAULT_MAX_VERSION = before
    }
    onTestFinished(restore)
    assignable.DEFAULT_MAX_VERSION = 'TLSv1.2'
    await stage.get(stage.agent({ ca }), { port })
    restore()
  })
})

describe('ciphers', () => {
  const only12 = { maxVersion: 'TLSv1.2' } as const
  const only13 = { minVersion: 'TLSv1.3' } as const
  const ONE = 'ECDHE-ECDSA-AES128-GCM-SHA256'
  const OTHER = 'ECDHE-ECDSA-AES256-GCM-SHA384'
  agreed('one that both have', 'answer', { ...only12, ciphers: ONE }, { ciphers: ONE })
  agreed('none that both have (TLS 1.2)', /^ERR_SSL_/, { ...only12, ciphers: ONE }, { ciphers: OTHER })
  agreed(
    'none that both have (TLS 1.3)',
    /^ERR_SSL_/,
    { ...only13, ciphers: 'TLS_AES_128_GCM_SHA256' },
    { ciphers: 'TLS_AES_256_GCM_SHA384', ...only13 },
  )
  agreed('one of TLS 1.3', 'answer', only13, { ciphers: 'TLS_CHACHA20_POLY1305_SHA256' })
  agreed('one of TLS 1.3, and one of 1.2', 'answer', only12, { ciphers: `TLS_AES_128_GCM_SHA256:${ONE}` })
  agreed('only those of TLS 1.3, with a server of 1.2', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', only12, {
    ciphers: 'TLS_AES_128_GCM_SHA256',
  })
  agreed('by their RFC names', 'ERR_SSL_NO_CIPHERS_AVAILABLE', only12, {
    ciphers: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  })
  agreed('a list that says nothing', /^ERR_/, {}, { ciphers: 'nothing' })
  agreed('an empty list', 'answer', {}, { ciphers: '' })
  agreed('no string', 'ERR_INVALID_ARG_TYPE', {}, { ciphers: 7 })
  agreed('a list with one that nobody knows', 'answer', only12, { ciphers: `nothing:${ONE}` })
  agreed('one of TLS 1.3 that nobody knows', 'ERR_SSL_NO_CIPHER_MATCH', {}, { ciphers: 'TLS_NOTHING' })
  agreed('for another kind of key', /^ERR_SSL_/, { ...only12 }, { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' })
  agreed(
    'with key exchange by RSA',
    'answer',
    { ...rsaIdentity, ...only12, ciphers: 'AES128-GCM-SHA256' },
    { ciphers: 'AES128-GCM-SHA256' },
  )
  agreed(
    'without authentication',
    'UNABLE_TO_GET_ISSUER_CERT',
    { ...only12, ciphers: 'aNULL:@SECLEVEL=0' },
    { ciphers: 'aNULL:@SECLEVEL=0' },
  )
  agreed(
    "in the server's order",
    'answer',
    { ...only12, ciphers: `${OTHER}:${ONE}`, honorCipherOrder: true },
    { ciphers: `${ONE}:${OTHER}` },
  )
  agreed(
    "in the client's order",
    'answer',
    { ...only12, ciphers: `${OTHER}:${ONE}`, honorCipherOrder: false },
    { ciphers: `${ONE}:${OTHER}` },
  )
  agreed('with honorCipherOrder for the client', 'answer', only12, {
    ciphers: `${ONE}:${OTHER}`,
    honorCipherOrder: true,
  })
  agreed('with a security level', 'answer', {}, { ciphers: 'DEFAULT:@SECLEVEL=2' })
  agreed(
    'with a security level that the server does not reach',
    'EE certificate key too weak',
    { ...authority.issue({ keys: keys.rsa(1024) }).identity(), ciphers: OLD },
    { ciphers: 'DEFAULT:@SECLEVEL=2' },
  )
  agreed(
    'of finite fields',
    'answer',
    { ...rsaIdentity, ...only12, dhparam: 'auto', ciphers: 'DHE-RSA-AES128-GCM-SHA256' },
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256' },
  )
  agreed(
    'of finite fields too small',
    'ERR_TLS_DH_PARAM_SIZE|ERR_SSL_DH_KEY_TOO_SMALL|ECONNRESET',
    { ...rsaIdentity, ...only12, dhparam: 'auto', ciphers: 'DHE-RSA-AES128-GCM-SHA256' },
    { ciphers: 'DHE-RSA-AES128-GCM-SHA256', minDHSize: 4096 },
  )
  agreed(
    'of finite fields, with minDHSize that is none',
    /^(ERR_INTERNAL_ASSERTION|ERR_OUT_OF_RANGE)$/,
    {},
    { minDHSize: -1 },
  )
  twin('of the default list, which was changed', 'answer', async (stage) => {
    const { port } = await stage.server({ ...ec, ...only12 })
    const assignable = tls as unknown as { DEFAULT_CIPHERS: string }
    const before = tls.DEFAULT_CIPHERS
    const restore = (): void => {
      assignable.DEFAULT_CIPHERS = before
    }
    onTestFinished(restore)
    assignable.DEFAULT_CIPHERS = ONE
    await stage.get(stage.agent({ ca }), { port })
    restore()
  })
})

describe('curves and signatures', () => {
  agreed('a common curve', 'answer', { ecdhCurve: 'P-384' }, { ecdhCurve: 'P-384' })
  agreed('a curve that takes a second hello', 'answer', { ecdhCurve: 'P-521' }, { ecdhCurve: 'P-256:P-521' })
  agreed('no common curve (TLS 1.3)', /^ERR_SSL_/, { ecdhCurve: 'P-384' }, { ecdhCurve: 'P-256' })
  agreed(
    'no common curve (TLS 1.2)',
    /^ERR_SSL_/,
    { ecdhCurve: 'P-384', maxVersion: 'TLSv1.2' },
    { ecdhCurve: 'P-256' },
  )
  agreed('X25519', 'answer', { ecdhCurve: 'X25519' }, { ecdhCurve: 'X25519' })
  agreed('automatic curves', 'answer', {}, { ecdhCurve: 'auto' })
  agreed('a curve that nobody knows', 'ERR_CRYPTO_OPERATION_FAILED|ERR_.*', {}, { ecdhCurve: 'nothing' })
  agreed('a curve that is no string', 'ERR_INVALID_ARG_TYPE', {}, { ecdhCurve: 7 })
  agreed('common signatures', 'answer', {}, { sigalgs: 'ECDSA+SHA256' })
  agreed('no common signature (TLS 1.3)', /^ERR_SSL_/, {}, { sigalgs: 'RSA-PSS+SHA256' })
  agreed('no common signature (TLS 1.2)', /^ERR_SSL_/, { maxVersion: 'TLSv1.2' }, { sigalgs: 'RSA+SHA256' })
  agreed(
    'a signature that the authority has not used',
    /^ERR_SSL_.*HANDSHAKE_FAILURE$/,
    {},
    { sigalgs: 'ECDSA+SHA384' },
  )
  agreed('a signature that nobody knows', /^error:00000000:lib\(0\)::reason\(0\)$/, {}, { sigalgs: 'nothing' })
  agreed('an empty list of signatures', 'ERR_INVALID_ARG_VALUE', {}, { sigalgs: '' })
  agreed(
    'signatures by their names of TLS 1.3',
    'answer',
    {},
    { sigalgs: 'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256' },
  )
  agreed(
    'two certificates, of which the client takes one',
    'answer',
    { key: [ec.key, rsaIdentity.key], cert: [ec.cert, rsaIdentity.cert] },
    { sigalgs: 'RSA-PSS+SHA256' },
  )
})

describe('ALPN', () => {
  agreed('a server that knows HTTP/1.1', 'answer', { ALPNProtocols: ['http/1.1'] })
  agreed('a server that prefers HTTP/2', 'answer', { ALPNProtocols: ['h2', 'http/1.1'] })
  agreed('a server without it', 'answer', {})
  agreed('a server of HTTP/2 only', /^(ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL|ECONNRESET)$/, {
    ALPNProtocols: ['h2'],
  })
  agreed('a server of HTTP/2 only (TLS 1.2)', /^(ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL|ECONNRESET)$/, {
    ALPNProtocols: ['h2'],
    maxVersion: 'TLSv1.2',
  })
  agreed('a server that chooses', 'answer', {
    ALPNCallback: ({ protocols }: { protocols: string[] }) => protocols[0],
  } as object)
  agreed('a server that chooses none', 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', {
    ALPNCallback: () => undefined,
  } as object)
  agreed(
    "ALPNProtocols of the caller's",
    'answer',
    { ALPNProtocols: ['mine', 'http/1.1'] },
    { ALPNProtocols: ['mine'] },
  )
  agreed('allowH2: false', 'answer', { ALPNProtocols: ['h2', 'http/1.1'] }, {}, { agent: { allowH2: false } })
})
