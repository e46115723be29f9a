/** TLS options with one SecureContext for all connections: to read the certificate authorities costs more than a handshake. */
import tls, { type ConnectionOptions, type SecureContext } from 'node:tls'
import { TrustDefaults } from '../tls/trust-defaults.js'
import { notThrowing } from '../tls/verification.js'
import type { ConnectOptions } from './transport.js'

export class SecureOptions {
  readonly #options: ConnectOptions
  readonly #defaults: TrustDefaults
  #secured: ConnectOptions | null = null

  /** @param options those of undici's `buildConnector` */
  constructor(options: ConnectOptions) {
    this.#options = options
    this.#defaults = new TrustDefaults(options as ConnectionOptions)
  }

  /**
   * The options with their SecureContext: the same object until Node's defaults have changed.
   *
   * @throws what `tls.createSecureContext` throws
   */
  get(): ConnectOptions {
    const options = this.#options as ConnectionOptions
    const isOld = options.secureContext === undefined && this.#defaults.haveChanged()
    if (this.#secured !== null && !isOld) return this.#secured
    this.#secured = null
    // As tls.connect() does it, whose default can be assigned.
    const secureContext: SecureContext =
      options.secureContext ?? tls.createSecureContext({ ciphers: tls.DEFAULT_CIPHERS, ...options })
    const { checkServerIdentity } = options
    this.#secured = {
      ...this.#options,
      secureContext,
      ...(typeof checkServerIdentity === 'function' && { checkServerIdentity: notThrowing(checkServerIdentity) }),
    }
    return this.#secured
  }
}
