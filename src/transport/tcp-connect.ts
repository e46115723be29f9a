/**
 * Connecting: finds the peers of a target, then tries them on leased descriptors (RFC 8305 5): an attempt that fails, or is
 * not done after its share of the time, makes the next one start, and goes on beside it. The first that is connected wins,
 * the others are given up. How long the whole may take is up to the owner: {@link TcpConnect.expire}.
 */
import { connectFailedError, connectTimeoutError, connectTimeoutErrorOf, isTimeout } from '../errors.js'
import { Deadline, type DeadlineOwner } from '../reactor/deadlines.js'
import type { Descriptor, ReadinessListener } from '../socket-pool/descriptor.js'
import type { Peer } from '../socket-pool/peer.js'
import { SO_ERROR, SOL_SOCKET } from '../sys/constants.js'
import { hasFailed, isReadable, isWritable } from '../sys/epoll-event.js'
import { native } from '../sys/native.js'
import { EINPROGRESS, EINTR, ETIMEDOUT, systemError } from '../sys/system-error.js'
import { type Attempt, Overtime } from './overtime.js'
import { Route } from './route.js'
import type { ReleaseWaiter, Tcp } from './tcp.js'
import { TcpWire } from './tcp-wire.js'
import type { Connecting, Target } from './transport.js'

/** A ConnectListener, or one that needs this very kind of wire. */
export interface TcpConnectListener {
  onConnected(wire: TcpWire): void
  onConnectFailed(error: Error): void
}

const NONE: readonly Peer[] = []

/** One attempt to connect to one target. The listener is told once, never from within {@link start}. */
export class TcpConnect implements Connecting, Attempt, ReadinessListener, ReleaseWaiter, DeadlineOwner {
  isOver = false
  readonly #tcp: Tcp
  readonly #target: Target
  readonly #route: Route
  readonly #listener: TcpConnectListener
  #peers = NONE
  /** Of the peer to try next. */
  #next = 0
  /** On its way to the peer that was tried last. */
  #descriptor: Descriptor | null = null
  /** On their way to peers that were tried before: none, mostly. */
  #earlier: Descriptor[] | null = null
  #nextAttempt: Deadline | null = null
  /** By the place of their peers. */
  #errors: Error[] | null = null
  #failures = 0
  #overtime: Overtime | null = null

  constructor(tcp: Tcp, target: Target, listener: TcpConnectListener) {
    this.#tcp = tcp
    this.#target = target
    this.#route = Route.of(target, tcp.names)
    this.#listener = listener
  }

  start(): this {
    try {
      const known = this.#route.known
      if (known !== null) this.#begin(known)
      else this.#resolve()
    } catch (error) {
      // A resolver of the caller's may throw, and a port be none.
      this.#endLater(error as Error)
    }
    return this
  }

  cancel(): void {
    if (!this.isOver) this.#finish(null)
  }

  expire(): void {
    this.#overtime ??= Overtime.begin(this.#tcp.reactor, this.#tcp.deadlines, this, this.#target.connectTimeout)
  }

  timeOut(): void {
    this.#route.forget(this.#peers)
    this.#end(this.#timeoutError())
  }

  get progress(): number {
    return (this.#peers === NONE ? 0 : 1) + this.#failures
  }

  onReadiness(flags: number): void {
    if (this.#descriptor !== null) this.onReadinessOf(this.#descriptor, flags)
  }

  /** @param descriptor of an attempt that is under way */
  onReadinessOf(descriptor: Descriptor, flags: number): void {
    if (!isWritable(flags)) return
    const errno = hasFailed(flags) ? pendingError(descriptor.fd) : 0
    if (errno === 0 && hasFailed(flags) && !isConnected(descriptor.fd)) return
    if (errno !== 0) {
      this.#attemptFailed(descriptor, errno)
      return
    }
    this.#finish(descriptor)
    const wire = new TcpWire(this.#tcp, descriptor)
    this.#listener.onConnected(wire)
    // The same edge may have brought the peer's first bytes, or its FIN; it will not come again.
    if (isReadable(flags)) wire.onReadiness(flags)
  }

  onReleaseWaitOver(): void {
    if (!this.#try(this.#peers[0]!)) this.#tryNext()
  }

  /** An attempt has had its share of the time: the next one starts beside it (RFC 8305 5). */
  onDeadline(): void {
    this.#tryNext()
  }

  #resolve(): void {
    this.#route.resolve((error, peers) => {
      if (this.isOver) return
      if (error !== null) this.#endLater(error)
      else this.#begin(peers)
    })
  }

  #begin(peers: readonly Peer[]): void {
    this.#peers = peers
    this.#tryNext()
  }

  #tryNext(): void {
    while (this.#next < this.#peers.length) {
      const peer = this.#peers[this.#next++]!
      if (this.#next === 1 && this.#tcp.awaitRelease(peer, this)) return
      if (this.#try(peer)) return
    }
    if (this.#failures === this.#peers.length) this.#endLater(this.#failure())
  }

  /** @returns whether it is under way */
  #try(peer: Peer): boolean {
    if (this.#descriptor !== null) this.#goOnBeside(this.#descriptor)
    let descriptor: Descriptor
    try {
      descriptor = this.#tcp.sockets.lease(peer)
    } catch (error) {
      this.#note(peer, error as Error)
      return false
    }
    descriptor.listener = this
    const errno = this.#tcp.sockets.connect(descriptor)
    if (errno !== 0 && !isOnItsWay(errno)) {
      this.#tcp.sockets.discard(descriptor)
      this.#note(peer, systemError(errno, 'connect', peer.target))
      return false
    }
    this.#descriptor = descriptor
    if (this.#next < this.#peers.length) {
      this.#nextAttempt ??= new Deadline(this)
      this.#tcp.waits.start(this.#nextAttempt, this.#target.attemptTimeout)
    }
    return true
  }

  #goOnBeside(descriptor: Descriptor): void {
    this.#descriptor = null
    this.#earlier ??= []
    this.#earlier.push(descriptor)
    descriptor.listener = new EarlierAttempt(this, descriptor)
  }

  #attemptFailed(descriptor: Descriptor, errno: number): void {
    const { peer } = descriptor
    if (descriptor === this.#descriptor) this.#descriptor = null
    else this.#earlier!.splice(this.#earlier!.indexOf(descriptor), 1)
    this.#tcp.sockets.discard(descriptor)
    this.#note(peer, systemError(errno, 'connect', peer.target))
    this.#tryNext()
  }

  #note(peer: Peer, error: Error): void {
    this.#errors ??= []
    this.#errors[this.#peers.indexOf(peer)] = error
    this.#failures++
  }

  #timeoutError(): Error {
    const { hostname, port, connectTimeout } = this.#target
    const tried = this.#peers.slice(0, this.#next)
    if (tried.length > 1 && this.#failures > 0) return connectTimeoutErrorOf(this.#failureOf(tried))
    const attempts = tried.map((peer) => `${peer.address}:${peer.port}`)
    return connectTimeoutError(attempts.length > 1 ? attempts : [], `${hostname}:${port}`, connectTimeout)
  }

  /** As Node reports it, the one error there is or all of them; but if one is a timeout, as undici 8 reports that. */
  #failure(): Error {
    this.#route.forget(this.#peers)
    if (this.#peers.length === 1) return this.#errors![0]!
    const failure = this.#failureOf(this.#peers)
    return isTimeout(failure) ? connectTimeoutErrorOf(failure) : failure
  }

  #failureOf(peers: readonly Peer[]): Error {
    const { hostname, port } = this.#target
    const attempts = peers.map((peer, index) => {
      const error = this.#errors?.[index] ?? systemError(ETIMEDOUT, 'connect', peer.target)
      return { address: peer.address, error }
    })
    return connectFailedError(`${hostname}:${port}`, attempts)
  }

  #end(error: Error): void {
    if (this.isOver) return
    this.#finish(null)
    this.#listener.onConnectFailed(error)
  }

  #endLater(error: Error): void {
    this.#tcp.reactor.later({ run: () => this.#end(error) })
  }

  /** @param winner is connected; what else is on its way is given up */
  #finish(winner: Descriptor | null): void {
    this.isOver = true
    this.#overtime?.stop()
    if (winner === null) this.#tcp.cancelWait(this)
    if (this.#nextAttempt !== null) this.#tcp.waits.stop(this.#nextAttempt)
    if (this.#descriptor !== null && this.#descriptor !== winner) this.#tcp.sockets.discard(this.#descriptor)
    this.#descriptor = null
    for (const earlier of this.#earlier ?? []) if (earlier !== winner) this.#tcp.sockets.discard(earlier)
    this.#earlier = null
    if (winner !== null && winner.peer !== this.#peers[0]) this.#route.prefer(this.#peers, winner.peer)
  }
}

/** An attempt that goes on beside a later one. */
class EarlierAttempt implements ReadinessListener {
  readonly #connect: TcpConnect
  readonly #descriptor: Descriptor

  constructor(connect: TcpConnect, descriptor: Descriptor) {
    this.#connect = connect
    this.#descriptor = descriptor
  }

  onReadiness(flags: number): void {
    this.#connect.onReadinessOf(this.#descriptor, flags)
  }
}

/** A connection is on its way also when the call was interrupted: connect(2) under EINTR in POSIX. */
const isOnItsWay = (errno: number): boolean => errno === EINPROGRESS || errno === EINTR

const value = Buffer.alloc(4)
const valueLength = Buffer.from(new Uint32Array([4]).buffer)
const address = Buffer.alloc(128)
const addressLength = new Uint32Array(1)

/** SO_ERROR, which reading clears. */
function pendingError(fd: number): number {
  if (native().getsockopt(fd, SOL_SOCKET, SO_ERROR, value, valueLength) !== 0) return native().errno()
  return new Int32Array(value.buffer, value.byteOffset, 1)[0]!
}

function isConnected(fd: number): boolean {
  addressLength[0] = address.length
  return native().getpeername(fd, address, Buffer.from(addressLength.buffer)) === 0
}
