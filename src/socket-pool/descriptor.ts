/**
 * One file descriptor of the pool and everything that is known about it. Only the pool moves it between states:
 *
 *   leased --release--> idle --lease--> leased
 *   leased --release (cannot be kept) | discard--> closed
 *   idle   --evicted | pool closed--> closed
 */
import type { Peer } from './peer.js'

/** Told about readiness of a leased descriptor. Readiness is a hint; the truth is the next system call's answer. */
export interface ReadinessListener {
  /** @param flags epoll_ctl(2) event bits; see sys/epoll-event for predicates */
  onReadiness(flags: number): void
}

export type DescriptorState = 'leased' | 'idle' | 'closed'

export class Descriptor {
  readonly fd: number
  /** The only remote end that this descriptor ever connects to. */
  readonly peer: Peer
  state: DescriptorState = 'leased'
  /** Who hears of readiness during this lease; `null` between leases, when edges mean nothing. */
  listener: ReadinessListener | null = null
  /** The reactor's batch of readiness in which this lease began: readiness collected before it belongs to the lease before. */
  leasedInBatch = -1
  /** Lent to a foreign owner of a duplicate, hence out of the epoll set: closed, not kept, when it comes back. */
  lent = false
  /** Neighbours in the pool's list of idle descriptors, least recently released first. */
  previous: Descriptor | null = null
  next: Descriptor | null = null

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
  /** The descriptor is about to be closed: once in its life. */
  closing(descriptor: Descriptor): void
}
