/** TLS options with one SecureContext for all connections: to read the certificate authorities costs more than a handshake. */
import tls, { type ConnectionOptions, type SecureContext } from 'node:tls'
import type { ConnectOptions } from './transport.js'

export class SecureOptions {
  readonly #options: ConnectOptions
  #context: SecureContext | undefined

  /** @param options those of undici's `buildConnector` */
  constructor(options: ConnectOptions) {
    this.#options = options
  }

  /** The options with their SecureContext. @throws what `tls.createSecureContext` throws */
  get(): ConnectOptions {
    const options = this.#options as ConnectionOptions
    // As tls.connect() does it, whose default can be assigned.
    this.#context ??= options.secureContext ?? tls.createSecureContext({ ciphers: tls.DEFAULT_CIPHERS, ...options })
    return { ...this.#options, secureContext: this.#context }
  }
}
