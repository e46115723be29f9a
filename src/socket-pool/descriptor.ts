/**
 * One file descriptor of the pool and everything that is known about it. Only the pool moves it between states:
 *
 *   leased --release--> idle --lease--> leased
 *   leased --lend--> lent --take back--> leased
 *   leased --release (cannot be kept) | discard | hand over--> closed
 *   lent   --discard--> closed
 *   idle   --evicted | pool closed--> closed
 */
import type { Linked, LinkedList } from '../collections/linked-list.js'
import type { Peer } from './peer.js'

/** Told about readiness of a leased descriptor. Readiness is a hint; the truth is the next system call's answer. */
export interface ReadinessListener {
  /** @param flags epoll_ctl(2) event bits; see sys/epoll-event for predicates */
  onReadiness(flags: number): void
}

/** See {@link Descriptor}. */
export type DescriptorState = 'leased' | 'lent' | 'idle' | 'closed'

/** A socket of a {@link SocketPool}, which alone makes and moves it: for one use it is leased, in between it is idle. */
export class Descriptor implements Linked<Descriptor> {
  /** Its number: non-blocking and close-on-exec. It is the pool's to close. */
  readonly fd: number
  /** The only remote end that this descriptor ever connects to. */
  readonly peer: Peer
  /** Where it is now; `lent`: somebody has a duplicate of it. Written by the pool only. */
  state: DescriptorState = 'leased'
  /**
   * Who hears of readiness during this lease; `null` between leases, when edges mean nothing.
   *
   * @internal
   */
  listener: ReadinessListener | null = null
  /**
   * The reactor's batch of readiness in which this lease began: readiness collected before it belongs to the lease before.
   *
   * @internal
   */
  leasedInBatch = -1
  /** IP_TOS or IPV6_TCLASS, as far as it was set. */
  typeOfService = 0
  /**
   * Of idle descriptors, the least recently released first.
   *
   * @internal
   */
  list: LinkedList<Descriptor> | null = null
  /** @internal */
  previous: Descriptor | null = null
  /** @internal */
  next: Descriptor | null = null

  /** @internal */
  constructor(fd: number, peer: Peer) {
    this.fd = fd
    this.peer = peer
  }
}

/** Keeps descriptors in step with whatever watches them; the reactor is one. */
export interface DescriptorObserver {
  /** A descriptor was created: once in its life. */
  opened(descriptor: Descriptor): void
  /** A lease begins. */
  leased(descriptor: Descriptor): void
  /** A lease ended and the descriptor is kept. */
  released(descriptor: Descriptor): void
  /** Somebody else has a duplicate and watches that one: this one is not to be watched meanwhile. */
  lent(descriptor: Descriptor): void
  /** The duplicate is closed, and the lease goes on. */
  takenBack(descriptor: Descriptor): void
  /** The descriptor is about to be closed, or handed over: once in its life. */
  closing(descriptor: Descriptor): void
}
