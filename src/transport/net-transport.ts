/** The same engine over ordinary sockets of Node's: nothing is recycled, and koffi is not loaded. */
import type { TLSSocket } from 'node:tls'
import { realClock } from '../reactor/clock.js'
import { Deadlines } from '../reactor/deadlines.js'
import { threadScheduler } from '../reactor/immediate-scheduler.js'
import type { SocketPoolStats } from '../socket-pool/socket-pool.js'
import { Closings } from './closings.js'
import type { Names } from './names.js'
import { netConnector } from './net-connect.js'
import { NodeTls } from './node-tls.js'
import { SecureOptions } from './secure-options.js'
import { StreamConnector } from './stream-connect.js'
import { Streams } from './streams.js'
import type { TlsStats } from './tls-stats.js'
import type { ConnectFunction, ConnectOptions, Connector, Target, Transport } from './transport.js'

export class NetTransport implements Transport {
  readonly scheduler = threadScheduler()
  readonly deadlines = new Deadlines(this.scheduler)
  readonly waits = new Deadlines(this.scheduler, () => realClock)
  readonly #closings = new Closings()
  readonly #streams = new Streams(this.#closings)
  readonly #names: Names
  readonly #connect: ConnectFunction | null
  readonly #options: ConnectOptions
  readonly #secure: SecureOptions
  readonly #tls: TlsStats = { native: 0, node: 0, resumed: 0, failed: 0 }

  /**
   * @param names of this transport alone
   * @param connect a user's function, or `null`
   */
  constructor(names: Names, connect: ConnectFunction | null, connectOptions: ConnectOptions) {
    this.#names = names
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
    const { scheduler, deadlines } = this
    const environment = { scheduler, deadlines, own: this.#streams.own.bind(this.#streams) }
    const connect = this.#connect
    if (connect !== null) return new StreamConnector(environment, target, connect, 0)
    if (target.protocol === 'https:') {
      const node = new NodeTls(this.#secure, (options) => netConnector(target, this.#names, options))
      return new StreamConnector(environment, target, this.#counting(node), target.connectTimeout)
    }
    const made = netConnector(target, this.#names, this.#options)
    return new StreamConnector(environment, target, made, target.connectTimeout)
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

  whenShutDown(callback: () => void): void {
    this.#closings.whenNone(callback)
  }

  close(): void {}
}
