/** Whom a client trusts: validity, issuers, constraints, chains and revocation (RFC 5280 6). */
import { describe } from 'vitest'
import { extensions, generalName, Holder, keys } from '../support/x509.js'
import { type Meeting, meeting, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const stranger = Holder.authority('Stranger')
const intermediate = authority.issueAuthority('Intermediate')
const leaf = authority.issue()
/** In which words goes with the version of OpenSSL. */
const NO_AUTHORITY = /^(INVALID_CA|INVALID_PURPOSE|key usage does not include certificate signing)$/
const behind = intermediate.issue()

/** A server with that certificate, and a client that trusts the authority. */
const trusting = (server: () => Meeting['server'], connect: Meeting['connect'] = {}) =>
  meeting(() => ({ server: server(), connect: { ca, ...connect } }))

describe('validity', () => {
  twin(
    'a certificate that is good',
    'answer',
    trusting(() => leaf.identity()),
  )
  twin(
    'a certificate that has expired',
    'CERT_HAS_EXPIRED',
    trusting(() => authority.issue({ until: -0.5 }).identity()),
  )
  twin(
    'a certificate that is not valid yet',
    'CERT_NOT_YET_VALID',
    trusting(() => authority.issue({ from: 1 }).identity()),
  )
  twin(
    'a certificate valid beyond 2049',
    'answer',
    trusting(() => authority.issue({ until: 20_000 }).identity()),
  )
  twin(
    'a certificate that ends before it begins',
    'CERT_NOT_YET_VALID',
    trusting(() => authority.issue({ from: 2, until: 1 }).identity()),
  )
  twin(
    'a certificate that has expired, for another name',
    'CERT_HAS_EXPIRED',
    trusting(() => authority.issue({ until: -0.5, names: [generalName.dns('other.test')] }).identity()),
  )
  twin(
    'an authority that has expired',
    'CERT_HAS_EXPIRED',
    meeting(() => {
      const old = Holder.authority('Old', { until: -0.5 })
      return { server: old.issue().identity(), connect: { ca: old.cert } }
    }),
  )
  twin(
    'an intermediate that has expired',
    'CERT_HAS_EXPIRED',
    trusting(() => {
      const old = authority.issueAuthority('Old', { until: -0.5 })
      return old.issue().identity(old)
    }),
  )
  twin(
    'an unknown critical extension',
    'unhandled critical extension',
    trusting(() => authority.issue({ more: [extensions.unknown(true)] }).identity()),
  )
  twin(
    'an unknown extension that is not critical',
    'answer',
    trusting(() => authority.issue({ more: [extensions.unknown(false)] }).identity()),
  )
  twin(
    'a certificate that asks for a stapled response, and gets none',
    'answer',
    trusting(() => authority.issue({ more: [extensions.mustStaple()] }).identity()),
  )
})

describe('issuers', () => {
  twin(
    'a certificate that signed itself',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    trusting(() => Holder.alone().identity()),
  )
  twin(
    'a certificate that signed itself, trusted',
    'answer',
    meeting(() => {
      const alone = Holder.alone()
      return { server: alone.identity(), connect: { ca: alone.cert } }
    }),
  )
  twin(
    'an unknown authority',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    trusting(() => stranger.issue().identity()),
  )
  twin(
    'an unknown authority that is sent along',
    'SELF_SIGNED_CERT_IN_CHAIN',
    trusting(() => stranger.issue().identity(stranger)),
  )
  twin(
    'no authority given',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    meeting(() => ({ server: leaf.identity() })),
  )
  twin(
    'an authority of the same name with another key',
    'CERT_SIGNATURE_FAILURE',
    trusting(() => Holder.authority().issue().identity()),
  )
  twin(
    'an issuer that is no authority',
    NO_AUTHORITY,
    trusting(() => {
      const client = authority.issue({ subject: 'No authority', extensions: [extensions.basicConstraints(false)] })
      return client.issue().identity(client)
    }),
  )
  twin(
    'an issuer without basic constraints',
    NO_AUTHORITY,
    trusting(() => {
      const plain = authority.issue({ subject: 'Plain', extensions: [] })
      return plain.issue().identity(plain)
    }),
  )
  twin(
    'a trusted root that is no authority',
    NO_AUTHORITY,
    meeting(() => {
      const root = Holder.authority('Leaf as root', { extensions: [extensions.basicConstraints(false)] })
      return { server: root.issue().identity(), connect: { ca: root.cert } }
    }),
  )
  twin(
    'an issuer that may not sign certificates',
    NO_AUTHORITY,
    trusting(() => {
      const signer = authority.issue({
        subject: 'Signs lists',
        extensions: [extensions.basicConstraints(true), extensions.keyUsage('cRLSign')],
      })
      return signer.issue().identity(signer)
    }),
  )
  twin(
    'a path that is too long',
    'PATH_LENGTH_EXCEEDED',
    meeting(() => {
      const short = Holder.authority('Short', { extensions: [extensions.basicConstraints(true, 0)] })
      const middle = short.issueAuthority('Middle')
      return { server: middle.issue().identity(middle), connect: { ca: short.cert } }
    }),
  )
  twin(
    'a path that is just short enough',
    'answer',
    meeting(() => {
      const short = Holder.authority('Short', { extensions: [extensions.basicConstraints(true, 1)] })
      const middle = short.issueAuthority('Middle')
      return { server: middle.issue().identity(middle), connect: { ca: short.cert } }
    }),
  )
  twin(
    'a certificate for clients only',
    'INVALID_PURPOSE',
    trusting(() => authority.issue({ more: [extensions.extendedKeyUsage('clientAuth')] }).identity()),
  )
  twin(
    'a certificate for code only',
    'INVALID_PURPOSE',
    trusting(() => authority.issue({ more: [extensions.extendedKeyUsage('codeSigning')] }).identity()),
  )
  twin(
    'a certificate for servers and clients',
    'answer',
    trusting(() => authority.issue({ more: [extensions.extendedKeyUsage('serverAuth', 'clientAuth')] }).identity()),
  )
  twin(
    'a certificate whose key may only sign certificates',
    'INVALID_PURPOSE',
    trusting(() => authority.issue({ more: [extensions.keyUsage('keyCertSign')] }).identity()),
  )
  twin(
    'an authority for clients only',
    'INVALID_PURPOSE',
    trusting(() => {
      const clients = authority.issueAuthority('Clients', { more: [extensions.extendedKeyUsage('clientAuth')] })
      return clients.issue().identity(clients)
    }),
  )
})

describe('name constraints', () => {
  const constrained = (constraints: Parameters<typeof extensions.nameConstraints>[0], names?: Buffer[]) =>
    meeting(() => {
      const root = Holder.authority('Constrained', { more: [extensions.nameConstraints(constraints)] })
      const server = names === undefined ? root.issue() : root.issue({ names })
      return { server: server.identity(), connect: { ca: root.cert } }
    })
  const loopback = generalName.ip(127, 0, 0, 0, 255, 0, 0, 0)
  const elsewhere = generalName.ip(10, 0, 0, 0, 255, 0, 0, 0)
  const address = generalName.ip(127, 0, 0, 1)
  twin('permitted address', 'answer', constrained({ permitted: [loopback] }))
  twin('address that is not permitted', 'permitted subtree violation', constrained({ permitted: [elsewhere] }))
  twin('excluded address', 'excluded subtree violation', constrained({ excluded: [loopback] }))
  twin('permitted name', 'answer', constrained({ permitted: [generalName.dns('localhost')] }))
  twin(
    'name that is not permitted',
    'permitted subtree violation',
    constrained({ permitted: [generalName.dns('a.test')] }, [address, generalName.dns('b.test')]),
  )
  twin(
    'name below a permitted one',
    'answer',
    constrained({ permitted: [generalName.dns('a.test')] }, [address, generalName.dns('www.a.test')]),
  )
  twin(
    'name below an excluded one',
    'excluded subtree violation',
    constrained({ excluded: [generalName.dns('a.test')] }, [address, generalName.dns('www.a.test')]),
  )
  twin(
    'common name that is not permitted',
    'permitted subtree violation',
    meeting(() => {
      const root = Holder.authority('Constrained', {
        more: [extensions.nameConstraints({ permitted: [generalName.dns('a.test')] })],
      })
      return { server: root.issue({ subject: 'b.test', names: [] }).identity(), connect: { ca: root.cert } }
    }),
  )
  twin('permitted directory', 'answer', constrained({ permitted: [generalName.directory('localhost')] }))
  twin(
    'directory that is not permitted',
    'permitted subtree violation',
    constrained({ permitted: [generalName.directory('other')] }),
  )
})

describe('chains', () => {
  twin(
    'an intermediate that is missing',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    trusting(() => behind.identity()),
  )
  twin(
    'an intermediate that is sent',
    'answer',
    trusting(() => behind.identity(intermediate)),
  )
  twin(
    'a chain with its root',
    'answer',
    trusting(() => behind.identity(intermediate, authority)),
  )
  twin(
    'a chain in the wrong order',
    'answer',
    trusting(() => behind.identity(authority, intermediate)),
  )
  twin(
    'a chain with a stranger in it',
    'answer',
    trusting(() => behind.identity(stranger, intermediate)),
  )
  twin(
    'a chain of five',
    'answer',
    trusting(() => {
      const chain = [authority]
      for (let i = 0; i < 4; i++) chain.unshift(chain[0]!.issueAuthority(`Authority ${i}`))
      return chain[0]!.issue().identity(...chain.slice(0, -1))
    }),
  )
  twin(
    'an intermediate that only the client has',
    'answer',
    meeting(() => ({
      server: behind.identity(),
      connect: { ca: [ca, intermediate.cert] },
    })),
  )
  twin(
    'a partial chain',
    'UNABLE_TO_GET_ISSUER_CERT',
    meeting(() => ({
      server: behind.identity(),
      connect: { ca: intermediate.cert },
    })),
  )
  twin(
    'a partial chain that is allowed',
    /^(answer|UNABLE_TO_GET_ISSUER_CERT)$/,
    meeting(() => ({
      server: behind.identity(),
      connect: { ca: intermediate.cert, allowPartialTrustChain: true },
    })),
  )
  twin(
    'a leaf that is trusted, and no issuer',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    meeting(() => ({
      server: leaf.identity(),
      connect: { ca: leaf.cert },
    })),
  )
  twin(
    'a leaf that is trusted, which is allowed',
    /^(answer|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/,
    meeting(() => ({
      server: leaf.identity(),
      connect: { ca: leaf.cert, allowPartialTrustChain: true },
    })),
  )
  const crossed = (anchor: Holder) =>
    meeting(() => {
      const other = Holder.authority('Other')
      const middleKeys = keys.ec()
      const one = authority.issueAuthority('Crossed', { keys: middleKeys })
      const two = other.issueAuthority('Crossed', { keys: middleKeys })
      return { server: one.issue().identity(one, two), connect: { ca: anchor === authority ? ca : other.cert } }
    })
  twin('a cross-signed intermediate, by its first root', 'answer', crossed(authority))
  // Without identifiers of keys in them, OpenSSL takes the first one that fits by its name.
  twin(
    'a cross-signed intermediate, by its second root',
    /^(answer|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)$/,
    crossed(stranger),
  )
  twin(
    'a cross-signed intermediate, of which one has expired',
    'answer',
    trusting(() => {
      const middleKeys = keys.ec()
      const old = authority.issueAuthority('Crossed', { keys: middleKeys, until: -0.5 })
      const fresh = authority.issueAuthority('Crossed', { keys: middleKeys })
      return fresh.issue().identity(old, fresh)
    }),
  )
  twin(
    'a chain that runs in a circle',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    trusting(() => {
      const [a, b] = [keys.ec(), keys.ec()]
      const first = Holder.authority('B', { keys: b }).issueAuthority('A', { keys: a })
      const second = Holder.authority('A', { keys: a }).issueAuthority('B', { keys: b })
      return first.issue().identity(first, second)
    }),
  )
})

describe('revocation', () => {
  const revoked = authority.issue()
  const listed = (crl: string | string[], server = revoked.identity()) => trusting(() => server, { crl } as object)
  twin('a list without the certificate', 'answer', listed(authority.revoking([])))
  twin('a list with the certificate', 'CERT_REVOKED', listed(authority.revoking([revoked])))
  twin('a list with another certificate', 'answer', listed(authority.revoking([leaf])))
  twin('a list that has expired', 'CRL_HAS_EXPIRED', listed(authority.revoking([], { until: -0.5 })))
  twin(
    'a list that has expired, with the certificate',
    /^(CERT_REVOKED|CRL_HAS_EXPIRED)$/,
    listed(authority.revoking([revoked], { until: -0.5 })),
  )
  twin('a list that is not valid yet', 'CRL_NOT_YET_VALID', listed(authority.revoking([], { from: 1 })))
  twin('a list of another issuer', 'UNABLE_TO_GET_CRL', listed(stranger.revoking([revoked])))
  twin(
    'a list with the name of the issuer, signed by another',
    'CRL_SIGNATURE_FAILURE',
    listed(Holder.authority().revoking([])),
  )
  twin('lists in an array', 'CERT_REVOKED', listed([stranger.revoking([]), authority.revoking([revoked])]))
  twin(
    'a list of the root alone, for a chain',
    'UNABLE_TO_GET_CRL',
    listed(authority.revoking([]), behind.identity(intermediate)),
  )
  twin(
    'a list that revokes an intermediate',
    'CERT_REVOKED',
    listed([authority.revoking([intermediate]), intermediate.revoking([])], behind.identity(intermediate)),
  )
  twin('something that is no list', /^ERR_CRYPTO_OPERATION_FAILED|ERR_OSSL|ERR_/, listed('no list'))
})

describe('several faults at once', () => {
  twin(
    'expired, by an unknown authority',
    'CERT_HAS_EXPIRED',
    trusting(() => stranger.issue({ until: -0.5 }).identity()),
  )
  twin(
    'expired, self-signed, for another name',
    'CERT_HAS_EXPIRED',
    trusting(() => Holder.alone({ until: -0.5, names: [generalName.dns('other.test')] }).identity()),
  )
  twin(
    'for clients only, expired',
    'CERT_HAS_EXPIRED',
    trusting(() => authority.issue({ until: -0.5, more: [extensions.extendedKeyUsage('clientAuth')] }).identity()),
  )
  twin(
    'a chain of which two have expired',
    'CERT_HAS_EXPIRED',
    trusting(() => {
      const old = authority.issueAuthority('Old', { until: -0.5 })
      return old.issue({ until: -0.4 }).identity(old)
    }),
  )
  twin(
    'an intermediate that is no authority, and a leaf that has expired',
    'CERT_HAS_EXPIRED',
    trusting(() => {
      const client = authority.issue({ subject: 'No authority', extensions: [extensions.basicConstraints(false)] })
      return client.issue({ until: -0.5 }).identity(client)
    }),
  )
  twin(
    'constraints violated, and expired',
    'excluded subtree violation',
    meeting(() => {
      const root = Holder.authority('Constrained', {
        more: [extensions.nameConstraints({ excluded: [generalName.ip(127, 0, 0, 0, 255, 0, 0, 0)] })],
      })
      return { server: root.issue({ until: -0.5 }).identity(), connect: { ca: root.cert } }
    }),
  )
})

describe('authorities', () => {
  const served = (authorities: unknown) => meeting(() => ({ server: leaf.identity(), connect: { ca: authorities } }))
  twin('as a string', 'answer', served(ca))
  twin('as a Buffer', 'answer', served(Buffer.from(ca)))
  twin('as a Uint8Array', 'answer', served(new Uint8Array(Buffer.from(ca))))
  twin('in an array of strings and Buffers', 'answer', served([stranger.cert, Buffer.from(ca)]))
  twin('concatenated in one string', 'answer', served(stranger.cert + ca))
  twin('with text around', 'answer', served(`the authority:\n${ca}\nthat was it\n`))
  twin('in an empty array', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', served([]))
  twin('as an empty string', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', served(''))
  twin('null', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', served(null))
  twin('that are none', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', served('no certificate'))
  twin('in DER', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', served(authority.der))
  twin('of no valid type', 'ERR_INVALID_ARG_TYPE', served(7))
  twin('in an array with something else', 'ERR_INVALID_ARG_TYPE', served([ca, 7]))
  twin('with the same one twice', 'answer', served([ca, ca]))
})
