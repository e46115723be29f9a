/** undici's connector for TLS, with one SecureContext for the connections of all origins. */
import type { buildConnector as BuildConnector } from 'undici'
import { buildConnector } from '../undici.js'
import type { SecureOptions } from './secure-options.js'
import type { ConnectOptions } from './transport.js'

/** Of one origin: it holds the cache of sessions. */
export class NodeTls {
  readonly #secure: SecureOptions
  #options: ConnectOptions | null = null
  readonly #make: (options: ConnectOptions) => BuildConnector.connector
  #connector: BuildConnector.connector | null = null

  /** @param make makes the connector of options that have a SecureContext */
  constructor(secure: SecureOptions, make = ownConnector) {
    this.#secure = secure
    this.#make = make
  }

  /** @throws what `tls.createSecureContext` throws */
  connector(): BuildConnector.connector {
    const options = this.#secure.get()
    if (this.#connector !== null && options === this.#options) return this.#connector
    // Sessions of those who were trusted before are not resumed any more.
    this.#connector = this.#make(options)
    this.#options = options
    return this.#connector
  }
}

const ownConnector = (options: ConnectOptions): BuildConnector.connector =>
  buildConnector({ ...options, allowH2: false, timeout: 0 })
