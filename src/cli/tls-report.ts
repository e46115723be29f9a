/** Who does the cryptography of connections over TLS that an agent makes here. */

import { NativeTls } from '../tls/native-tls.js'

/** What a user can know of it before any connection is made. */
export interface TlsReport {
  /** The OpenSSL inside Node.js, on the recycled descriptor itself; else a `TLSSocket` of `node:tls` above it. */
  isNative: boolean
  /** Why it is not native; `null` where it is. */
  why: string | null
}

/** For an agent with the default options. */
export function tlsReport(): TlsReport {
  const why = new NativeTls({}, undefined).whyNot
  return { isNative: why === null, why }
}

/** In words, for both of the command's reports. */
export const tlsMaker = ({ isNative }: TlsReport): string =>
  isNative ? 'made by OpenSSL on the descriptor itself' : "made by Node's TLSSocket"
