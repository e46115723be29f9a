/** The same engine over ordinary sockets of Node's: nothing is recycled, and koffi is not loaded. */
import type { TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { Deadlines } from '../reactor/deadlines.js'
import { threadScheduler } from '../reactor/immediate-scheduler.js'
import type { SocketPoolStats } from '../socket-pool/socket-pool.js'
import { Closings } from './closings.js'
import { NodeTls } from './node-tls.js'
import { SecureOptions } from './secure-options.js'
import { StreamConnector } from './stream-connect.js'
import { Streams } from './streams.js'
import type { TlsStats } from './tls-stats.js'
import type { ConnectFunction, ConnectOptions, Connector, Target, Transport } from './transport.js'

export class NetTransport implements Transport {
  readonly scheduler = threadScheduler()
  readonly deadlines = new Deadlines(this.scheduler)
  readonly #closings = new Closings()
  readonly #streams = new Streams(this.#closings)
  readonly #connect: ConnectFunction | null
  readonly #options: ConnectOptions
  readonly #secure: SecureOptions
  readonly #tls: TlsStats = { native: 0, node: 0, resumed: 0, failed: 0 }

  /** @param connect a user's function, or `null` */
  constructor(connect: ConnectFunction | null, connectOptions: ConnectOptions) {
    this.#connect = connect
    this.#options = connectOptions
    this.#secure = new SecureOptions(connectOptions)
  }

  get sockets(): SocketPoolStats {
    return this.#streams.stats
  }

  get tls(): TlsStats {
    return { ...this.#tls }
  }

  connectorTo(target: Target): Connector {
    const environment = { scheduler: this.scheduler, own: this.#streams.own.bind(this.#streams) }
    const connect = this.#connect
    if (connect !== null) return new StreamConnector(environment, target, () => connect, 0)
    const makeConnect = (): ConnectFunction =>
      target.protocol === 'https:'
        ? this.#counting(new NodeTls(this.#secure))
        : buildConnector({ ...this.#options, allowH2: false, timeout: 0 })
    return new StreamConnector(environment, target, makeConnect, target.connectTimeout)
  }

  /** The connector of one origin, and of the moment. */
  #counting(node: NodeTls): ConnectFunction {
    return (options, callback) =>
      node.connector()(options, (...result) => {
        const [error, socket] = result
        if (error !== null) this.#tls.failed++
        else {
          this.#tls.node++
          if ((socket as TLSSocket).isSessionReused()) this.#tls.resumed++
        }
        callback(...result)
      })
  }

  /** Sockets of Node's are closed without waiting for anybody. */
  cutShort(): void {}

  whenQuiet(callback: () => void): void {
    this.#closings.whenNone(callback)
  }

  close(): void {}
}
