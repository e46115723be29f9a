/**
 * A connection in the making: what is told of it on the diagnostics channels, and that it can be given up at any moment,
 * from within the functions of the caller's that take part in it (`connect`, `lookup`, subscribers), too.
 */
import type { AsyncResource } from 'node:async_hooks'
import { publishBeforeConnect, publishConnectError, publishConnected } from '../diagnostics.js'
import { InformationalError } from '../errors.js'
import type { Connecting, ConnectListener, Connector } from '../transport/transport.js'
import type { Wire } from '../transport/wire.js'

/** What a connection is made for: a request, or those that are to come. */
export interface Occasion {
  readonly origin: string
  readonly protocol: string
  /** For TLS; `null`: the host of the URL. */
  readonly servername: string | null
  /** It is to become a tunnel. @default false */
  readonly wantsTunnel?: boolean
  /** In which listeners hear of the connection. */
  readonly context: AsyncResource
}

/** Told of one of the two, once, unless the opening was given up. */
export interface OpeningOwner {
  onOpened(wire: Wire): void
  onOpeningFailed(error: Error): void
}

export class Opening implements ConnectListener {
  /** Whom the peer has to prove to be; `null` without TLS, and for the host of the URL. */
  readonly servername: string | null
  /** It is made for a request that wants a tunnel: of what could not become one it would have no use. */
  readonly isForTunnel: boolean
  readonly #origin: string
  readonly #connector: Connector
  readonly #owner: OpeningOwner
  #connecting: Connecting | null = null
  /** Why it was given up. */
  #reason: Error | null = null

  constructor(connector: Connector, occasion: Occasion, owner: OpeningOwner) {
    const { origin, protocol, servername, wantsTunnel = false } = occasion
    this.servername = protocol === 'https:' ? servername : null
    this.isForTunnel = wantsTunnel
    this.#origin = origin
    this.#connector = connector
    this.#owner = owner
  }

  start(): void {
    publishBeforeConnect(this.#origin, this.#connector, this.servername)
    if (this.#reason !== null) return
    const connecting = this.#connector.connect(this.servername, this, this.isForTunnel)
    if (this.#reason === null) this.#connecting = connecting
    else connecting.cancel(this.#reason)
  }

  /** It has taken too long: the owner is told; unless it is there just now, and somebody has moved a fake clock. */
  expire(): void {
    this.#connecting?.expire()
  }

  /** The owner hears nothing more. @param reason what a socket of the caller's is destroyed with */
  giveUp(reason: Error): void {
    this.#reason = reason
    this.#connecting?.cancel(reason)
    this.#connecting = null
  }

  /** As {@link giveUp}, since no request waits for the connection any more: subscribers are told (undici client.js, connect). */
  withdraw(): void {
    const reason = new InformationalError('no request waits for this connection')
    this.giveUp(reason)
    publishConnectError(this.#origin, this.#connector, this.servername, reason)
  }

  onConnected(wire: Wire): void {
    this.#connecting = null
    publishConnected(this.#origin, this.#connector, this.servername, wire)
    // Whoever was told may have given it up.
    if (this.#reason === null) this.#owner.onOpened(wire)
    else wire.abort(this.#reason)
  }

  onConnectFailed(error: Error): void {
    this.#connecting = null
    publishConnectError(this.#origin, this.#connector, this.servername, error)
    if (this.#reason === null) this.#owner.onOpeningFailed(error)
  }
}
