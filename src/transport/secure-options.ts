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
    const { checkServerIdentity } = options
    return {
      ...this.#options,
      secureContext: this.#context,
      ...(typeof checkServerIdentity === 'function' && { checkServerIdentity: notThrowing(checkServerIdentity) }),
    }
  }
}

type CheckServerIdentity = NonNullable<ConnectionOptions['checkServerIdentity']>

/** What it throws refuses the peer: Node would let it surface, and the connection wait for its timeout. */
function notThrowing(check: CheckServerIdentity): CheckServerIdentity {
  return (hostname, certificate) => {
    try {
      return check(hostname, certificate)
    } catch (error) {
      return error instanceof Error ? error : new Error('checkServerIdentity has thrown', { cause: error })
    }
  }
}
