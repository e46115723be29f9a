import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { createSecureContext } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { foreign } from '../../src/sys/native.js'
import { type OpenSslFacts, openssl, whyUnknown } from '../../src/sys/openssl.js'
import { takeTlsError } from '../../src/tls/tls-error.js'

const NO_CONTEXT = 0

describe('the OpenSSL of this process', () => {
  it('is one table per thread, of the version that Node was built with', () => {
    const table = openssl()
    expect(openssl()).toBe(table)
    expect(table.version(0)).toContain(process.versions.openssl.split('+')[0])
  })

  it('has a function that always says 1', () => {
    const { koffi } = foreign()
    const call = koffi.decode(BigInt(openssl().alwaysOne), koffi.proto('int ()'))
    for (let i = 0; i < 3; i++) expect(call()).toBe(1)
  })

  it('tells errors as Node does, and only once', () => {
    // Which loads the texts.
    createSecureContext()
    const table = openssl()
    expect(table.create(NO_CONTEXT)).toBe(0)
    expect(table.peekError()).not.toBe(0)
    const error = takeTlsError()
    expect(error).toMatchObject({ library: 'SSL routines', reason: 'null ssl ctx', code: 'ERR_SSL_NULL_SSL_CTX' })
    expect(error.message).toMatch(/^[0-9A-F]+:error:0A0000C3:SSL routines:SSL_new:null ssl ctx:.*:\d+:\n$/i)
    expect(table.peekError()).toBe(0)
  })

  it('has nothing to tell where nothing has failed', () => {
    expect(takeTlsError()).toMatchObject({ message: '' })
    expect(takeTlsError()).not.toHaveProperty('code')
  })

  it('writes where SIGPIPE is ignored, as Node has it for its own sockets', () => {
    const [, ignored = '0'] = /^SigIgn:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
    expect((BigInt(`0x${ignored}`) >> BigInt(constants.signals.SIGPIPE - 1)) & 1n).toBe(1n)
  })
})

describe('an OpenSSL is known', () => {
  const known: OpenSslFacts = {
    versions: { node: '24.1.0', openssl: '3.5.0' },
    features: { openssl_is_boringssl: false },
    variables: { node_shared_openssl: false },
  }

  it.each(['20.18.1', '22.0.0', '24.99.0', '26.1.2'])('in Node.js %s', (node) => {
    expect(whyUnknown({ ...known, versions: { ...known.versions, node } })).toBeNull()
  })

  it('in a Node.js that says nothing of BoringSSL', () => {
    expect(whyUnknown({ ...known, features: {} })).toBeNull()
  })

  it.each<[string, Partial<OpenSslFacts>]>([
    ['Node.js 21 is not known', { versions: { ...known.versions, node: '21.7.0' } }],
    ['Node.js 28 is not known', { versions: { ...known.versions, node: '28.0.0' } }],
    ['this is not Node.js alone', { versions: { ...known.versions, electron: '40.0.0' } }],
    ['this is not Node.js alone', { versions: { ...known.versions, bun: '1.3.0' } }],
    ['this Node.js has BoringSSL', { features: { openssl_is_boringssl: true } }],
    ['the OpenSSL of this Node.js is not its own', { variables: { node_shared_openssl: true } }],
    ['the OpenSSL of this Node.js is not its own', { variables: {} }],
    ['OpenSSL 1.1.1 is not known', { versions: { node: '20.0.0', openssl: '1.1.1' } }],
    ['OpenSSL 4.0.0 is not known', { versions: { node: '26.0.0', openssl: '4.0.0' } }],
  ])('but: %s', (reason, facts) => {
    expect(whyUnknown({ ...known, ...facts })).toBe(reason)
  })
})
