import { SocketAddress } from 'node:net'
import { networkInterfaces } from 'node:os'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeInternet,
  encodeInternet,
  encodeUnix,
  encodeUnspecified,
  SOCKADDR_STORAGE_SIZE,
} from '../../src/sys/sockaddr.js'

const linkLocal = Object.entries(networkInterfaces())
  .flatMap(([name, entries = []]) => entries.map((entry) => ({ name, entry })))
  .find(({ entry }) => entry.family === 'IPv6' && entry.scopeid > 0)

describe('an internet address', () => {
  it.each([
    ['127.0.0.1', 80, '02000050' + '7f000001' + '0000000000000000'],
    ['255.255.255.255', 65_535, '0200ffff' + 'ffffffff' + '0000000000000000'],
    ['::1', 443, '0a0001bb' + '00000000' + '00000000000000000000000000000001' + '00000000'],
    ['fe80::1%7', 1, '0a000001' + '00000000' + 'fe800000000000000000000000000001' + '07000000'],
  ])('%s port %i is laid out as ip(7) and ipv6(7) have it', (address, port, hex) => {
    expect(encodeInternet(address, port).toString('hex')).toBe(hex)
  })

  it.each([
    ['0.0.0.0', '0.0.0.0'],
    ['192.0.2.1', '192.0.2.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['1::', '1::'],
    ['2001:DB8::A', '2001:db8::a'],
    ['2001:0db8:0000:0000:0000:ff00:0042:8329', '2001:db8::ff00:42:8329'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['1:2:3:0:5:6:7:8', '1:2:3:0:5:6:7:8'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
    ['0:0:1:2:3:4:5:6', '::1:2:3:4:5:6'],
    ['1:2:3:4:5:6:0:0', '1:2:3:4:5:6::'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['::FFFF:102:304', '::ffff:1.2.3.4'],
    ['0:0:0:0:0:FFFF:255.0.0.1', '::ffff:255.0.0.1'],
    ['::1.2.3.4', '::1.2.3.4'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['fe80::1', 'fe80::1'],
    ['fe80::1%4294967294', 'fe80::1%4294967294'],
    ['fe80::1%no-such-interface', 'fe80::1'],
    // Only a link-local address needs its zone to be understood.
    ['2001:db8::1%7', '2001:db8::1'],
  ])('%s reads back as %s (RFC 5952)', (address, canonical) => {
    const family = address.includes(':') ? 6 : 4
    expect(decodeInternet(encodeInternet(address, 8080))).toEqual({ family, address: canonical, port: 8080 })
  })

  it.runIf(linkLocal !== undefined)('has the index of the interface that its zone names (RFC 4007 11)', () => {
    const { name, entry } = linkLocal!
    const encoded = encodeInternet(`fe80::1%${name}`, 1)
    expect(encoded).toEqual(encodeInternet(`fe80::1%${'scopeid' in entry ? entry.scopeid : ''}`, 1))
    expect(decodeInternet(encoded)?.address).toBe(`fe80::1%${name}`)
  })

  it('reads as Node prints it, whatever the bytes', () => {
    const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.nat({ max: 0xffff }))
    const groups = fc.array(group, { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(groups, fc.nat({ max: 65_535 }), (words, port) => {
        const address = words.map((word) => word.toString(16)).join(':')
        const expected = new SocketAddress({ address, port, family: 'ipv6' })
        expect(decodeInternet(encodeInternet(address, port))).toEqual({ family: 6, address: expected.address, port })
      }),
      { numRuns: 300 },
    )
  })

  it('survives the way through text and bytes, whatever the octets', () => {
    const octets = fc.array(fc.nat({ max: 255 }), { minLength: 4, maxLength: 4 })
    fc.assert(
      fc.property(octets, fc.nat({ max: 65_535 }), (bytes, port) => {
        const address = bytes.join('.')
        expect(decodeInternet(encodeInternet(address, port))).toEqual({ family: 4, address, port })
      }),
      { numRuns: 100 },
    )
  })

  it.each(['', 'localhost', '1.2.3', '1.2.3.256', '[::1]', ':::', '1:2', 'fe80::1%', '127.0.0.1 '])(
    '%j is refused: it is no IP literal',
    (address) => {
      expect(() => encodeInternet(address, 80)).toThrow(RangeError)
    },
  )

  it.each([-1, 65_536, 1.5, Number.NaN, '80' as unknown as number])('%s is refused: it is no port', (port) => {
    expect(() => encodeInternet('127.0.0.1', port)).toThrow(`invalid port ${port}`)
  })
})

describe('a Unix address', () => {
  it.each([
    ['a path ends in NUL', '/tmp/a', '0100' + '2f746d702f61' + '00'],
    ['a path is UTF-8', '/ü', '0100' + '2fc3bc' + '00'],
    ['an abstract name has the length of its bytes', '\0ab', '0100' + '006162'],
    ['an abstract name may hold NUL', '\0a\0b', '0100' + '00610062'],
  ])('%s (unix(7))', (_fact, path, hex) => {
    expect(encodeUnix(path).toString('hex')).toBe(hex)
  })

  it.each([
    ['a path of 107 bytes', `/${'a'.repeat(106)}`],
    ['an abstract name of 108 bytes', `\0${'a'.repeat(107)}`],
  ])('%s fills sun_path', (_what, path) => {
    expect(encodeUnix(path)).toHaveLength(2 + 108)
  })

  it.each([
    ['an empty path', ''],
    ['a path of 108 bytes', `/${'a'.repeat(107)}`],
    ['an abstract name of 109 bytes', `\0${'a'.repeat(108)}`],
    ['a path that the kernel would cut at NUL', '/tmp/a\0b'],
  ])('%s is refused', (_what, path) => {
    expect(() => encodeUnix(path)).toThrow(RangeError)
  })

  it('is no internet address', () => {
    expect(decodeInternet(Buffer.concat([encodeUnix('/tmp/a')], SOCKADDR_STORAGE_SIZE))).toBeNull()
  })
})

describe('the unspecified address', () => {
  it('is 16 zeroed bytes (connect(2))', () => {
    expect(encodeUnspecified()).toEqual(Buffer.alloc(16))
  })

  it('is no internet address', () => {
    expect(decodeInternet(encodeUnspecified())).toBeNull()
  })
})
