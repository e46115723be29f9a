/** Which protocol the two sides have agreed upon (RFC 7301). */
import { openssl, type Pointer } from '../sys/openssl.js'

const HTTP = 'http/1.1'

/** In the format of RFC 7301 3.1: the one protocol that is offered. */
export const OFFER = Buffer.from(`\x08${HTTP}`, 'latin1')

const data = new BigUint64Array(1)
const length = new Uint32Array(1)
/** A name has at most as many bytes. */
const name = Buffer.allocUnsafeSlow(255)

/** @returns the protocol that the server has chosen, or `null` where it has said nothing */
export function alpnOf(ssl: Pointer): string | null {
  const library = openssl()
  library.selectedAlpn(ssl, data, length)
  const size = Math.min(length[0]!, name.length)
  if (data[0] === 0n || size === 0) return null
  library.copy(name, Number(data[0]), size)
  return name.toString('latin1', 0, size)
}

/** The server has not chosen what was never offered. */
export const isAlpnFine = (ssl: Pointer): boolean => {
  const chosen = alpnOf(ssl)
  return chosen === null || chosen === HTTP
}
