/** Where the connections of an origin lead, by its URL and the options. */
import { isIP } from 'node:net'
import type { Target } from '../transport/transport.js'

export interface TargetOptions extends Omit<Target, 'protocol' | 'host' | 'hostname' | 'port' | 'attemptTimeout'> {
  autoSelectFamilyAttemptTimeout: number
}

export function targetOf(origin: URL, options: TargetOptions): Target {
  const { protocol, host, port } = origin
  const hostname = origin.hostname.startsWith('[') ? origin.hostname.slice(1, -1) : origin.hostname
  return {
    protocol,
    host,
    hostname,
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    socketPath: options.socketPath,
    localAddress: options.localAddress,
    localPort: options.localPort,
    family: isIP(hostname) || options.family,
    hints: options.hints,
    lookup: options.lookup,
    autoSelectFamily: options.autoSelectFamily,
    attemptTimeout: options.autoSelectFamilyAttemptTimeout,
    connectTimeout: options.connectTimeout,
  }
}
