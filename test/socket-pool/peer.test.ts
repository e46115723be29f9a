import { describe, expect, it } from 'vitest'
import { Peer } from '../../src/socket-pool/peer.js'
import { AF_INET, AF_INET6, AF_UNIX } from '../../src/sys/constants.js'
import { encodeInternet, encodeUnix } from '../../src/sys/sockaddr.js'

const base = { address: '127.0.0.1', port: 80 }

describe('a peer', () => {
  it.each([
    ['another address', { ...base, address: '127.0.0.2' }],
    ['another port', { ...base, port: 81 }],
    ['a local address', { ...base, localAddress: '127.0.0.1' }],
    ['another local address', { ...base, localAddress: '127.0.0.2' }],
    ['a local port', { ...base, localPort: 4000 }],
    ['a local address and port', { ...base, localAddress: '127.0.0.1', localPort: 4000 }],
    ['another family', { address: '::1', port: 80 }],
    ['another zone', { address: 'fe80::1%2', port: 80 }],
  ])('with %s shares no descriptor with another', (_what, address) => {
    const others = [base, { ...base, address: '127.0.0.3' }, { address: 'fe80::1%1', port: 80 }]
    expect(others.map((other) => Peer.internet(other).key)).not.toContain(Peer.internet(address).key)
  })

  it.each([[base], [{ ...base, localAddress: '127.0.0.2', localPort: 1 }]])('%j has one key', (address) => {
    expect(Peer.internet({ ...address }).key).toBe(Peer.internet(address).key)
  })

  it.each([
    ['IPv4', Peer.internet(base), AF_INET, encodeInternet('127.0.0.1', 80)],
    ['IPv6', Peer.internet({ address: '::1', port: 80 }), AF_INET6, encodeInternet('::1', 80)],
    ['a Unix path', Peer.unix('/tmp/a'), AF_UNIX, encodeUnix('/tmp/a')],
  ])('of %s is encoded for connect(2)', (_what, peer, domain, remote) => {
    expect(peer).toMatchObject({ domain, remote, local: null, localTarget: null })
  })

  it.each([
    ['an address', { localAddress: '127.0.0.2' }, encodeInternet('127.0.0.2', 0)],
    ['a port', { localPort: 4000 }, encodeInternet('0.0.0.0', 4000)],
    ['both', { localAddress: '127.0.0.2', localPort: 4000 }, encodeInternet('127.0.0.2', 4000)],
  ])('bound to %s is encoded for bind(2)', (_what, bound, local) => {
    expect(Peer.internet({ ...base, ...bound }).local).toEqual(local)
  })

  it('bound to a port over IPv6 is bound to the any address of IPv6', () => {
    expect(Peer.internet({ address: '::1', port: 80, localPort: 4000 }).local).toEqual(encodeInternet('::', 4000))
  })

  it.each([
    ['an internet address', Peer.internet(base), { address: '127.0.0.1', port: 80 }],
    ['a path', Peer.unix('/tmp/a'), { address: '/tmp/a' }],
  ])('is named in errors by %s', (_what, peer, target) => {
    expect(peer.target).toStrictEqual(target)
  })

  it.each([
    ['a name', { address: 'localhost', port: 80 }],
    ['a port out of range', { ...base, port: 65_536 }],
    ['a local name', { ...base, localAddress: 'localhost' }],
    ['a local port out of range', { ...base, localPort: -1 }],
  ])('is not made of %s', (_what, address) => {
    expect(() => Peer.internet(address)).toThrow(RangeError)
  })
})
