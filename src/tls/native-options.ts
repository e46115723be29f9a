/**
 * Whether connections with given options can be made by OpenSSL itself, or are Node's to make. Where anything is in doubt
 * they are Node's: an option that is not known here may say something about whom to trust.
 */
import { isIP } from 'node:net'
import { openssl } from '../sys/openssl.js'

/** Options of `tls.connect` and undici's connector, as they are looked at here. */
export interface TlsOptions {
  servername?: unknown
  minDHSize?: unknown
  checkServerIdentity?: unknown
  rejectUnauthorized?: unknown
  maxCachedSessions?: unknown
}

/** Those of `tls.createSecureContext`, which makes our context, too; but for keys that a device holds. */
const OF_CONTEXT = [
  'ca',
  'cert',
  'key',
  'passphrase',
  'pfx',
  'crl',
  'ciphers',
  'ecdhCurve',
  'sigalgs',
  'dhparam',
  'minVersion',
  'maxVersion',
  'secureProtocol',
  'secureOptions',
  'honorCipherOrder',
  'allowPartialTrustChain',
  'sessionIdContext',
  'sessionTimeout',
  'ticketKeys',
]

/** What is followed here as Node follows it. */
const OF_CONNECTION = ['servername', 'minDHSize', 'checkServerIdentity', 'rejectUnauthorized']

/** What the connection below follows, undici's connector or the agent; or what undici overrides. */
const NOT_OF_TLS = [
  'ALPNProtocols',
  'allowH2',
  'useH2c',
  'maxCachedSessions',
  'timeout',
  'keepAlive',
  'keepAliveInitialDelay',
  'noDelay',
  'socketPath',
  'host',
  'port',
  'localAddress',
  'localPort',
  'family',
  'hints',
  'lookup',
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
]

const KNOWN: ReadonlySet<string> = new Set([...OF_CONTEXT, ...OF_CONNECTION, ...NOT_OF_TLS])

/** Node takes underscores for dashes. */
const TRACING = /--(tls[-_]keylog|trace[-_]tls)\b/

/** @returns why connections with these options are Node's to make, whenever that is; `null` when they need not be */
export function whyNodes(options: TlsOptions): string | null {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && value !== null && !KNOWN.has(name)) return `the option ${name}`
  }
  const { servername, minDHSize, checkServerIdentity, maxCachedSessions } = options
  if (servername !== undefined && servername !== null && !(typeof servername === 'string' && isIP(servername) === 0)) {
    return 'a servername that is no name'
  }
  if ('minDHSize' in options && !(typeof minDHSize === 'number' && minDHSize >= 1)) return 'an invalid minDHSize'
  if ('checkServerIdentity' in options && typeof checkServerIdentity !== 'function') {
    return 'a checkServerIdentity that is no function'
  }
  if (maxCachedSessions != null && !(Number.isInteger(maxCachedSessions) && (maxCachedSessions as number) >= 0)) {
    return 'an invalid maxCachedSessions'
  }
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ')
  if (TRACING.test(flags)) return 'a flag of Node.js that follows connections'
  try {
    openssl()
  } catch (error) {
    return (error as Error).message
  }
  return null
}

/** As {@link whyNodes}, for what can change between two connections. */
export function whyNodesNow(): string | null {
  // Node warns of it, once.
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0') return 'NODE_TLS_REJECT_UNAUTHORIZED'
  return null
}
