/** The same engine over ordinary sockets of Node's: nothing is recycled, and koffi is not loaded. */
import { realClock } from '../reactor/clock.js'
import { Deadlines } from '../reactor/deadlines.js'
import { threadScheduler } from '../reactor/immediate-scheduler.js'
import type { SocketPoolStats } from '../socket-pool/socket-pool.js'
import { Closings } from './closings.js'
import type { Names } from './names.js'
import { netConnector } from './net-connect.js'
import { SecureOptions } from './secure-options.js'
import { StreamConnector } from './stream-connect.js'
import { Streams } from './streams.js'
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

  connectorTo(target: Target): Connector {
    const { scheduler, deadlines } = this
    const environment = { scheduler, deadlines, own: this.#streams.own.bind(this.#streams) }
    const connect = this.#connect
    if (connect !== null) return new StreamConnector(environment, target, connect, 0)
    let made: ConnectFunction | undefined
    const makeAndConnect: ConnectFunction = (options, done) => {
      made ??= this.#makeConnect(target)
      return made(options, done)
    }
    return new StreamConnector(environment, target, makeAndConnect, target.connectTimeout)
  }

  /** @throws for options that no context can be made of */
  #makeConnect(target: Target): ConnectFunction {
    const options = target.protocol === 'https:' ? this.#secure.get() : this.#options
    return netConnector(target, this.#names, options)
  }

  /** Sockets of Node's are closed without waiting for anybody. */
  cutShort(): void {}

  whenShutDown(callback: () => void): void {
    this.#closings.whenNone(callback)
  }

  close(): void {}
}
