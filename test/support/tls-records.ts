/** TLS records (RFC 8446 5.1, RFC 5246 6.2) as they are on the wire, for peers that are made by hand. */

const HEADER_SIZE = 5
const LEGACY_VERSION = [3, 3]

export const CONTENT = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const

/** RFC 8446 6, RFC 5246 7.2. */
export const ALERT = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  decryptionFailed: 21,
  recordOverflow: 22,
  decompressionFailure: 30,
  handshakeFailure: 40,
  noCertificate: 41,
  badCertificate: 42,
  unsupportedCertificate: 43,
  certificateRevoked: 44,
  certificateExpired: 45,
  certificateUnknown: 46,
  illegalParameter: 47,
  unknownAuthority: 48,
  accessDenied: 49,
  decodeError: 50,
  decryptError: 51,
  exportRestriction: 60,
  protocolVersion: 70,
  insufficientSecurity: 71,
  internalError: 80,
  inappropriateFallback: 86,
  userCanceled: 90,
  noRenegotiation: 100,
  missingExtension: 109,
  unsupportedExtension: 110,
  certificateUnobtainable: 111,
  unrecognizedName: 112,
  badCertificateStatusResponse: 113,
  badCertificateHashValue: 114,
  unknownPskIdentity: 115,
  certificateRequired: 116,
  noApplicationProtocol: 120,
} as const

export function tlsRecord(type: number, content: Uint8Array, version: readonly number[] = LEGACY_VERSION): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(content.length)
  return Buffer.concat([Buffer.from([type, ...version]), length, content])
}

/** A record that says one alert, in the clear. */
export const tlsAlert = (level: 'warning' | 'fatal', description: number): Buffer =>
  tlsRecord(CONTENT.alert, Buffer.from([level === 'fatal' ? 2 : 1, description]))

/** Puts a stream of bytes apart into records. */
export class RecordSplitter {
  #rest: Buffer = Buffer.alloc(0)

  /** @returns the records that are whole by now */
  push(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const records: Buffer[] = []
    while (this.#rest.length >= HEADER_SIZE) {
      const size = HEADER_SIZE + this.#rest.readUInt16BE(3)
      if (this.#rest.length < size) break
      records.push(this.#rest.subarray(0, size))
      this.#rest = this.#rest.subarray(size)
    }
    return records
  }
}
