/**
 * Connected descriptors as sockets of Node's: handed over for good, or lent. What is lent is a duplicate, over the same
 * open file description.
 *
 * While it is lent the descriptor is in nobody's epoll set but Node's. When the socket is destroyed only the duplicate
 * is closed and no FIN is sent; the descriptor then ends its lease by the same rules as any other.
 */
import { Socket, type SocketConstructorOpts } from 'node:net'
import type { Descriptor } from '../socket-pool/descriptor.js'
import type { Peer } from '../socket-pool/peer.js'
import { AF_UNIX } from '../sys/constants.js'
import { native } from '../sys/native.js'
import { ownedDescriptors, type UvHandle } from '../sys/owned-descriptors.js'
import { systemError } from '../sys/system-error.js'
import { Lingering } from './lingering.js'
import type { StreamOwner } from './stream-wire.js'
import type { Tcp } from './tcp.js'
import { type Initiator, MAX_CHUNK_SIZE } from './wire.js'

export class Loan implements StreamOwner {
  readonly socket: Socket
  readonly #tcp: Tcp
  readonly #descriptor: Descriptor

  /** @throws a Node-style system error when there is no descriptor left; the lease is as it was */
  constructor(tcp: Tcp, descriptor: Descriptor) {
    this.#tcp = tcp
    this.#descriptor = descriptor
    const duplicate = tcp.sockets.lend(descriptor)
    try {
      this.socket = socketOf(duplicate, descriptor.peer)
    } catch (error) {
      tcp.sockets.takeBack(descriptor)
      throw error
    }
  }

  ended(initiator: Initiator | null): void {
    const { closings } = this.#tcp
    const { socket } = this
    const takeBack = (): void => {
      this.#takeBack(initiator)
      closings.end()
    }
    closings.begin()
    socket.on('error', ignore)
    // As long as the duplicate is open the next connection of the descriptor would be its connection, too.
    if (socket.closed) takeBack()
    else socket.once('close', takeBack).destroy()
  }

  handedOver(): void {
    this.#tcp.sockets.discard(this.#descriptor)
  }

  /** On the socket itself, which both descriptors share; so that the pool knows what the next lease has to undo. */
  setTypeOfService(value: number): void {
    if (value !== this.#descriptor.typeOfService) this.#tcp.sockets.setTypeOfService(this.#descriptor, value)
  }

  #takeBack(initiator: Initiator | null): void {
    try {
      this.#tcp.sockets.takeBack(this.#descriptor)
    } catch {
      // There is no room in the epoll set any more.
      return this.#tcp.sockets.discard(this.#descriptor)
    }
    if (initiator === null) this.#tcp.sockets.abort(this.#descriptor)
    else new Lingering(this.#tcp, this.#descriptor, initiator)
  }
}

/**
 * The user's socket from now on, over the connected `fd` of a descriptor that was handed over; like those that undici
 * hands over (undici core/connect.js).
 */
export function handedOver(fd: number, peer: Peer, { enabled, initialDelay }: Tcp['keepAlive']): Socket {
  const socket = socketOf(fd, peer, MAX_CHUNK_SIZE)
  // Node cannot switch off what it does not know to be on.
  socket.setNoDelay(true)
  if (enabled) socket.setKeepAlive(true, initialDelay)
  // A reset that nobody listens for ends the connection, and not the process.
  socket.on('error', ignore)
  // Paused for now, but a listener for 'data' sets it flowing, which pause() would forbid.
  return socket.on('readable', ignore).removeListener('readable', ignore)
}

/** A handle of Node's below a socket: `TCP` or `Pipe` of node:net's own binding. */
interface SocketHandle extends UvHandle {
  close(): void
}

type SocketHandleClass = new (type: number) => SocketHandle

/** Node's own name for a handle that is no server's. */
const SOCKET = 0

/** By address family; no module exports them, but every socket has one. */
const handleClasses: { tcp?: SocketHandleClass; unix?: SocketHandleClass } = {}

/**
 * A `net.Socket` that owns `fd`, and closes it when it cannot be made.
 *
 * A socket that is given a number takes it over only after a while, and worker.terminate() may come in between; one that
 * is given a handle, as net.Server gives it, does not. Only the first socket of a thread, whose class of handle the
 * others get, is made in the other way.
 *
 * @param highWaterMark in bytes, both ways; by default Node's own
 */
function socketOf(fd: number, { domain }: Peer, highWaterMark?: number): Socket {
  // Known to the streams below, but not to the type.
  const options = { readable: true, writable: true, ...(highWaterMark !== undefined && { highWaterMark }) }
  const family = domain === AF_UNIX ? 'unix' : 'tcp'
  const Handle = handleClasses[family]
  const owned = ownedDescriptors()
  if (Handle !== undefined) {
    const handle = new Handle(SOCKET)
    const status = owned.giveTo(handle, fd)
    if (status === 0) return new Socket({ ...options, handle } as SocketConstructorOpts)
    handle.close()
    owned.close(fd)
    throw systemError(-status, 'open')
  }
  owned.disown(fd)
  const socket = numberedSocket(fd, options)
  const { _handle } = socket as unknown as { _handle?: { constructor: SocketHandleClass } }
  if (typeof _handle?.constructor.prototype.open === 'function') handleClasses[family] = _handle.constructor
  return socket
}

function numberedSocket(fd: number, options: SocketConstructorOpts): Socket {
  try {
    return new Socket({ ...options, fd })
  } catch (error) {
    native().close(fd)
    throw error
  }
}

function ignore(): void {}
