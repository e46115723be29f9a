/**
 * One TLS connection over a connected, non-blocking descriptor: its handshake, and records in both directions. It knows
 * nothing of readiness; who owns it calls again when the descriptor is ready.
 *
 * Invariant: behind each call the thread's error queue is empty, for Node's own TLSSockets read it, too. The descriptor is
 * never closed here (BIO_NOCLOSE), and OpenSSL's memory is freed exactly once, by {@link TlsChannel.free}.
 *
 * What OpenSSL writes as its last flight stays in memory until the peer is found to be the right one, as with a TLSSocket:
 * in TLS 1.3 the client's own certificate is part of it, and the server learns that the handshake is done. Then it leaves
 * in one segment with the first bytes of a request, if there is one.
 */
import { MSG_NOSIGNAL } from '../sys/constants.js'
import { native } from '../sys/native.js'
import { type OpenSsl, openssl, type Pointer } from '../sys/openssl.js'
import { EAGAIN, EINTR, ENOBUFS, systemError } from '../sys/system-error.js'
import {
  BIO_NOCLOSE,
  MAX_RECORD_SIZE,
  SSL_CTRL_SET_TLSEXT_HOSTNAME,
  SSL_ERROR_SYSCALL,
  SSL_ERROR_WANT_READ,
  SSL_ERROR_WANT_WRITE,
  SSL_ERROR_ZERO_RETURN,
  SSL_SENT_AND_RECEIVED_SHUTDOWN,
  TLSEXT_NAMETYPE_host_name,
} from './constants.js'
import type { TlsContext } from './tls-context.js'
import { takeTlsError } from './tls-error.js'

/** Answers that are not a number of bytes. */
export const TlsResult = {
  /** The peer has said that it sends nothing more (close_notify), or its FIN has come without that. */
  End: 0,
  /** Not before the descriptor is ready: see {@link TlsChannel.wantsWrite}. */
  Blocked: -1,
  /** There may be more, but others have their turn first: nothing will tell. */
  Interrupted: -2,
  /** For good; see {@link TlsChannel.error}. */
  Failed: -3,
} as const

/** For a flight of a handshake on its way to the kernel. */
const flight = Buffer.allocUnsafeSlow(16_384)

/** Of 16 KB and what comes with them, two fit into half of the buffer that is read into (tls-context.ts). */
const MOST_RECORDS = 2

/** How many records that are no data are read in one go. */
const MOST_CALLS = 16

export class TlsChannel {
  readonly context: TlsContext
  /** Of the last call that failed. */
  error: Error | null = null
  /** The last call that was blocked waits for room to write; otherwise for something to read. */
  wantsWrite = false
  /** OpenSSL itself has found fault with the connection, whose session is good for nothing any more. */
  #isBroken = false
  readonly #library: OpenSsl = openssl()
  readonly #fd: number
  /** 0 when it is freed. */
  #ssl: Pointer
  /** Into which OpenSSL writes until the last flight has left; the connection's. */
  readonly #flight: Pointer
  /** The last flight is in there. */
  #isHeld = true
  /** How many bytes of a request are there, too, of which {@link write} has not spoken yet. */
  #heldLength = 0
  /** Read since there was nothing to be read; at first, nobody knows. */
  #records = MOST_RECORDS + 1
  /** What the kernel had no room for. */
  #unsent: Buffer | null = null

  /**
   * @param servername for SNI; `null`: none is sent
   * @param session to be resumed if the server agrees; 0: none. It stays the caller's
   * @throws where OpenSSL refuses
   */
  constructor(context: TlsContext, fd: number, servername: string | null, session: Pointer) {
    const library = this.#library
    this.context = context
    const ssl = library.create(context.pointer)
    this.#ssl = ssl
    if (ssl === 0) throw takeTlsError()
    library.setConnectState(ssl)
    this.#fd = fd
    this.#flight = library.newMemoryBio()
    library.setReadBio(ssl, library.newSocketBio(fd, BIO_NOCLOSE))
    library.setWriteBio(ssl, this.#flight)
    const isSetUp =
      (servername === null ||
        library.setHostName(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, servername) === 1) &&
      (session === 0 || library.setSession(ssl, session) === 1)
    if (isSetUp) return
    const error = takeTlsError()
    this.free()
    throw error
  }

  /** For what is to be asked about the connection; 0 when it is over. */
  get pointer(): Pointer {
    return this.#ssl
  }

  /**
   * Goes on with the handshake, but for its last flight: what is written to the right peer sends it, or {@link flush}.
   *
   * @returns 1 when it is done, or one of {@link TlsResult}
   */
  handshake(): number {
    if (this.#ssl === 0) return TlsResult.Failed
    if (this.#unsent !== null) {
      const sent = this.#send(this.#unsent)
      if (sent !== 1) return sent
    }
    this.#begin()
    const result = this.#library.handshake(this.#ssl)
    // Verification may have left there what it found.
    if (result === 1) this.#expectNoError()
    const answer = result === 1 ? result : this.#failed(result, 'read')
    if (answer !== TlsResult.Blocked && answer !== TlsResult.Interrupted) return answer
    const sent = this.#sendFlight()
    return sent === 1 ? answer : sent
  }

  /** To the right peer: sends the last flight, unless it has left. @returns 1 when it has, or one of {@link TlsResult} */
  flush(): number {
    if (!this.#isHeld || this.#ssl === 0) return 1
    let sent = this.#unsent === null ? 1 : this.#send(this.#unsent)
    // It may be longer than what is taken out at a time.
    if (sent === 1) sent = this.#sendFlight()
    if (sent !== 1) return sent
    this.#isHeld = false
    this.#library.setWriteBio(this.#ssl, this.#library.newSocketBio(this.#fd, BIO_NOCLOSE))
    return 1
  }

  /** @param address of memory with room for `length` bytes @returns the number of bytes, or one of {@link TlsResult} */
  read(address: number, length: number): number {
    // A call returns behind each record that is no data (RFC 8446 4.6).
    for (let i = 0; i < MOST_CALLS; i++) {
      if (this.#ssl === 0) return TlsResult.Failed
      this.#begin()
      const result = this.#library.read(this.#ssl, address, length)
      const answer = result > 0 ? result : this.#failed(result, 'read')
      this.#records = answer === TlsResult.Blocked ? 0 : this.#records + 1
      if (answer !== TlsResult.Interrupted) return answer
    }
    return TlsResult.Interrupted
  }

  /**
   * After a {@link read} of so many bytes: neither OpenSSL nor the kernel has any more, for the kernel had more room than
   * it filled. So few records since there was nothing at all, padding included, do not fill the buffer that it fills, and
   * nothing else is in there; but for tickets without end, by which a peer can hold up nobody but itself.
   */
  isEmptyAfter(length: number): boolean {
    if (length === MAX_RECORD_SIZE || this.#records > MOST_RECORDS || this.#library.hasPending(this.#ssl) !== 0)
      return false
    this.#records = 0
    return true
  }

  /** Reads without taking what it reads; but what is no data for us, a ticket for instance, is dealt with. */
  peek(buffer: Buffer, length: number): number {
    for (let i = 0; i < MOST_CALLS; i++) {
      if (this.#ssl === 0) return TlsResult.Failed
      this.#begin()
      const result = this.#library.peek(this.#ssl, buffer, length)
      const answer = result > 0 ? result : this.#failed(result, 'read')
      this.#records = answer === TlsResult.Blocked ? 0 : this.#records + 1
      if (answer !== TlsResult.Interrupted) return answer
    }
    return TlsResult.Interrupted
  }

  /**
   * Sends one record at most, to the right peer. What was blocked must be offered again, from the same byte on and as many
   * of them, though the memory may be another.
   *
   * @returns the number of bytes that were taken, or one of {@link TlsResult}
   */
  write(bytes: Uint8Array, length: number): number {
    if (this.#ssl === 0) return TlsResult.Failed
    if (this.#heldLength > 0) return this.#flushWritten()
    this.#begin()
    const result = this.#library.write(this.#ssl, bytes, Math.min(length, MAX_RECORD_SIZE))
    if (result <= 0) return this.#failed(result, 'write')
    if (!this.#isHeld) return result
    this.#heldLength = result
    return this.#flushWritten()
  }

  /** Tells the peer that nothing more will come (RFC 8446 6.1), if there is room for that. */
  sendCloseNotify(): void {
    if (this.#ssl === 0) return
    this.#expectNoError()
    this.#library.shutdown(this.#ssl)
    this.#expectNoError()
    this.flush()
  }

  /** The connection is over, for us; nothing is sent. May be called again. */
  free(): void {
    const ssl = this.#ssl
    if (ssl === 0) return
    this.#ssl = 0
    // OpenSSL takes every other end for a truncation, and spoils the session (SSL_set_shutdown(3)).
    if (!this.#isBroken) this.#library.setShutdown(ssl, SSL_SENT_AND_RECEIVED_SHUTDOWN)
    this.#library.free(ssl)
    this.#expectNoError()
  }

  /** Behind the last flight: the bytes count as taken when they have left. */
  #flushWritten(): number {
    const sent = this.flush()
    if (sent !== 1) return sent
    const length = this.#heldLength
    this.#heldLength = 0
    return length
  }

  /** What OpenSSL has written. @returns 1 when the kernel has it all, or one of {@link TlsResult} */
  #sendFlight(): number {
    let sent = 1
    while (sent === 1) {
      const length = this.#library.readBio(this.#flight, flight, flight.length)
      if (length <= 0) return 1
      sent = this.#send(flight.subarray(0, length))
    }
    return sent
  }

  /** @returns 1 when the kernel has it all; what it has not is kept */
  #send(bytes: Buffer): number {
    const sent = native().send(this.#fd, bytes, bytes.length, MSG_NOSIGNAL)
    if (sent === bytes.length) {
      this.#unsent = null
      return 1
    }
    const errno = sent < 0 ? native().errno() : 0
    this.#unsent = Buffer.from(bytes.subarray(Math.max(0, sent)))
    this.wantsWrite = true
    if (sent >= 0) return TlsResult.Interrupted
    if (errno === EAGAIN) return TlsResult.Blocked
    if (errno === EINTR || errno === ENOBUFS) return TlsResult.Interrupted
    this.error = systemError(errno, 'write')
    return TlsResult.Failed
  }

  #begin(): void {
    this.#expectNoError()
    native().clearErrno()
  }

  /** SSL_get_error(3) takes whatever is in the queue for an error of the call before. */
  #expectNoError(): void {
    // To look costs a quarter of what clearing costs.
    if (this.#library.peekError() !== 0) this.#library.clearErrors()
  }

  #failed(result: number, syscall: 'read' | 'write'): number {
    const errno = native().errno()
    const kind = this.#library.error(this.#ssl, result)
    switch (kind) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        this.wantsWrite = kind === SSL_ERROR_WANT_WRITE
        // Only the kernel's word promises another edge.
        return errno === EAGAIN ? TlsResult.Blocked : TlsResult.Interrupted
      case SSL_ERROR_ZERO_RETURN:
        this.#expectNoError()
        return TlsResult.End
      case SSL_ERROR_SYSCALL:
        this.error = systemError(errno, syscall)
        this.#expectNoError()
        return TlsResult.Failed
      default:
        this.#isBroken = true
        this.error = takeTlsError()
        return TlsResult.Failed
    }
  }
}
