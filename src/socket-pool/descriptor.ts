/** One file descriptor of the pool and everything that is known about it. Only the pool moves it between its states. */
import { Link } from '../structures/linked-list.js'
import { type DescriptorState, type DescriptorStep, nextState } from './descriptor-state.js'
import type { Peer } from './peer.js'

/** Told about readiness of a leased descriptor. Readiness is a hint; the truth is the next system call's answer. */
export interface ReadinessListener {
  /** @param flags epoll_ctl(2) event bits; see sys/epoll-event for predicates */
  onReadiness(flags: number): void
}

/** A socket of a {@link SocketPool}, which alone makes and moves it: for one use it is leased, in between it is idle. */
export class Descriptor extends Link<Descriptor> {
  /** Its number: non-blocking and close-on-exec. It is the pool's to close. */
  readonly fd: number
  /** The only remote end that this descriptor ever connects to. */
  readonly peer: Peer
  #state: DescriptorState = 'leased'
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

  /** @internal */
  constructor(fd: number, peer: Peer) {
    super()
    this.fd = fd
    this.peer = peer
  }

  /** Where it is now; `lent`: somebody has a duplicate of it. */
  get state(): DescriptorState {
    return this.#state
  }

  /**
   * @throws Error for a step that cannot be taken from the present state
   * @internal
   */
  move(step: DescriptorStep): void {
    this.#state = this.#after(step)
  }

  /**
   * For what has effects before it is done: whoever ends a lease twice would end somebody else's, as the number may
   * belong to another descriptor by now.
   *
   * @throws Error as {@link move} would
   * @internal
   */
  assertMay(step: DescriptorStep): void {
    this.#after(step)
  }

  #after(step: DescriptorStep): DescriptorState {
    const next = nextState(this.#state, step)
    if (next === undefined) throw new Error(`descriptor ${this.fd} is ${this.#state}: no step '${step}'`)
    return next
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
