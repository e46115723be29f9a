/**
 * Connected descriptors as sockets of Node's: handed over for good, or lent. What is lent is a duplicate, over the same
 * open file description.
 *
 * While it is lent the descriptor is in nobody's epoll set but Node's. When the socket is destroyed only the duplicate
 * is closed and no FIN is sent; the descriptor then ends its lease by the same rules as any other.
 */
import { Socket } from 'node:net'
import type { Descriptor } from '../socket-pool/descriptor.js'
import { native } from '../sys/native.js'
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
      this.socket = socketOf(duplicate)
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
 * The user's socket from now on, over a connected `fd` that nobody else has; like those that undici hands over (undici
 * core/connect.js).
 */
export function handedOver(fd: number, { enabled, initialDelay }: Tcp['keepAlive']): Socket {
  const socket = socketOf(fd, MAX_CHUNK_SIZE)
  // Node cannot switch off what it does not know to be on.
  socket.setNoDelay(true)
  if (enabled) socket.setKeepAlive(true, initialDelay)
  // A reset that nobody listens for ends the connection, and not the process.
  socket.on('error', ignore)
  // Paused for now, but a listener for 'data' sets it flowing, which pause() would forbid.
  return socket.on('readable', ignore).removeListener('readable', ignore)
}

/** A `net.Socket` that owns `fd`. @param highWaterMark in bytes, both ways; by default Node's own */
function socketOf(fd: number, highWaterMark?: number): Socket {
  // Known to the streams below, but not to the type.
  const options = { fd, readable: true, writable: true, ...(highWaterMark !== undefined && { highWaterMark }) }
  try {
    return new Socket(options)
  } catch (error) {
    native().close(fd)
    throw error
  }
}

function ignore(): void {}
