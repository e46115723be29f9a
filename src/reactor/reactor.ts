/**
 * epoll readiness inside Node's own event loop, one reactor per thread.
 *
 * Every descriptor of a pool is registered once for its life, edge-triggered. The epoll descriptor itself is watched by
 * libuv and wakes the loop (sys/event-loop); what happened is then read in the check phase, by an immediate that is
 * armed while there is anything to wait for. An unref'd immediate neither spins the loop nor keeps the process alive.
 *
 * What is not promised: readiness may be spurious (epoll(7)), and an edge is not repeated. Whoever stops reading before
 * EAGAIN must come back by itself, see {@link Reactor.later}.
 */
import type { Descriptor, DescriptorObserver } from '../socket-pool/descriptor.js'
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from '../sys/constants.js'
import { EpollEvents } from '../sys/epoll-event.js'
import { type LoopWaker, wakeLoopFor } from '../sys/event-loop.js'
import { type Native, native } from '../sys/native.js'
import { ownedDescriptors } from '../sys/owned-descriptors.js'
import { setImmediate } from '../sys/real-timers.js'
import { systemError } from '../sys/system-error.js'
import { inRootContext, type Scheduler, type Task, TaskQueue, throwLater } from './scheduler.js'

const EVENTS_PER_BATCH = 512
const INTEREST = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET

export class Reactor implements Scheduler, DescriptorObserver {
  turn = 0
  /** Counts batches of readiness. Compared with {@link Descriptor.leasedInBatch} to drop stale entries. */
  #batch = 0
  readonly #native: Native = native()
  readonly #epollFd: number
  readonly #waker: LoopWaker
  readonly #events = new EpollEvents(EVENTS_PER_BATCH)
  readonly #eventsAddress: number
  /** For epoll_ctl(2), which copies it. */
  readonly #event = new EpollEvents(1)
  readonly #descriptors: (Descriptor | undefined)[] = []
  readonly #onImmediate = (): void => this.#takeTurn()
  readonly #newImmediate = (): NodeJS.Immediate => setImmediate(this.#onImmediate).unref()
  readonly #tasks = new TaskQueue()
  #registered = 0
  #leased = 0
  #holds = 0
  #wakerIsRef = false
  /** The armed immediate: unref'd while it waits for the loop to wake, ref'd when the loop must not sleep. */
  #immediate: NodeJS.Immediate | null = null
  /** Within a turn: something was leased, or dissolved and has a hang-up to be fetched. */
  #mustLook = false
  /** Something was leased since the last batch. */
  #hasLeased = false
  #inTurn = false

  /** @throws where a symbol is missing, or with the system error of epoll_create1(2) */
  constructor() {
    this.#epollFd = ownedDescriptors().epoll()
    if (this.#epollFd < 0) throw systemError(this.#native.errno(), 'epoll_create1')
    this.#eventsAddress = this.#native.addressOf(this.#events.bytes)
    try {
      this.#waker = wakeLoopFor(this.#epollFd)
    } catch (error) {
      ownedDescriptors().close(this.#epollFd)
      throw error
    }
  }

  /** Registers a descriptor for its life. @throws the system error of epoll_ctl(2) */
  opened(descriptor: Descriptor): void {
    this.#event.set(0, INTEREST, descriptor.fd)
    if (this.#native.epollControl(this.#epollFd, EPOLL_CTL_ADD, descriptor.fd, this.#event.bytes) !== 0) {
      throw systemError(this.#native.errno(), 'epoll_ctl')
    }
    this.#descriptors[descriptor.fd] = descriptor
    this.#registered++
  }

  leased(descriptor: Descriptor): void {
    descriptor.leasedInBatch = this.#batch
    this.#hasLeased = true
    this.#leased++
    this.#look()
  }

  released(_descriptor: Descriptor): void {
    this.#leased--
    // The dissolved socket reports a hang-up, which must be fetched once or the epoll descriptor stays readable.
    this.#look()
  }

  lent(descriptor: Descriptor): void {
    this.#leased--
    this.#unregister(descriptor)
  }

  /** @throws the system error of epoll_ctl(2) */
  takenBack(descriptor: Descriptor): void {
    this.opened(descriptor)
    this.leased(descriptor)
  }

  closing(descriptor: Descriptor): void {
    if (descriptor.state === 'leased') this.#leased--
    if (this.#descriptors[descriptor.fd] === descriptor) this.#unregister(descriptor)
  }

  #unregister(descriptor: Descriptor): void {
    this.#descriptors[descriptor.fd] = undefined
    this.#registered--
    this.#native.epollControl(this.#epollFd, EPOLL_CTL_DEL, descriptor.fd, this.#event.bytes)
  }

  later(task: Task): void {
    this.#tasks.add(task)
    if (!this.#inTurn) this.#arm()
  }

  hold(): void {
    if (this.#holds++ === 0 && !this.#wakerIsRef) {
      this.#wakerIsRef = true
      this.#waker.ref()
    }
  }

  letGo(): void {
    this.#holds--
    if (this.#holds === 0 && !this.#inTurn) this.#rest()
  }

  #rest(): void {
    if (this.#wakerIsRef) {
      this.#wakerIsRef = false
      this.#waker.unref()
    }
  }

  #takeTurn(): void {
    this.#immediate = null
    this.#inTurn = true
    this.turn++
    let count = this.#handleAllThatIsThere()
    // connect(2) to a loopback address has done its handshake when it returns: no need to go around the loop for it.
    if (this.#hasLeased) count = this.#handleAllThatIsThere()
    this.#tasks.run()
    this.#inTurn = false
    if (this.#holds === 0) this.#rest()
    if (this.#mustLook || !this.#tasks.isEmpty || this.#leased > 0 || count > 0) this.#arm()
  }

  /**
   * Tasks may be timeouts: whatever was ready before them comes first, however much that is. epoll(7) queues what becomes
   * ready meanwhile behind that, so the number of descriptors bounds the number of batches.
   *
   * @returns how many entries the last batch had
   */
  #handleAllThatIsThere(): number {
    let batches = Math.ceil(this.#registered / EVENTS_PER_BATCH)
    let count: number
    do count = this.#handleBatch()
    while (count === EVENTS_PER_BATCH && --batches > 0)
    return count
  }

  /** @returns how many entries there were */
  #handleBatch(): number {
    this.#mustLook = false
    this.#hasLeased = false
    const batch = ++this.#batch
    // Also where one connection alone is in use: recv(2) would not say that a FIN is behind the data, and the next request,
    // which is written at once, would be lost to it.
    const count = this.#native.epollWait(this.#epollFd, this.#eventsAddress, EVENTS_PER_BATCH, 0)
    for (let i = 0; i < count; i++) {
      const descriptor = this.#descriptors[this.#events.fd(i)]
      // Released and leased again since this batch was fetched: the entry is about the lease before.
      if (descriptor === undefined || descriptor.leasedInBatch === batch) continue
      try {
        descriptor.listener?.onReadiness(this.#events.flags(i))
      } catch (error) {
        throwLater(error)
      }
    }
    return count
  }

  /** Sees to it that epoll_wait(2) is called once more. */
  #look(): void {
    if (this.#inTurn) this.#mustLook = true
    else this.#arm()
  }

  /** There is never more than one immediate: a second one would arm a third, and so on in every turn. */
  #arm(): void {
    this.#immediate ??= inRootContext(this.#newImmediate)
    if (!this.#tasks.isEmpty) this.#immediate.ref()
  }
}

let reactorOfThread: Reactor | undefined

/** This thread's reactor, created when first asked for. @throws as the constructor does */
export function threadReactor(): Reactor {
  reactorOfThread ??= new Reactor()
  return reactorOfThread
}
