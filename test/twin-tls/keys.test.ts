/** With which keys and digests certificates are made, and what is too weak (SSL_CTX_set_security_level(3)). */
import { describe } from 'vitest'
import { Holder, keys } from '../support/x509.js'
import { type Meeting, meeting, twin } from './twin.js'

const authority = Holder.authority()

/** A server with that certificate, and a client that trusts the authority. */
const trusting = (server: () => Meeting['server'], connect: Meeting['connect'] = {}) =>
  meeting(() => ({ server: server(), connect: { ca: authority.cert, ...connect } }))

describe('keys and signatures', () => {
  const holding = (name: string, gives: string | RegExp, server: () => Meeting['server'], connect = {}) =>
    twin(name, gives, trusting(server, connect))
  holding('P-256', 'answer', () => authority.issue({ keys: keys.ec('P-256') }).identity())
  holding('P-384', 'answer', () => authority.issue({ keys: keys.ec('P-384') }).identity())
  holding('P-521', 'answer', () => authority.issue({ keys: keys.ec('P-521') }).identity())
  holding('secp256k1', /^ERR_SSL_.*HANDSHAKE_FAILURE$/, () =>
    authority.issue({ keys: keys.ec('secp256k1') }).identity(),
  )
  holding('Ed25519', 'answer', () => authority.issue({ keys: keys.ed25519() }).identity())
  holding('Ed448', 'answer', () => authority.issue({ keys: keys.ed448() }).identity())
  holding('RSA of 2048 bits', 'answer', () => authority.issue({ keys: keys.rsa(2048) }).identity())
  // The security level of the server's own context forbids less.
  const weak = { ciphers: 'DEFAULT:@SECLEVEL=0' }
  holding('RSA of 1024 bits', /^(answer|EE certificate key too weak)$/, () => ({
    ...authority.issue({ keys: keys.rsa(1024) }).identity(),
    ...weak,
  }))
  holding(
    'RSA of 1024 bits, which is allowed',
    'answer',
    () => ({ ...authority.issue({ keys: keys.rsa(1024) }).identity(), ...weak }),
    weak,
  )
  holding('RSA of 512 bits', /^ERR_SSL_.*HANDSHAKE_FAILURE$/, () => ({
    ...authority.issue({ keys: keys.rsa(512) }).identity(),
    ...weak,
  }))
  holding(
    'RSA of 512 bits, which is allowed',
    /^ERR_SSL_.*HANDSHAKE_FAILURE$/,
    () => ({ ...authority.issue({ keys: keys.rsa(512) }).identity(), ...weak }),
    weak,
  )
  holding('RSA-PSS', 'answer', () => authority.issue({ keys: keys.rsaPss() }).identity())
  holding('SHA-384', 'answer', () => authority.issue({ digest: 'sha384' }).identity())
  holding('SHA-1', 'CA signature digest algorithm too weak', () => ({
    ...authority.issue({ digest: 'sha1' }).identity(),
    ...weak,
  }))
  holding(
    'SHA-1, which is allowed',
    'answer',
    () => ({ ...authority.issue({ digest: 'sha1' }).identity(), ...weak }),
    weak,
  )

  const signedBy = (root: () => Holder, connect = {}, digest: 'sha256' | 'md5' | 'sha1' = 'sha256') =>
    meeting(() => {
      const issuer = root()
      return { server: { ...issuer.issue({ digest }).identity(), ...weak }, connect: { ca: issuer.cert, ...connect } }
    })
  const rsaRoot = (): Holder => Holder.authority('RSA', { keys: keys.rsa(2048) })
  twin('signed with RSA', 'answer', signedBy(rsaRoot))
  twin('signed with RSA and SHA-1', 'CA signature digest algorithm too weak', signedBy(rsaRoot, {}, 'sha1'))
  twin('signed with RSA and MD5', 'CA signature digest algorithm too weak', signedBy(rsaRoot, {}, 'md5'))
  twin('signed with RSA and MD5, which is allowed', 'answer', signedBy(rsaRoot, weak, 'md5'))
  twin(
    'signed with RSA-PSS',
    'answer',
    signedBy(() => Holder.authority('PSS', { keys: keys.rsaPss() })),
  )
  twin(
    'signed with Ed25519',
    'answer',
    signedBy(() => Holder.authority('Ed25519', { keys: keys.ed25519() })),
  )
  twin(
    'signed with a weak key',
    /^(answer|CA certificate key too weak)$/,
    signedBy(() => Holder.authority('Weak', { keys: keys.rsa(1024) })),
  )
  twin(
    'a root that signed itself with SHA-1',
    'answer',
    signedBy(() => Holder.authority('Old', { digest: 'sha1' })),
  )
})
