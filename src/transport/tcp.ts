/** What all connections of one agent that live on descriptors of its pool share. */

import { Deadline, type DeadlineOwner, Deadlines } from '../reactor/deadlines.js'
import { type Reactor, threadReactor } from '../reactor/reactor.js'
import type { Peer } from '../socket-pool/peer.js'
import { SocketPool, type SocketPoolOptions } from '../socket-pool/socket-pool.js'
import { Link, LinkedList } from '../structures/linked-list.js'
import { Closings } from './closings.js'
import type { Names } from './names.js'

/** How long a new connection may wait for the descriptor of the one before, in milliseconds. */
const RELEASE_WAIT_MS = 10
/** After so many waits in vain, one after the other, a peer is not waited for any more. */
const MOST_MISSES = 3
/** How many peers are remembered for closing too late. */
const SLOW_PEERS_LIMIT = 1024

/** A connection that is over, but for its peer's FIN. */
export abstract class Lingerer extends Link<Lingerer> {
  /** The FIN is not awaited any more. */
  abstract cutShort(): void
}

/** Who waits for a descriptor that is about to be released. */
export interface ReleaseWaiter {
  /** It was, or it took too long. */
  onReleaseWaitOver(): void
}

export class Tcp implements DeadlineOwner {
  readonly reactor: Reactor
  readonly deadlines: Deadlines
  readonly sockets: SocketPool
  readonly names: Names
  /** What the sockets have been told (socket(7)), in milliseconds. */
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelay: number }
  readonly #releaseWait = new Deadline(this)
  /** Waits in vain, by peer. */
  readonly #misses = new Map<string, number>()
  #waiter: ReleaseWaiter | null = null
  /** Whose connections it waits for the end of. */
  #awaited: Peer | null = null
  /** Connections that are over for their owners. */
  readonly closings = new Closings()
  /** Of these, the ones whose peer's FIN is awaited. */
  readonly #lingering = new LinkedList<Lingerer>()
  /** No peer's FIN is awaited any more. */
  isCutShort = false

  /** @throws where koffi or a symbol of the process is missing */
  constructor(options: SocketPoolOptions, names: Names) {
    this.reactor = threadReactor()
    this.deadlines = new Deadlines(this.reactor)
    this.sockets = new SocketPool(options, this.reactor)
    this.names = names
    this.keepAlive = { enabled: options.keepAlive ?? true, initialDelay: options.keepAliveInitialDelay ?? 60_000 }
  }

  /** A connection is over for its owner, but the peer's FIN is still awaited. */
  lingeringBegins(lingerer: Lingerer): void {
    this.#lingering.append(lingerer)
    this.closings.begin()
  }

  lingeringEnds(lingerer: Lingerer): void {
    this.#lingering.remove(lingerer)
    if (this.#waiter !== null) {
      this.#misses.delete(this.#awaited!.key)
      this.#endWait()
    }
    this.closings.end()
  }

  /** Closes what is lingering, and what would: no descriptor will be needed again. */
  cutShort(): void {
    this.isCutShort = true
    for (const lingerer of this.#lingering) lingerer.cutShort()
  }

  /**
   * One request after the other needs one socket: when the last connection to `peer` is over but for its FIN, and
   * nothing else is going on, the next one waits a moment for its descriptor.
   *
   * @returns false when there is nothing to wait for
   */
  awaitRelease(peer: Peer, waiter: ReleaseWaiter): boolean {
    if (this.#lingering.size === 0 || this.#waiter !== null || this.sockets.leased !== this.#lingering.size)
      return false
    if (!this.sockets.keeps(peer) || this.sockets.hasIdle(peer)) return false
    if (this.#misses.get(peer.key) === MOST_MISSES) return false
    this.#waiter = waiter
    this.#awaited = peer
    this.deadlines.start(this.#releaseWait, RELEASE_WAIT_MS)
    return true
  }

  /** `waiter` has given up, if it did wait. */
  cancelWait(waiter: ReleaseWaiter): void {
    if (this.#waiter === waiter) this.#waiter = null
  }

  onDeadline(): void {
    if (this.#waiter === null) return
    const { key } = this.#awaited!
    if (this.#misses.size >= SLOW_PEERS_LIMIT) this.#misses.clear()
    this.#misses.set(key, (this.#misses.get(key) ?? 0) + 1)
    this.#endWait()
  }

  #endWait(): void {
    const waiter = this.#waiter
    if (waiter === null) return
    this.#waiter = null
    this.deadlines.stop(this.#releaseWait)
    waiter.onReleaseWaitOver()
  }
}
