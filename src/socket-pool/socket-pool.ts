/**
 * A pool of sockets, not of connections: after use, connect(2) with an AF_UNSPEC address *dissolves* the association
 * and the descriptor is connected again, without close(2), socket(2), socket options or epoll_ctl(2) in between.
 *
 * Knows nothing of HTTP. Invariant: a descriptor is in one state of descriptor-state.ts, and is only ever leased again for
 * the peer that it was created for (the ISN rule, see peer.ts).
 */
import { AF_UNIX, SHUT_WR, SOCK_DGRAM, SOCK_STREAM } from '../sys/constants.js'
import { type Native, native } from '../sys/native.js'
import { type OwnedDescriptors, ownedDescriptors } from '../sys/owned-descriptors.js'
import { clearTimeout, setTimeout } from '../sys/real-timers.js'
import { inRootContext } from '../sys/root-context.js'
import { decodeInternet, type Endpoint, SOCKADDR_STORAGE_SIZE } from '../sys/sockaddr.js'
import { EALREADY, EINPROGRESS, EISCONN, EMFILE, ENFILE, isSocketError, systemError } from '../sys/system-error.js'
import { Descriptor, type DescriptorObserver } from './descriptor.js'
import { IdleDescriptors } from './idle-descriptors.js'
import { Peer, type PeerAddress } from './peer.js'
import { configureTcp, createSocket, dissolve, setTypeOfService, shareLocalPort } from './sockets.js'

export type { Endpoint }

/**
 * What happens to a socket after use.
 *
 * - `dissolve`: connect(AF_UNSPEC), and keep it. The peer, which has already closed, gets an RST that it does not read.
 * - `graceful`: shutdown(SHUT_WR) first, so that the peer reads a clean end of stream; then as `dissolve`. This costs one more
 *   system call, and a TIME_WAIT on the peer's side.
 * - `off`: close(2), as every other client does.
 */
export type RecycleMode = 'dissolve' | 'graceful' | 'off'

/** Options of {@link SocketPool}. */
export interface SocketPoolOptions {
  /** The kind of its sockets. @default 'tcp' */
  type?: 'tcp' | 'udp'
  /** What happens to a socket after use: see {@link RecycleMode}. @default 'dissolve' */
  recycle?: RecycleMode
  /** How many idle descriptors are kept, over all peers; the least recently used is closed first. @default 1024 */
  maxIdleSockets?: number
  /**
   * The idle descriptors are closed when none of them has been leased again for this long, in milliseconds. 0: never.
   *
   * @default 30000
   */
  idleSocketTimeout?: number
  /** Whether the kernel probes idle TCP connections: SO_KEEPALIVE (socket(7)). @default true */
  keepAlive?: boolean
  /**
   * How long a connection is idle before the first probe, in milliseconds, rounded down to whole seconds; below 1 s the
   * kernel's default: TCP_KEEPIDLE (tcp(7)).
   *
   * @default 60000
   */
  keepAliveInitialDelay?: number
}

/** Counters of a {@link SocketPool} since its creation; `idle` and `leased` are the present numbers. */
export interface SocketPoolStats {
  /** Sockets created: calls of socket(2). */
  fresh: number
  /** Leases that were served with a dissolved socket. */
  recycled: number
  /** Sockets dissolved and kept. */
  dissolved: number
  /** Sockets shut down before they were dissolved; a part of `dissolved`. */
  graceful: number
  /** Sockets closed, or handed over to somebody else for good. */
  closed: number
  /** Sockets that the kernel refused to dissolve; they were closed instead. */
  refused: number
  /** Leases that ended before the peer's FIN was read; where the peer was still there it got an RST. */
  aborted: number
  /** Sockets dissolved and waiting, now. */
  idle: number
  /** Sockets in use, now. */
  leased: number
}

/**
 * Sockets that are connected, dissolved and connected again: each to one remote address and port in its life.
 *
 * ```
 * lease -> connect -> ... -> release    the peer's FIN was read, or it is UDP: dissolved and kept
 *                         -> abort      at once, whatever the state: the peer gets an RST
 *                         -> discard    connect failed: closed
 *                         -> handOver   it is somebody else's now
 * ```
 *
 * What happens on a connection, readiness included, is its user's business. It belongs to the thread that made it, and
 * works on Linux only.
 */
export class SocketPool {
  readonly #native: Native = native()
  readonly #owned: OwnedDescriptors = ownedDescriptors()
  readonly #isDatagram: boolean
  /** `null`: no SO_KEEPALIVE. */
  readonly #keepAliveSeconds: number | null
  readonly #maxIdle: number
  readonly #idleTimeoutMs: number
  #idleTimer: NodeJS.Timeout | null = null
  /** {@link SocketPoolStats.recycled} when the idle timer was started. */
  #recycledBefore = 0
  readonly #observer: DescriptorObserver | null
  readonly #idle = new IdleDescriptors()
  #mode: RecycleMode
  #probed = false
  #closed = false
  #fresh = 0
  #recycled = 0
  #dissolved = 0
  #graceful = 0
  #closedCount = 0
  #refused = 0
  #aborted = 0
  #leased = 0

  /**
   * @param observer told of each descriptor's birth, leases and end
   * @throws RangeError for an option out of its range; and where koffi cannot be loaded
   */
  constructor(options: SocketPoolOptions = {}, observer: DescriptorObserver | null = null) {
    const { type = 'tcp', recycle = 'dissolve', maxIdleSockets = 1024, idleSocketTimeout = 30_000 } = options
    const { keepAlive = true, keepAliveInitialDelay = 60_000 } = options
    if (type !== 'tcp' && type !== 'udp') throw new RangeError(`invalid type ${type}`)
    if (recycle !== 'dissolve' && recycle !== 'graceful' && recycle !== 'off') {
      throw new RangeError(`invalid recycle ${recycle}`)
    }
    if (!Number.isInteger(maxIdleSockets) || maxIdleSockets < 0) throw new RangeError('invalid maxIdleSockets')
    if (!(idleSocketTimeout >= 0)) throw new RangeError('invalid idleSocketTimeout')
    this.#isDatagram = type === 'udp'
    this.#mode = recycle
    this.#maxIdle = maxIdleSockets
    this.#idleTimeoutMs = idleSocketTimeout
    this.#keepAliveSeconds = keepAlive ? Math.floor(keepAliveInitialDelay / 1000) : null
    this.#observer = observer
  }

  /** A snapshot of the counters. */
  get stats(): SocketPoolStats {
    return {
      fresh: this.#fresh,
      recycled: this.#recycled,
      dissolved: this.#dissolved,
      graceful: this.#graceful,
      closed: this.#closedCount,
      refused: this.#refused,
      aborted: this.#aborted,
      idle: this.#idle.size,
      leased: this.#leased,
    }
  }

  /** How many descriptors are leased now. */
  get leased(): number {
    return this.#leased
  }

  /** Whether a socket of this peer is kept after its release, as far as can be known before. */
  keeps(peer: Peer): boolean {
    // Unix stream sockets cannot be dissolved (EINVAL).
    return !this.#closed && this.#mode !== 'off' && peer.domain !== AF_UNIX
  }

  /** Whether {@link lease} would recycle a socket. */
  hasIdle(peer: Peer): boolean {
    return this.#idle.has(peer.key)
  }

  /**
   * A socket for one use: non-blocking, close-on-exec, not connected. Give it back with {@link release} or
   * {@link discard}.
   *
   * @throws RangeError when the address is not one
   * @throws a Node-style system error when socket(2) or bind(2) fails (EMFILE only after idle sockets were closed)
   */
  lease(peer: Peer | PeerAddress): Descriptor {
    const target = peer instanceof Peer ? peer : Peer.internet(peer)
    let descriptor = this.#idle.pop(target.key)
    if (descriptor === undefined) {
      descriptor = this.#open(target)
    } else {
      descriptor.move('lease')
      this.#recycled++
      // The one option that a lease may have changed; dissolving keeps it.
      if (descriptor.typeOfService !== 0) this.setTypeOfService(descriptor, 0)
    }
    this.#leased++
    this.#observer?.leased(descriptor)
    return descriptor
  }

  /**
   * connect(2) to the descriptor's peer.
   *
   * @param descriptor leased
   * @returns 0 when the connection is there at once, EINPROGRESS when it is on its way (the usual answer for TCP),
   *   another positive errno when it failed: then {@link discard} the descriptor
   */
  connect(descriptor: Descriptor): number {
    const errno = this.#connect(descriptor)
    // A Unix socket is a file: its errors are those of files, too.
    if (errno === 0 || descriptor.peer.port === undefined || isSocketError(errno)) return errno
    // Where the first call has got to.
    const state = this.#connect(descriptor)
    if (state === EISCONN) return 0
    return state === EALREADY ? EINPROGRESS : state
  }

  #connect({ fd, peer }: Descriptor): number {
    return this.#native.connect(fd, peer.remote, peer.remote.length) === 0 ? 0 : this.#native.errno()
  }

  /** IP_TOS, or IPV6_TCLASS, for this lease (ip(7)), as far as the kernel allows it. */
  setTypeOfService(descriptor: Descriptor, value: number): void {
    setTypeOfService(descriptor.fd, descriptor.peer.domain, value)
    descriptor.typeOfService = value
  }

  /**
   * Where the socket is bound to: getsockname(2). Stale between a release and the next connect.
   *
   * @param descriptor leased
   * @returns `null` for a Unix socket
   * @throws a Node-style system error
   */
  localEndpoint({ fd }: Descriptor): Endpoint | null {
    const address = Buffer.alloc(SOCKADDR_STORAGE_SIZE)
    const length = Buffer.from(new Uint32Array([SOCKADDR_STORAGE_SIZE]).buffer)
    if (this.#native.getsockname(fd, address, length) !== 0) throw systemError(this.#native.errno(), 'getsockname')
    return decodeInternet(address)
  }

  /**
   * Ends a lease whose connection has come to its regular end: the peer's FIN was read, or it is UDP. Dissolves the
   * socket by the pool's {@link RecycleMode} and keeps it; what cannot be kept is closed.
   */
  release(descriptor: Descriptor): void {
    descriptor.assertMay('release')
    const isGraceful = this.#mode === 'graceful' && !this.#isDatagram && this.keeps(descriptor.peer)
    const isShutDown = isGraceful && this.#native.shutdown(descriptor.fd, SHUT_WR) === 0
    if (this.#recycle(descriptor, 'release') && isShutDown) this.#graceful++
  }

  /**
   * Ends a lease at once, whatever state its connection is in: where the peer is still there it is reset, the ABORT of
   * RFC 9293 3.10.5. The descriptor is kept as by {@link release}.
   */
  abort(descriptor: Descriptor): void {
    descriptor.assertMay('abort')
    this.#aborted++
    this.#recycle(descriptor, 'abort')
  }

  /** @returns whether the socket was dissolved */
  #recycle(descriptor: Descriptor, step: 'release' | 'abort'): boolean {
    if (this.keeps(descriptor.peer) && this.#dissolve(descriptor.fd)) {
      this.#dissolved++
      this.#leased--
      descriptor.move(step)
      descriptor.listener = null
      this.#observer?.released(descriptor)
      this.#idle.push(descriptor)
      if (this.#idle.size > this.#maxIdle) this.#evict()
      if (this.#idleTimer === null && this.#idleTimeoutMs > 0) this.#startIdleTimer()
      return true
    }
    this.discard(descriptor)
    return false
  }

  /** Ends a lease by closing the descriptor: after a failed connect(2), whose socket POSIX leaves unspecified. */
  discard(descriptor: Descriptor): void {
    // The duplicate of one that is lent lives on with its owner.
    descriptor.assertMay('discard')
    this.#leased--
    this.#close(descriptor, 'discard')
  }

  /**
   * Lends a connected socket: a duplicate of the descriptor belongs to the caller, who closes it before he calls
   * {@link takeBack}. Both share one socket, which must not be dissolved while the duplicate is in use.
   *
   * @returns the duplicate, close-on-exec; until it is given to somebody else, one of `ownedDescriptors()`
   * @throws a Node-style system error when there is no descriptor left
   */
  lend(descriptor: Descriptor): number {
    descriptor.assertMay('lend')
    let duplicate = this.#owned.duplicate(descriptor.fd)
    while (duplicate < 0) {
      this.#makeRoom('dup')
      duplicate = this.#owned.duplicate(descriptor.fd)
    }
    descriptor.move('lend')
    descriptor.listener = null
    this.#observer?.lent(descriptor)
    return duplicate
  }

  /**
   * The duplicate of {@link lend} is closed: the lease goes on, and ends like any other.
   *
   * @throws what the observer throws; the descriptor is lent still, and can only be discarded
   */
  takeBack(descriptor: Descriptor): void {
    descriptor.assertMay('take back')
    this.#observer?.takenBack(descriptor)
    descriptor.move('take back')
  }

  /**
   * Ends a lease by giving the descriptor itself away: from now on it is the caller's to close, or to give to somebody
   * else, as one of `ownedDescriptors()`.
   *
   * @returns its number
   */
  handOver(descriptor: Descriptor): number {
    descriptor.assertMay('hand over')
    this.#leased--
    this.#forget(descriptor, 'hand over')
    return descriptor.fd
  }

  /** Closes what is idle; what is leased is closed as its lease ends. */
  close(): void {
    this.#closed = true
    this.#closeIdle()
  }

  #closeIdle(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    this.#idleTimer = null
    while (this.#idle.size > 0) this.#evict()
  }

  /** One timer for all: a pool that nobody uses any more, or that was forgotten unclosed, keeps no descriptors. */
  #startIdleTimer(): void {
    this.#recycledBefore = this.#recycled
    const isUp = (): void => {
      this.#idleTimer = null
      if (this.#recycled === this.#recycledBefore) this.#closeIdle()
      else if (this.#idle.size > 0) this.#startIdleTimer()
    }
    this.#idleTimer = inRootContext(() => setTimeout(isUp, this.#idleTimeoutMs)).unref()
  }

  #dissolve(fd: number): boolean {
    if (dissolve(fd)) return true
    this.#refused++
    return false
  }

  #open(peer: Peer): Descriptor {
    const fd = this.#socket(peer.domain)
    this.#fresh++
    const descriptor = new Descriptor(fd, peer)
    try {
      if (!this.#isDatagram && peer.domain !== AF_UNIX) configureTcp(fd, this.#keepAliveSeconds)
      this.#bind(fd, peer)
      if (!this.#probed) this.#probe(fd, peer)
      this.#observer?.opened(descriptor)
    } catch (error) {
      this.#owned.close(fd)
      this.#closedCount++
      throw error
    }
    return descriptor
  }

  #socket(domain: number): number {
    for (;;) {
      const fd = createSocket(domain, this.#isDatagram ? SOCK_DGRAM : SOCK_STREAM)
      if (fd >= 0) return fd
      this.#makeRoom('socket')
    }
  }

  /**
   * After a call that got no descriptor: where there is none left, idle ones of other peers are worth less than this.
   *
   * @throws the error of the call when there is nothing to be gained
   */
  #makeRoom(syscall: string): void {
    const errno = this.#native.errno()
    if ((errno !== EMFILE && errno !== ENFILE) || this.#idle.size === 0) throw systemError(errno, syscall)
    this.#evict()
  }

  /** To its local address, if it has one. */
  #bind(fd: number, { local, localTarget }: Peer): void {
    if (local === null || localTarget === null) return
    if (localTarget.port !== 0 && !this.#isDatagram) shareLocalPort(fd)
    if (this.#native.bind(fd, local, local.length) !== 0) throw systemError(this.#native.errno(), 'bind', localTarget)
  }

  /** gVisor and other sandboxes refuse AF_UNSPEC: found out once, on a socket that has nothing to lose. */
  #probe(fd: number, peer: Peer): void {
    if (this.#mode === 'off' || peer.domain === AF_UNIX) return
    this.#probed = true
    if (!this.#dissolve(fd)) this.#mode = 'off'
  }

  #evict(): void {
    const descriptor = this.#idle.takeOldest()
    if (descriptor !== undefined) this.#close(descriptor, 'evict')
  }

  #close(descriptor: Descriptor, step: 'discard' | 'evict'): void {
    this.#forget(descriptor, step)
    this.#owned.close(descriptor.fd)
  }

  #forget(descriptor: Descriptor, step: 'discard' | 'evict' | 'hand over'): void {
    this.#observer?.closing(descriptor)
    descriptor.move(step)
    descriptor.listener = null
    this.#closedCount++
  }
}
