/** DER (X.690) by hand, for certificates that no tool likes to make. */

/** Tags of the universal class, and of the context-specific one by {@link tagged}. */
const TAG = { boolean: 0x01, integer: 0x02, bits: 0x03, octets: 0x04, oid: 0x06, utf8: 0x0c, sequence: 0x30, set: 0x31 }
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18

export function encode(tag: number, ...content: Uint8Array[]): Buffer {
  const value = Buffer.concat(content)
  return Buffer.concat([Buffer.from([tag]), lengthOf(value), value])
}

function lengthOf({ length }: Uint8Array): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes = bytesOf(BigInt(length))
  return Buffer.from([0x80 | bytes.length, ...bytes])
}

/** Big-endian, without leading zeros. */
function bytesOf(value: bigint): number[] {
  const bytes: number[] = []
  for (let rest = value; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 0xffn))
  return bytes
}

export const sequence = (...content: Uint8Array[]): Buffer => encode(TAG.sequence, ...content)
export const set = (...content: Uint8Array[]): Buffer => encode(TAG.set, ...content)
export const octets = (...content: Uint8Array[]): Buffer => encode(TAG.octets, ...content)
export const utf8 = (text: string): Buffer => encode(TAG.utf8, Buffer.from(text))
export const boolean = (value: boolean): Buffer => encode(TAG.boolean, Buffer.from([value ? 0xff : 0]))
export const bits = (unused: number, ...content: Uint8Array[]): Buffer =>
  encode(TAG.bits, Buffer.from([unused]), ...content)

/** @param value not negative */
export function integer(value: bigint | number): Buffer {
  const bytes = bytesOf(BigInt(value))
  // The first bit is the sign's.
  if (bytes.length === 0 || bytes[0]! >= 0x80) bytes.unshift(0)
  return encode(TAG.integer, Buffer.from(bytes))
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap((part) => {
    const groups = [part & 0x7f]
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    return groups
  })
  return encode(TAG.oid, Buffer.from(bytes))
}

/** Context-specific; constructed when it holds other elements. */
export const tagged = (number: number, isConstructed: boolean, ...content: Uint8Array[]): Buffer =>
  encode(0x80 | (isConstructed ? 0x20 : 0) | number, ...content)

/** RFC 5280 4.1.2.5: two digits for the year up to 2049. */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/\.\d+/, '').replaceAll(/[-:T]/g, '')
  return date.getUTCFullYear() < 2050
    ? encode(UTC_TIME, Buffer.from(digits.slice(2)))
    : encode(GENERALIZED_TIME, Buffer.from(digits))
}

export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
