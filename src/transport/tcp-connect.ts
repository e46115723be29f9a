/**
 * Connecting: resolves the host, then tries its addresses one after the other on leased descriptors, as Node's
 * `autoSelectFamily` does it (RFC 8305): an attempt that fails, or takes longer than its share, makes room for the next.
 * How long the whole may take is up to the owner: {@link TcpConnect.expire}.
 */
import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { connectTimeoutError, isTimeout } from '../errors.js'
import { Deadline, type DeadlineOwner } from '../reactor/deadlines.js'
import { inRootContext } from '../reactor/scheduler.js'
import type { Descriptor, ReadinessListener } from '../socket-pool/descriptor.js'
import { Peer } from '../socket-pool/peer.js'
import { SO_ERROR, SOL_SOCKET } from '../sys/constants.js'
import { hasFailed, isReadable, isWritable } from '../sys/epoll-event.js'
import { native } from '../sys/native.js'
import { EINPROGRESS, EINTR, type SystemError, systemError } from '../sys/system-error.js'
import { resolveAddresses } from './addresses.js'
import type { ReleaseWaiter, Tcp } from './tcp.js'
import { TcpWire } from './tcp-wire.js'
import type { Connecting, Target } from './transport.js'

/** A ConnectListener, or one that needs this very kind of wire. */
export interface TcpConnectListener {
  onConnected(wire: TcpWire): void
  onConnectFailed(error: Error): void
}

const peersOfTarget = new WeakMap<Target, Map<string, Peer>>()
/** The one peer of a target that is an IP literal, or a Unix socket: nothing has to be asked for it twice. */
const onlyPeer = new WeakMap<Target, readonly Peer[]>()

const NONE: readonly Peer[] = []

/** One attempt to connect to one target. The listener is told once, never from within {@link start}. */
export class TcpConnect implements Connecting, ReadinessListener, ReleaseWaiter, DeadlineOwner {
  readonly #tcp: Tcp
  readonly #target: Target
  readonly #listener: TcpConnectListener
  #attemptTimeout: Deadline | null = null
  #peers: readonly Peer[] = NONE
  #next = 0
  #descriptor: Descriptor | null = null
  #errors: Error[] | null = null
  #isOver = false

  constructor(tcp: Tcp, target: Target, listener: TcpConnectListener) {
    this.#tcp = tcp
    this.#target = target
    this.#listener = listener
  }

  start(): this {
    const target = this.#target
    const known = onlyPeer.get(target)
    if (known !== undefined) {
      this.#peers = known
      this.#tryNext()
    } else if (target.socketPath !== undefined) {
      this.#tryUnix(target.socketPath)
    } else {
      this.#resolve(target)
    }
    return this
  }

  #resolve(target: Target): void {
    try {
      resolveAddresses(target.hostname, target, (error, addresses) => {
        if (this.#isOver) return
        if (error !== null) this.#endLater(error)
        else inRootContext(() => this.#tryAddresses(addresses))
      })
    } catch (error) {
      // What dns.lookup does not take.
      this.#endLater(error as Error)
    }
  }

  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#tcp.cancelWait(this)
    this.#discardAttempt()
  }

  expire(): void {
    this.#end(this.#timeoutError())
  }

  onReadiness(flags: number): void {
    const descriptor = this.#descriptor
    if (descriptor === null || !isWritable(flags)) return
    const errno = hasFailed(flags) ? pendingError(descriptor.fd) : 0
    if (errno === 0 && hasFailed(flags) && !isConnected(descriptor.fd)) return
    if (errno !== 0) {
      this.#attemptFailed(systemError(errno, 'connect', descriptor.peer.target))
    } else {
      this.#descriptor = null
      this.#isOver = true
      this.#stopAttemptTimeout()
      const wire = new TcpWire(this.#tcp, descriptor)
      this.#listener.onConnected(wire)
      // The same edge may have brought the peer's first bytes, or its FIN; it will not come again.
      if (isReadable(flags)) wire.onReadiness(flags)
    }
  }

  onReleaseWaitOver(): void {
    this.#try(this.#peers[0]!)
  }

  #tryUnix(path: string): void {
    try {
      this.#peers = [Peer.unix(path)]
      onlyPeer.set(this.#target, this.#peers)
    } catch (error) {
      this.#endLater(error as Error)
      return
    }
    this.#tryNext()
  }

  #tryAddresses(addresses: LookupAddress[]): void {
    try {
      this.#peers = addresses.map(({ address }) => peerOf(this.#target, address))
      if (isIP(this.#target.hostname) !== 0) onlyPeer.set(this.#target, this.#peers)
    } catch (error) {
      this.#endLater(error as Error)
      return
    }
    this.#tryNext()
  }

  #tryNext(): void {
    const peer = this.#peers[this.#next++]
    if (peer === undefined) {
      this.#endLater(this.#failure())
      return
    }
    if (this.#next > 1 || !this.#tcp.awaitRelease(peer, this)) this.#try(peer)
  }

  #try(peer: Peer): void {
    let descriptor: Descriptor
    try {
      descriptor = this.#tcp.sockets.lease(peer)
    } catch (error) {
      this.#attemptFailed(error as Error)
      return
    }
    this.#descriptor = descriptor
    descriptor.listener = this
    const errno = this.#tcp.sockets.connect(descriptor)
    if (errno !== 0 && !isOnItsWay(errno)) {
      this.#attemptFailed(systemError(errno, 'connect', peer.target))
    } else if (this.#next < this.#peers.length) {
      this.#attemptTimeout ??= new Deadline(this)
      this.#tcp.deadlines.start(this.#attemptTimeout, this.#target.attemptTimeout)
    }
  }

  #attemptFailed(error: Error): void {
    this.#errors ??= []
    this.#errors.push(error)
    this.#discardAttempt()
    this.#tryNext()
  }

  /** Of one attempt. */
  onDeadline(): void {
    const { peer } = this.#descriptor!
    const error = new Error(`connect ETIMEDOUT ${peer.address}:${peer.port}`) as SystemError
    Object.assign(error, { code: 'ETIMEDOUT', errno: -110, syscall: 'connect', ...peer.target })
    this.#attemptFailed(error)
  }

  #timeoutError(): Error {
    const { hostname, port, connectTimeout } = this.#target
    const attempts = this.#peers.slice(0, this.#next).map((peer) => `${peer.address}:${peer.port}`)
    return connectTimeoutError(attempts.length > 1 ? attempts : [], `${hostname}:${port}`, connectTimeout)
  }

  /** As Node reports it, the one error there is or all of them; but if one is a timeout, as undici 8 reports that. */
  #failure(): Error {
    const errors = this.#errors ?? []
    const [first] = errors
    if (errors.length === 1 && first !== undefined) return first
    const aggregate = new AggregateError(errors) as AggregateError & { code?: string }
    const { code } = first as SystemError
    if (code !== undefined) aggregate.code = code
    return isTimeout(aggregate) ? Object.assign(this.#timeoutError(), { cause: aggregate }) : aggregate
  }

  #end(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#tcp.cancelWait(this)
    this.#discardAttempt()
    this.#listener.onConnectFailed(error)
  }

  #endLater(error: Error): void {
    this.#tcp.reactor.later({ run: () => this.#end(error) })
  }

  #stopAttemptTimeout(): void {
    if (this.#attemptTimeout !== null) this.#tcp.deadlines.stop(this.#attemptTimeout)
  }

  #discardAttempt(): void {
    this.#stopAttemptTimeout()
    if (this.#descriptor === null) return
    this.#tcp.sockets.discard(this.#descriptor)
    this.#descriptor = null
  }
}

/** A connection is on its way also when the call was interrupted: connect(2) under EINTR in POSIX. */
const isOnItsWay = (errno: number): boolean => errno === EINPROGRESS || errno === EINTR

function peerOf(target: Target, address: string): Peer {
  let peers = peersOfTarget.get(target)
  if (peers === undefined) {
    peers = new Map()
    peersOfTarget.set(target, peers)
  }
  let peer = peers.get(address)
  if (peer === undefined) {
    const { port, localAddress, localPort } = target
    peer = Peer.internet({ address, port, localAddress, localPort })
    peers.set(address, peer)
  }
  return peer
}

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
