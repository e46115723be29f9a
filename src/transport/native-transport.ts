/** Connections on recycled descriptors (Linux); but those that a user's `connect` function makes are left to it. */
import type { Deadlines } from '../reactor/deadlines.js'
import type { Scheduler } from '../reactor/scheduler.js'
import type { SocketPoolOptions, SocketPoolStats } from '../socket-pool/socket-pool.js'
import type { TlsOptions } from '../tls/native-options.js'
import { NativeTls, type TlsTransportName } from '../tls/native-tls.js'
import type { Names } from './names.js'
import { SecureOptions } from './secure-options.js'
import { StreamConnector } from './stream-connect.js'
import { Streams } from './streams.js'
import { Tcp } from './tcp.js'
import { TcpConnect } from './tcp-connect.js'
import { type Security, TlsConnector } from './tls-connect.js'
import type { TlsStats } from './tls-stats.js'
import type {
  ConnectFunction,
  Connecting,
  ConnectListener,
  ConnectOptions,
  Connector,
  Target,
  Transport,
} from './transport.js'

/** As undici's connector has it. */
const MAX_CACHED_SESSIONS = 100

export class NativeTransport implements Transport {
  readonly #tcp: Tcp
  readonly #connect: ConnectFunction | null
  readonly #security: Security
  readonly #streams: Streams

  /**
   * @param names of this transport alone
   * @param connect a user's function, or `null`
   * @param tlsTransport as it was asked for
   * @throws where koffi or a symbol of the process is missing
   */
  constructor(
    options: SocketPoolOptions,
    names: Names,
    connect: ConnectFunction | null,
    connectOptions: ConnectOptions,
    tlsTransport: TlsTransportName | undefined,
  ) {
    this.#tcp = new Tcp(options, names)
    this.#connect = connect
    this.#security = {
      native: new NativeTls(connectOptions as TlsOptions, tlsTransport),
      secure: new SecureOptions(connectOptions),
      maxCachedSessions: connectOptions.maxCachedSessions ?? MAX_CACHED_SESSIONS,
      stats: { native: 0, node: 0, resumed: 0, failed: 0 },
    }
    this.#streams = new Streams(this.#tcp.closings)
  }

  get scheduler(): Scheduler {
    return this.#tcp.reactor
  }

  get deadlines(): Deadlines {
    return this.#tcp.deadlines
  }

  get waits(): Deadlines {
    return this.#tcp.waits
  }

  get sockets(): SocketPoolStats {
    return this.#tcp.sockets.stats
  }

  get tls(): TlsStats {
    return { ...this.#security.stats }
  }

  connectorTo(target: Target): Connector {
    const connect = this.#connect
    if (connect !== null) {
      const { scheduler, deadlines } = this
      const environment = { scheduler, deadlines, own: this.#streams.own.bind(this.#streams) }
      return new StreamConnector(environment, target, connect, 0)
    }
    if (target.protocol === 'https:') return new TlsConnector(this.#tcp, target, this.#security)
    return new TcpConnector(this.#tcp, target)
  }

  cutShort(): void {
    this.#tcp.cutShort()
  }

  whenShutDown(callback: () => void): void {
    this.#tcp.whenShutDown(callback)
  }

  close(): void {
    this.#tcp.sockets.close()
  }
}

class TcpConnector implements Connector {
  readonly #tcp: Tcp
  readonly #target: Target
  readonly localAddress: string | undefined
  readonly connectFunction = undefined
  readonly connectTimeout: number

  constructor(tcp: Tcp, target: Target) {
    this.#tcp = tcp
    this.#target = target
    this.localAddress = target.localAddress
    this.connectTimeout = target.connectTimeout
  }

  connect(_servername: string | null, listener: ConnectListener): Connecting {
    return new TcpConnect(this.#tcp, this.#target, listener).start()
  }
}
