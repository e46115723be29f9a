/** What is in OpenSSL's error queue, as Node makes errors of it (crypto_tls.cc, TLSWrap::ClearOut). */
import { openssl } from '../sys/openssl.js'

/** Node's errors of OpenSSL. */
export interface TlsError extends Error {
  library?: string
  reason?: string
  /** ERR_SSL_ and the reason. */
  code?: string
}

/** Room for the whole queue, of which each line is less than 300 bytes long. */
const text = Buffer.allocUnsafeSlow(8192)

/** Empties this thread's queue. @returns the error of its first entry */
export function takeTlsError(): TlsError {
  const library = openssl()
  const number = library.peekError()
  const bio = library.newMemoryBio()
  library.printErrors(bio)
  const length = Math.max(0, library.readBio(bio, text, text.length))
  library.freeBio(bio)
  library.clearErrors()
  // Node takes the first line, and with it what ends it.
  const [line = ''] = /^.*\n?/.exec(text.toString('latin1', 0, length)) ?? []
  const error: TlsError = new Error(line)
  const libraryName = library.libraryOfError(number)
  const reason = library.reasonOfError(number)
  if (libraryName !== null) error.library = libraryName
  if (reason !== null) {
    error.reason = reason
    error.code = `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`
  }
  return error
}
