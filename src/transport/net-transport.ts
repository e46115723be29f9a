/** The same engine over ordinary sockets of Node's: nothing is recycled, and koffi is not loaded. */
import { buildConnector } from 'undici'
import { Deadlines } from '../reactor/deadlines.js'
import { threadScheduler } from '../reactor/immediate-scheduler.js'
import type { SocketPoolStats } from '../socket-pool/socket-pool.js'
import { answeringOnce, type LookupFunction } from './addresses.js'
import { Closings } from './closings.js'
import { SecureOptions } from './secure-options.js'
import { StreamConnector } from './stream-connect.js'
import { Streams } from './streams.js'
import type { ConnectFunction, ConnectOptions, Connector, Target, Transport } from './transport.js'

export class NetTransport implements Transport {
  readonly scheduler = threadScheduler()
  readonly deadlines = new Deadlines(this.scheduler)
  readonly #closings = new Closings()
  readonly #streams = new Streams(this.#closings)
  readonly #connect: ConnectFunction | null
  readonly #options: ConnectOptions
  readonly #secure: SecureOptions

  /** @param connect a user's function, or `null` */
  constructor(connect: ConnectFunction | null, connectOptions: ConnectOptions) {
    this.#connect = connect
    const { lookup } = connectOptions as { lookup?: LookupFunction }
    this.#options =
      lookup === undefined ? connectOptions : { ...connectOptions, lookup: answeringOnce(lookup) as never }
    this.#secure = new SecureOptions(this.#options)
  }

  get sockets(): SocketPoolStats {
    return this.#streams.stats
  }

  connectorTo(target: Target): Connector {
    const environment = { scheduler: this.scheduler, own: this.#streams.own.bind(this.#streams) }
    const connect = this.#connect
    if (connect !== null) return new StreamConnector(environment, target, () => connect, 0)
    const makeConnect = (): ConnectFunction => {
      const options = target.protocol === 'https:' ? this.#secure.get() : this.#options
      return buildConnector({ ...options, allowH2: false, timeout: 0 })
    }
    return new StreamConnector(environment, target, makeConnect, target.connectTimeout)
  }

  /** Sockets of Node's are closed without waiting for anybody. */
  cutShort(): void {}

  whenQuiet(callback: () => void): void {
    this.#closings.whenNone(callback)
  }

  close(): void {}
}
