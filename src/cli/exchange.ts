/** One request and its response, and what a failure of it means. */
import type { Dispatcher } from 'undici'
import type { Load } from './arguments.js'
import { Failure, lineOf } from './failure.js'

/** Nobody is to wait long for an answer that is not to come. */
export const CONNECT_TIMEOUT_MS = 5000
export const RESPONSE_TIMEOUTS = { headersTimeout: 10_000, bodyTimeout: 10_000 } as const

export interface Exchange {
  status: number
  /** The response says that its connection ends with it (RFC 9112 9.6), or has no other end (RFC 9112 6.3). */
  isAnnouncedEnd: boolean
}

/** Requests what the load asks for, and reads the response to its end. */
export async function exchange(dispatcher: Dispatcher, { url, method, headers }: Load): Promise<Exchange> {
  const response = await dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: method as Dispatcher.HttpMethod,
    headers,
  })
  // Its bytes are of no interest.
  for await (const _ of response.body);
  return { status: response.statusCode, isAnnouncedEnd: isAnnouncedEnd(response, method) }
}

function isAnnouncedEnd({ statusCode, headers }: Dispatcher.ResponseData, method: string): boolean {
  if (/(^|,)\s*close\s*(,|$)/i.test(String(headers.connection ?? ''))) return true
  const isEmpty = method === 'HEAD' || statusCode === 204 || statusCode === 304
  return !isEmpty && headers['content-length'] === undefined && headers['transfer-encoding'] === undefined
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | null)?.code ?? '')

/** The connection ended under the request. */
export const isLoss = (error: unknown): boolean => ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error))

/** Codes of X509_verify_cert_error_string(3) as Node has them, and those of Node's check of the name. */
const OF_CERTIFICATES = /CERT|SIGNATURE|ISSUER|CRL|CHAIN|SELF_SIGNED|HOSTNAME_MISMATCH/

/** What to tell the user. */
export function describeFailure(error: unknown, { url }: Load): Failure {
  if (error instanceof Failure) return error
  const code = codeOf(error)
  const why = lineOf(error)
  if (url.protocol === 'https:' && OF_CERTIFICATES.test(code)) {
    const way = 'NODE_EXTRA_CA_CERTS names an authority to trust, --insecure does without'
    return new Failure(`the certificate of ${url.host} does not verify (${why}): ${way}`, { cause: error })
  }
  // OpenSSL's words are for those who know its sources; the other ones are Node's, of a handshake that was cut short.
  if (/EPROTO|ERR_SSL/.test(code) || /before secure TLS connection/.test(why)) {
    return new Failure(`${url.host} does not speak TLS as it should (${code}): is it http:// there?`, { cause: error })
  }
  if (code === 'UND_ERR_INVALID_ARG') return new Failure(`the request cannot be sent: ${why}`, { cause: error })
  return new Failure(`no answer from ${url.host}: ${why}`, { cause: error })
}
