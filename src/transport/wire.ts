/**
 * What a connection needs of the transport below it, whatever that is: TCP over a recycled descriptor, or a stream of
 * Node's. Reading is pulled by the connection, into memory of its choice; writing is pushed and may queue.
 */
import type { Buffer } from 'node:buffer'
import type { Duplex } from 'node:stream'
import type { SocketInfo } from '../errors.js'

/** Answers of {@link Wire.receive} that are not a number of bytes. */
export const Received = {
  /** The peer's FIN: nothing more will come. */
  End: 0,
  /** Nothing is there now; {@link WireListener.onReadable} will tell. */
  Nothing: -1,
  /** The connection failed; see {@link Wire.error}. */
  Failed: -2,
} as const

/** Largest piece that {@link Wire.receiveChunk} receives, in bytes: as much as undici hands out at once. */
export const MAX_CHUNK_SIZE = 65_536

/** Who owns a wire. Calls come from the event loop, never from within a call to the wire. */
export interface WireListener {
  /** There may be something to receive: bytes, FIN or a failure. */
  onReadable(): void
  /** Everything that was queued has been handed to the kernel. */
  onDrain(): void
}

/** Who decided that a connection ends: the peer, whose FIN is on its way, or we. */
export type Initiator = 'peer' | 'self'

export interface Wire {
  listener: WireListener | null
  /** The peer's FIN has arrived; there may still be bytes before it. */
  readonly isPeerClosed: boolean
  /** Less than was asked for means that there is nothing left to receive. */
  readonly isEmptyAfterShortRead: boolean
  /** Bytes wait for room in the kernel's send buffer. */
  readonly isBlocked: boolean
  /** Why the last receive or send failed. */
  readonly error: Error | null
  readonly info: SocketInfo
  /** How many bytes were handed to the kernel, or to the stream: never less. NaN where that is not known. */
  readonly bytesWritten: number
  /**
   * The connection for the eyes of others, one object for its life: a net.Socket, or what has its `remoteAddress`,
   * `remotePort`, `remoteFamily`, `localAddress`, `localPort` and `alpnProtocol`. To be asked for only when somebody
   * wants to see it: it is not made before that.
   */
  readonly socket: object
  /** {@link detach} may be called: what is below the connection can be handed over. */
  readonly canDetach: boolean
  /** {@link probe} sees what has arrived; if not, it sees what Node has read of it so far. */
  readonly probesKernel: boolean
  /** Receives into `window`. @returns the number of bytes, or one of {@link Received} */
  receive(window: Buffer): number
  /** Receives up to `limit` bytes into memory of their own. @returns the bytes, or one of {@link Received} */
  receiveChunk(limit: number): Buffer | number
  /**
   * Whether the connection, between two messages, is as it should be: open, with nothing to receive.
   *
   * @returns the answer of a peek: bytes, or one of {@link Received}
   */
  probe(): number
  /**
   * Sends, or queues what does not fit. The memory must not change before it has been sent.
   *
   * @param more further bytes follow at once: the kernel may wait for them
   */
  send(bytes: Uint8Array, more: boolean): void
  /** As {@link send}, for text whose characters are bytes. */
  sendLatin1(text: string, more: boolean): void
  /** IP_TOS or its IPv6 counterpart, as far as the system allows it (ip(7)). */
  setTypeOfService(value: number): void
  /**
   * The connection is no longer HTTP: it becomes its user's, as a stream that has not been read from and is paused. The
   * owner hears nothing more.
   *
   * @param bytes were received already, and come first
   */
  detach(bytes: Buffer): Duplex
  /**
   * Ends the connection in good order, the peer's FIN awaited. The owner hears nothing more.
   *
   * @param reason what a stream of the caller's is destroyed with
   */
  finish(initiator: Initiator, reason?: Error): void
  /** Ends the connection at once. The owner hears nothing more. @param reason as for {@link finish} */
  abort(reason?: Error): void
}

/** Reset by the peer, as seen by read or write. */
export const isReset = (error: Error): boolean => (error as NodeJS.ErrnoException).code === 'ECONNRESET'
