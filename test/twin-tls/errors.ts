/** Errors of TLS in a form in which those of two runs can be compared: everything that they hold. */
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls'
import { EVERYWHERE } from './deviations.js'

/** A key of the description for each property that the error has of its own, enumerable or not. */
export type Described = Record<string, unknown>

/** @param ports of the servers, by which no two runs are alike */
export function describeError(error: unknown, ports: readonly number[]): Described | unknown {
  if (!(error instanceof Error)) return error
  const said: Described = { class: error.constructor.name, name: error.name }
  for (const key of Object.getOwnPropertyNames(error).sort()) {
    if (key !== 'stack') said[key] = comparableOf(key, (error as Error & Described)[key], ports)
  }
  return said
}

function comparableOf(key: string, value: unknown, ports: readonly number[]): unknown {
  if (key === 'cert') return describeCertificate(value as DetailedPeerCertificate)
  if (key === 'socket') return describeSocket(value as Described)
  if (value instanceof Error) return describeError(value, ports)
  if (Array.isArray(value)) return value.map((one) => comparableOf('', one, ports))
  // In errors of Node's TLS it is a string.
  if (key === 'port' && ports.includes(Number(value))) return `${typeof value} PORT`
  if (key === 'path') return EVERYWHERE.noPath.apply(value)
  if (typeof value === 'string') return normalise(value, ports)
  return value
}

/** The thread's number stands before what OpenSSL says; where in its sources that is goes with the Node. */
function normalise(text: string, ports: readonly number[]): string {
  const said = text.replaceAll(/\b[0-9A-F]{8,16}:error:/g, 'THREAD:error:')
  return ports.reduce((result, port) => result.replaceAll(`:${port}`, ':PORT'), said)
}

/** Of undici's SocketError: ports and counts are the transport's. */
function describeSocket(socket: Described | null): unknown {
  if (socket === null || socket instanceof TLSSocket) return typeof socket
  const { localPort, remotePort, bytesWritten, bytesRead, timeout, ...rest } = socket
  return { ...rest, types: [localPort, remotePort, bytesWritten, bytesRead].map((value) => typeof value) }
}

/** Subject, fingerprint and fields of each certificate up to the root, whose issuer is itself. */
export function describeCertificate(certificate: DetailedPeerCertificate): unknown[] {
  const { issuerCertificate: issuer, ...fields } = certificate
  if (issuer === undefined) return [fields]
  return issuer === certificate ? [fields, 'itself'] : [fields, ...describeCertificate(issuer)]
}
