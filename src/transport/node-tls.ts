/** undici's connector for TLS, with one SecureContext for the connections of all origins. */
import { buildConnector } from 'undici'
import type { SecureOptions } from './secure-options.js'
import type { ConnectOptions } from './transport.js'

/** Of one origin: it holds the cache of sessions. */
export class NodeTls {
  readonly #secure: SecureOptions
  #options: ConnectOptions | null = null
  #connector: buildConnector.connector | null = null

  constructor(secure: SecureOptions) {
    this.#secure = secure
  }

  /** @throws what `tls.createSecureContext` throws */
  connector(): buildConnector.connector {
    const options = this.#secure.get()
    if (this.#connector !== null && options === this.#options) return this.#connector
    // Sessions of those who were trusted before are not resumed any more.
    this.#connector = buildConnector({ ...options, allowH2: false, timeout: 0 })
    this.#options = options
    return this.#connector
  }
}
