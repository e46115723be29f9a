/** How a dispatcher reaches its origins: what the connections of all origins share, and how each of them is made. */
import type { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import type { Deadlines } from '../reactor/deadlines.js'
import type { Scheduler } from '../reactor/scheduler.js'
import type { SocketPoolStats } from '../socket-pool/socket-pool.js'
import type { AddressOptions } from './addresses.js'
import type { TlsStats } from './tls-stats.js'
import type { Wire } from './wire.js'

/** undici's connector, or a user's of the same signature. It may throw, and may call back at once or later. */
export type ConnectFunction = (
  options: buildConnector.Options,
  callback: buildConnector.Callback,
) => TLSSocket | unknown

/** What users give as `connect` (and `tls`) options: those of `net.connect` and `tls.connect`, and undici's own. */
export type ConnectOptions = buildConnector.BuildOptions

/** Where to connect to, and how. One object per origin: what is worked out from it once is kept by it. */
export interface Target extends AddressOptions {
  protocol: string
  /** Host and port as in the URL, the default port left out. */
  host: string
  /** IPv6 literals without brackets. */
  hostname: string
  port: number
  /** A Unix socket's path instead of host and port. */
  socketPath?: string | undefined
  localPort?: number | undefined
  /** In milliseconds, over all attempts, the name's resolution and the TLS handshake; 0: none. */
  connectTimeout: number
  /** In milliseconds: after that the next of several addresses is tried beside the one before (RFC 8305 5). */
  attemptTimeout: number
}

/** Who waits for a connection: told of one of the two, once. */
export interface ConnectListener {
  onConnected(wire: Wire): void
  onConnectFailed(error: Error): void
}

/** An attempt to connect that is under way. */
export interface Connecting {
  /** Gives up; nobody is told. @param reason what a socket that the caller's `connect` function makes is destroyed with */
  cancel(reason: Error): void
  /**
   * It has taken too long: fails with a ConnectTimeoutError, unless it turns out that it has not; see overtime.ts. To be
   * called while the deadline expires.
   */
  expire(): void
}

/** Makes the connections to one target. */
export interface Connector {
  readonly localAddress: string | undefined
  /** What makes them, where it is a function. */
  readonly connectFunction: ConnectFunction | undefined
  /** How long it may take, in milliseconds; 0: for ever, or the function has a timeout of its own. */
  readonly connectTimeout: number
  /**
   * Begins to connect. The listener is never told from within this call.
   *
   * @param servername for TLS's SNI, if it is not to be that of the target
   * @param wantsTunnel the wire must be one that can be detached
   */
  connect(servername: string | null, listener: ConnectListener, wantsTunnel?: boolean): Connecting
}

export interface Transport {
  readonly scheduler: Scheduler
  /** By the clock that the user may have replaced. */
  readonly deadlines: Deadlines
  /** By the real clock: for waits that the user knows nothing of. */
  readonly waits: Deadlines
  /** A snapshot of the counters. */
  readonly sockets: SocketPoolStats
  /** A snapshot of the counters of TLS. */
  readonly tls: TlsStats
  connectorTo(target: Target): Connector
  /** Connections that are on their way to their end need not get there in good order any more. */
  cutShort(): void
  /** Calls back, at once or later, when every connection that was ended is closed, or has been sent our FIN at least. */
  whenShutDown(callback: () => void): void
  /** Closes what is kept for connections to come; what is in use now is closed as its use ends. */
  close(): void
}

/** undici's connectors take the port as the URL has it: '' for the default one. */
export function connectParameters(target: Target, servername: string | null): buildConnector.Options {
  const { protocol, host, hostname, port, localAddress } = target
  const isDefault = port === (protocol === 'https:' ? 443 : 80)
  // The type says strings; undici's clients pass `null`.
  const options = {
    protocol,
    host,
    hostname,
    port: isDefault ? '' : `${port}`,
    servername,
    localAddress: localAddress ?? null,
  }
  return options as unknown as buildConnector.Options
}
