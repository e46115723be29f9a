/**
 * `struct epoll_event` in a byte buffer: packed to 12 bytes on x86-64, 16 bytes elsewhere (epoll_event(3type)).
 * The data member carries the descriptor number.
 */
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from './constants.js'

const WORD = 4

/** Size of one event and the offset of its data member, in bytes, for a `process.arch`. */
export function epollEventLayout(arch: string): { size: number; dataOffset: number } {
  return arch === 'x64' ? { size: 12, dataOffset: 4 } : { size: 16, dataOffset: 8 }
}

/** The array that epoll_wait(2) fills, or the one event that epoll_ctl(2) takes, without an object per event. */
export class EpollEvents {
  /** The whole array; its memory never moves, so its address may be kept. */
  readonly bytes: Uint8Array
  readonly capacity: number
  readonly #words: Int32Array
  readonly #stride: number
  readonly #dataWord: number

  constructor(capacity: number, arch: string = process.arch) {
    const { size, dataOffset } = epollEventLayout(arch)
    const memory = new ArrayBuffer(size * capacity)
    this.capacity = capacity
    this.bytes = new Uint8Array(memory)
    this.#words = new Int32Array(memory)
    this.#stride = size / WORD
    this.#dataWord = dataOffset / WORD
  }

  /** The readiness bits of event `index`. */
  flags(index: number): number {
    return this.#words[index * this.#stride]!
  }

  /** The descriptor that event `index` is about. */
  fd(index: number): number {
    return this.#words[index * this.#stride + this.#dataWord]!
  }

  set(index: number, flags: number, fd: number): void {
    this.#words[index * this.#stride] = flags
    this.#words[index * this.#stride + this.#dataWord] = fd
  }
}

/** There may be something to read: bytes, FIN or a pending error. Readiness is a hint: recv(2) knows. */
export const isReadable = (flags: number): boolean => (flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0

/** The peer has sent urgent data, which recv(2) stops before (tcp(7)): a short read need not be the last one. */
export const isUrgent = (flags: number): boolean => (flags & EPOLLPRI) !== 0

/** There may be room to write, or a connect(2) has come to its end. */
export const isWritable = (flags: number): boolean => (flags & (EPOLLOUT | EPOLLHUP | EPOLLERR)) !== 0

/** The peer's FIN has arrived: what recv(2) still returns is all there will be (EPOLLRDHUP, epoll_ctl(2)). */
export const isPeerClosed = (flags: number): boolean => (flags & EPOLLRDHUP) !== 0

/** SO_ERROR holds something, or both directions are shut. */
export const hasFailed = (flags: number): boolean => (flags & (EPOLLERR | EPOLLHUP)) !== 0
