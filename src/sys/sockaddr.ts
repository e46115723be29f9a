/**
 * `struct sockaddr` in its four forms, as bytes: ip(7), ipv6(7), unix(7) and the AF_UNSPEC form of connect(2).
 */

import { isIP } from 'node:net'
import { endianness, networkInterfaces } from 'node:os'
import { AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC } from './constants.js'

/** An internet endpoint. */
export interface Endpoint {
  /** IP literal; IPv6 without brackets, and with `%zone` where it needs one. */
  address: string
  /** 0 to 65535; 0 before the kernel has chosen one. */
  port: number
  /** IPv4 or IPv6. */
  family: 4 | 6
}

const IPV4_SIZE = 16
const IPV6_SIZE = 28
const SCOPE_OFFSET = 24
const UNIX_PATH_OFFSET = 2
/** sizeof(sun_path): unix(7). */
const UNIX_PATH_SIZE = 108
/** sizeof(struct sockaddr_storage): room for any address that getsockname(2) may write. */
export const SOCKADDR_STORAGE_SIZE = 128

const LITTLE_ENDIAN = endianness() === 'LE'

/** sa_family is in host byte order; ports and addresses are in network byte order. */
function writeFamily(bytes: Buffer, family: number): void {
  if (LITTLE_ENDIAN) bytes.writeUInt16LE(family, 0)
  else bytes.writeUInt16BE(family, 0)
}

function readFamily(bytes: Buffer): number {
  return LITTLE_ENDIAN ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0)
}

/**
 * The address that dissolves an association (connect(2)): 16 zeroed bytes, for IPv6 sockets too, because Landlock
 * looks at the length of an AF_UNSPEC address.
 */
export function encodeUnspecified(): Buffer {
  const bytes = Buffer.alloc(IPV4_SIZE)
  writeFamily(bytes, AF_UNSPEC)
  return bytes
}

/**
 * @param address an IP literal
 * @throws RangeError when `address` is not an IP literal or the port is not one
 */
export function encodeInternet(address: string, port: number): Buffer {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new RangeError(`invalid port ${port}`)
  switch (isIP(address)) {
    case 4: {
      const bytes = Buffer.alloc(IPV4_SIZE)
      writeFamily(bytes, AF_INET)
      bytes.writeUInt16BE(port, 2)
      writeIPv4(bytes, 4, address)
      return bytes
    }
    case 6: {
      const bytes = Buffer.alloc(IPV6_SIZE)
      writeFamily(bytes, AF_INET6)
      bytes.writeUInt16BE(port, 2)
      const [literal = '', zone] = address.split('%')
      writeIPv6(bytes, 8, literal)
      if (zone !== undefined) writeScope(bytes, scopeId(zone))
      return bytes
    }
    default:
      throw new RangeError(`invalid IP address ${address}`)
  }
}

/**
 * @param path a file system path, or an abstract name that begins with a NUL character (unix(7))
 * @throws RangeError when the path does not fit, is empty, or is a file system path with a NUL character in it
 */
export function encodeUnix(path: string): Buffer {
  const encoded = Buffer.from(path, 'utf8')
  const isAbstract = encoded[0] === 0
  const terminator = isAbstract ? 0 : 1
  // The kernel would end a file system path at its first NUL and connect to another socket.
  const isTruncated = !isAbstract && encoded.includes(0)
  if (encoded.length === 0 || encoded.length + terminator > UNIX_PATH_SIZE || isTruncated) {
    throw new RangeError(`invalid socket path ${path}`)
  }
  const bytes = Buffer.alloc(UNIX_PATH_OFFSET + encoded.length + terminator)
  writeFamily(bytes, AF_UNIX)
  encoded.copy(bytes, UNIX_PATH_OFFSET)
  return bytes
}

/** Reads what getsockname(2) or getpeername(2) wrote; `null` for anything but an internet address. */
export function decodeInternet(bytes: Buffer): Endpoint | null {
  switch (readFamily(bytes)) {
    case AF_INET:
      return { family: 4, address: bytes.subarray(4, 8).join('.'), port: bytes.readUInt16BE(2) }
    case AF_INET6:
      return { family: 6, address: readIPv6(bytes, 8) + zoneSuffix(bytes), port: bytes.readUInt16BE(2) }
    default:
      return null
  }
}

/** sin6_scope_id is in host byte order. */
function writeScope(bytes: Buffer, scope: number): void {
  if (LITTLE_ENDIAN) bytes.writeUInt32LE(scope, SCOPE_OFFSET)
  else bytes.writeUInt32BE(scope, SCOPE_OFFSET)
}

function readScope(bytes: Buffer): number {
  return LITTLE_ENDIAN ? bytes.readUInt32LE(SCOPE_OFFSET) : bytes.readUInt32BE(SCOPE_OFFSET)
}

function writeIPv4(bytes: Buffer, offset: number, literal: string): void {
  const octets = literal.split('.')
  for (let i = 0; i < 4; i++) bytes[offset + i] = Number(octets[i])
}

/** RFC 4291 2.2, all three text forms; `literal` is known to be valid. */
function writeIPv6(bytes: Buffer, offset: number, literal: string): void {
  let text = literal
  const dotted = text.lastIndexOf('.') === -1 ? -1 : text.lastIndexOf(':')
  if (dotted !== -1) {
    writeIPv4(bytes, offset + 12, text.slice(dotted + 1))
    const low = bytes.readUInt16BE(offset + 14).toString(16)
    text = `${text.slice(0, dotted + 1)}${bytes.readUInt16BE(offset + 12).toString(16)}:${low}`
  }
  const [head = '', tail] = text.split('::')
  const leading = head === '' ? [] : head.split(':')
  const trailing = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - leading.length - trailing.length
  const groups = [...leading, ...Array<string>(zeros).fill('0'), ...trailing]
  groups.forEach((group, i) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), offset + 2 * i)
  })
}

/**
 * RFC 5952 4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`; and its section
 * 5: addresses that embed an IPv4 address (RFC 4291 2.5.5) end in dotted decimals, as inet_ntop(3) has it.
 */
function readIPv6(bytes: Buffer, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(offset + 2 * i).toString(16))
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && groups[end] === '0') end++
    if (end - i > length) {
      start = i
      length = end - i
    }
    if (end > i) i = end
  }
  if (start === -1) return groups.join(':')
  if (start === 0 && (length === 6 || (length === 5 && groups[5] === 'ffff'))) {
    return `${length === 6 ? '::' : '::ffff:'}${bytes.subarray(offset + 12, offset + 16).join('.')}`
  }
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`
}

/** RFC 4007 11: the zone is an interface's name or its index. */
function scopeId(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone)
  for (const entry of networkInterfaces()[zone] ?? []) {
    // Only the link-local addresses of an interface carry its index; the others say 0.
    if (entry.family === 'IPv6' && entry.scopeid !== 0) return entry.scopeid
  }
  return 0
}

/** The zone of a link-local address (RFC 4007 11.2), by the interface's name where it has one; else nothing. */
function zoneSuffix(bytes: Buffer): string {
  const scope = readScope(bytes)
  if (scope === 0 || (bytes.readUInt16BE(8) & 0xffc0) !== 0xfe80) return ''
  for (const [name, entries] of Object.entries(networkInterfaces())) {
    if (entries?.some((entry) => entry.family === 'IPv6' && entry.scopeid === scope)) return `%${name}`
  }
  return `%${scope}`
}
