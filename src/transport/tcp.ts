/** What all TCP connections of one agent share. */

import { Deadlines } from '../reactor/deadlines.js'
import { type Reactor, threadReactor } from '../reactor/reactor.js'
import { SocketPool, type SocketPoolOptions } from '../socket-pool/socket-pool.js'

export class Tcp {
  readonly reactor: Reactor
  readonly deadlines: Deadlines
  readonly sockets: SocketPool
  #lingering = 0
  #onQuiet: (() => void)[] = []

  /** @throws where koffi or a symbol of the process is missing */
  constructor(options: SocketPoolOptions) {
    this.reactor = threadReactor()
    this.deadlines = new Deadlines(this.reactor)
    this.sockets = new SocketPool(options, this.reactor)
  }

  /** A connection is over for its owner, but the peer's FIN is still awaited. */
  lingeringBegins(): void {
    this.#lingering++
  }

  lingeringEnds(): void {
    this.#lingering--
    if (this.#lingering > 0) return
    const callbacks = this.#onQuiet
    this.#onQuiet = []
    for (const callback of callbacks) callback()
  }

  /** Calls back, at once or later, when no connection lingers. */
  whenQuiet(callback: () => void): void {
    if (this.#lingering === 0) callback()
    else this.#onQuiet.push(callback)
  }
}
