/** What all connections of one agent that live on descriptors of its pool share. */

import { realClock } from '../reactor/clock.js'
import { Deadline, type DeadlineOwner, Deadlines } from '../reactor/deadlines.js'
import { type Reactor, threadReactor } from '../reactor/reactor.js'
import type { Peer } from '../socket-pool/peer.js'
import { SocketPool, type SocketPoolOptions } from '../socket-pool/socket-pool.js'
import { Link, LinkedList } from '../structures/linked-list.js'
import { releaseFreeMemory } from '../sys/allocator.js'
import { Closings } from './closings.js'
import { HandshakeBurst } from './handshake-burst.js'
import type { Names } from './names.js'

/** How long a new connection may wait for the descriptor of the one before, in milliseconds. */
const RELEASE_WAIT_MS = 10
/** After so many waits in vain, one after the other, a peer is not waited for any more. */
const MOST_MISSES = 3
/** How many peers are remembered for closing too late. */
const SLOW_PEERS_LIMIT = 1024
/** So many turns of the event loop a peer on this host needs to answer a FIN with its own, at most. */
const TURNS_FOR_FIN = 3

/** A connection that is over, but for its peer's FIN. */
export abstract class Lingerer extends Link<Lingerer> {
  /** The peer is sent our FIN, if it was not yet. */
  abstract shutDown(): void
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
  /** Timeouts of the user's, by the clock that he may have replaced. */
  readonly deadlines: Deadlines
  /** Waits of our own, of which he knows nothing: always by the real clock. */
  readonly waits: Deadlines
  readonly sockets: SocketPool
  readonly names: Names
  /** Of OpenSSL on descriptors. */
  readonly handshakes: HandshakeBurst
  /** What the sockets have been told (socket(7)), in milliseconds. */
  readonly keepAlive: { readonly enabled: boolean; readonly initialDelay: number }
  readonly #releaseWait = new Deadline(this)
  /** Waits in vain, by peer. */
  readonly #misses = new Map<string, number>()
  #waiter: ReleaseWaiter | null = null
  /** Whose connections it waits for the end of. */
  #awaited: Peer | null = null
  /** Sockets of Node's over lent descriptors, that are being closed. */
  readonly closings = new Closings()
  /** Connections that are over for their owners, but for the peer's FIN. */
  readonly #lingering = new LinkedList<Lingerer>()
  /** No peer's FIN is awaited any more. */
  isCutShort = false

  /** @throws where koffi or a symbol of the process is missing */
  constructor(options: SocketPoolOptions, names: Names) {
    this.reactor = threadReactor()
    this.deadlines = new Deadlines(this.reactor)
    this.waits = new Deadlines(this.reactor, () => realClock)
    this.sockets = new SocketPool(options, this.reactor)
    this.names = names
    this.handshakes = new HandshakeBurst(this.waits, releaseFreeMemory)
    this.keepAlive = { enabled: options.keepAlive ?? true, initialDelay: options.keepAliveInitialDelay ?? 60_000 }
  }

  /** A connection is over for its owner, but the peer's FIN is still awaited. */
  lingeringBegins(lingerer: Lingerer): void {
    this.#lingering.append(lingerer)
  }

  lingeringEnds(lingerer: Lingerer): void {
    this.#lingering.remove(lingerer)
    if (this.#waiter !== null) {
      this.#misses.delete(this.#awaited!.key)
      this.#endWait()
    }
  }

  /**
   * Calls back, at once or later, when every connection that is over for its owner has been sent our FIN. The peers'
   * FINs are awaited behind that, but for those that come at once.
   */
  whenShutDown(callback: () => void): void {
    this.closings.whenNone(() => {
      for (const lingerer of this.#lingering) lingerer.shutDown()
      this.#whenAnswered(callback, TURNS_FOR_FIN)
    })
  }

  #whenAnswered(callback: () => void, turns: number): void {
    if (this.#lingering.size === 0 || turns === 0) callback()
    else this.reactor.later({ run: () => this.#whenAnswered(callback, turns - 1) })
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
    this.waits.start(this.#releaseWait, RELEASE_WAIT_MS)
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
    this.waits.stop(this.#releaseWait)
    waiter.onReleaseWaitOver()
  }
}
