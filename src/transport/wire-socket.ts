/**
 * A connection as subscribers of undici's diagnostics channels see it: what they read of a net.Socket. There is none
 * behind it: the addresses are asked for when they are read, and nothing can be done to the connection.
 */
import type { SocketInfo } from '../errors.js'

/** Who can tell about a connection. */
export interface Informed {
  readonly info: SocketInfo
}

export class WireSocket {
  readonly #wire: Informed

  constructor(wire: Informed) {
    this.#wire = wire
  }

  get remoteAddress(): string | undefined {
    return this.#wire.info.remoteAddress
  }

  get remotePort(): number | undefined {
    return this.#wire.info.remotePort
  }

  get remoteFamily(): string | undefined {
    return this.#wire.info.remoteFamily
  }

  /** `undefined` when the connection is over, as is the port. */
  get localAddress(): string | undefined {
    return this.#wire.info.localAddress
  }

  get localPort(): number | undefined {
    return this.#wire.info.localPort
  }

  get bytesRead(): number | undefined {
    return this.#wire.info.bytesRead
  }

  get bytesWritten(): number | undefined {
    return this.#wire.info.bytesWritten
  }

  /** Nothing is negotiated without TLS: HTTP/1.1 is spoken. */
  readonly alpnProtocol: string | false | undefined = undefined
}
