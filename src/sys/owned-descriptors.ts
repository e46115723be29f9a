/**
 * Descriptors that are closed when this thread's environment ends, however it ends (environment-end.ts).
 *
 * Invariant: there is no step at which a descriptor is open and nobody's, or has two owners. The two native calls that make
 * one follow each other within one function, and nothing else is called in between.
 */
import { EPOLL_CLOEXEC } from './constants.js'
import { endHooks } from './environment-end.js'
import { native } from './native.js'

/** What libuv watches a descriptor with, as far as Node shows it. */
export interface UvHandle {
  /** @returns 0, or a negative errno */
  open(fd: number): number
}

/** Creates and ends descriptors of this thread; results are those of the system calls, as in `Native`. */
export interface OwnedDescriptors {
  socket(domain: number, type: number, protocol: number): number
  /** See `Native.duplicate`; of the two each is closed on its own. */
  duplicate(fd: number): number
  /** epoll_create1(2), close-on-exec. */
  epoll(): number
  close(fd: number): number
  /** From now on `handle` closes the descriptor, if it takes it. @returns 0, or a negative errno when it does not */
  giveTo(handle: UvHandle, fd: number): number
  /** From now on it is up to the caller alone. */
  disown(fd: number): void
}

let ownedOnce: OwnedDescriptors | undefined

/**
 * One object per thread.
 *
 * @throws where koffi cannot be loaded or a symbol is missing
 */
export function ownedDescriptors(): OwnedDescriptors {
  ownedOnce ??= bindOwnedDescriptors()
  return ownedOnce
}

function bindOwnedDescriptors(): OwnedDescriptors {
  const table = native()
  const { env, call, hook, unhook } = endHooks('close')
  return {
    socket(domain, type, protocol) {
      const fd = table.socket(domain, type, protocol)
      if (fd >= 0) hook(env, call, fd)
      return fd
    },
    duplicate(fd) {
      const duplicate = table.duplicate(fd)
      if (duplicate >= 0) hook(env, call, duplicate)
      return duplicate
    },
    epoll() {
      const fd = table.epollCreate(EPOLL_CLOEXEC)
      if (fd >= 0) hook(env, call, fd)
      return fd
    },
    close(fd) {
      unhook(env, call, fd)
      return table.close(fd)
    },
    giveTo(handle, fd) {
      const status = handle.open(fd)
      if (status === 0) unhook(env, call, fd)
      return status
    },
    disown(fd) {
      unhook(env, call, fd)
    },
  }
}
