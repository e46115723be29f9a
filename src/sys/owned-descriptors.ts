/**
 * Descriptors that are closed when this thread's environment ends, however it ends: a native hook closes what
 * worker.terminate() leaves no JavaScript to close.
 *
 * Invariant: there is no step at which a descriptor is open and nobody's, or has two owners. V8 ends a thread where a
 * function or an iteration of a loop begins, and nowhere else: so the two native calls that create a descriptor and
 * hook it, or unhook it and pass it on, follow each other within one function, and nothing else is called in between.
 */
import { EPOLL_CLOEXEC } from './constants.js'
import { type Foreign, foreign, native } from './native.js'

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
  ownedOnce ??= bindOwnedDescriptors(foreign())
  return ownedOnce
}

function bindOwnedDescriptors({ koffi, process }: Foreign): OwnedDescriptors {
  const table = native()
  // One descriptor must not be hooked twice: Node-API aborts the process.
  const hook = process.func('napi_add_env_cleanup_hook', 'int', ['void *', 'void *', 'uintptr_t'])
  const unhook = process.func('napi_remove_env_cleanup_hook', 'int', ['void *', 'void *', 'uintptr_t'])
  const close: bigint = process.symbol('close')
  const { env } = koffi.node
  return {
    socket(domain, type, protocol) {
      const fd = table.socket(domain, type, protocol)
      if (fd >= 0) hook(env, close, fd)
      return fd
    },
    duplicate(fd) {
      const duplicate = table.duplicate(fd)
      if (duplicate >= 0) hook(env, close, duplicate)
      return duplicate
    },
    epoll() {
      const fd = table.epollCreate(EPOLL_CLOEXEC)
      if (fd >= 0) hook(env, close, fd)
      return fd
    },
    close(fd) {
      unhook(env, close, fd)
      return table.close(fd)
    },
    giveTo(handle, fd) {
      const status = handle.open(fd)
      if (status === 0) unhook(env, close, fd)
      return status
    },
    disown(fd) {
      unhook(env, close, fd)
    },
  }
}
