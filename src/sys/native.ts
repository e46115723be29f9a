/**
 * The C library and the node binary, seen through koffi: one typed function table.
 *
 * Everything above this folder calls the kernel through {@link Native} and never names koffi. koffi is loaded when
 * the table is first asked for, not when this module is imported, so that a program that only imports the package
 * loads no shared object.
 *
 * Invariant: after a call that returned -1, `errno()` must be the very next call of the table.
 */

type Koffi = typeof import('koffi').default

/** An address in this process: a number for memory whose place is fixed, a Buffer for anything that may move. */
export type Memory = Buffer | Uint8Array

/** The system calls and library functions that the package uses. Names and results are those of the man pages. */
export interface Native {
  socket(domain: number, type: number, protocol: number): number
  connect(fd: number, address: Memory, length: number): number
  bind(fd: number, address: Memory, length: number): number
  /** recv(2) into `buffer`. */
  recv(fd: number, buffer: Memory, length: number, flags: number): number
  /** recv(2) to an absolute address: 50 ns cheaper than unwrapping a Buffer; the caller keeps the memory alive. */
  recvAt(fd: number, address: number, length: number, flags: number): number
  send(fd: number, buffer: Memory, length: number, flags: number): number
  /** send(2) from an absolute address; see {@link Native.recvAt}. */
  sendAt(fd: number, address: number, length: number, flags: number): number
  shutdown(fd: number, how: number): number
  close(fd: number): number
  /** fcntl(2) with F_DUPFD_CLOEXEC: a duplicate that children do not inherit. */
  duplicate(fd: number): number
  getsockname(fd: number, address: Memory, length: Memory): number
  getpeername(fd: number, address: Memory, length: Memory): number
  getsockopt(fd: number, level: number, name: number, value: Memory, length: Memory): number
  setsockopt(fd: number, level: number, name: number, value: Memory, length: number): number
  epollCreate(flags: number): number
  epollControl(epollFd: number, operation: number, fd: number, event: Memory): number
  epollWait(epollFd: number, eventsAddress: number, capacity: number, timeoutMs: number): number
  /** errno of the last failing call on this thread. */
  errno(): number
  /** So that {@link Native.errno} tells of nothing that was before: calls that succeed leave it as it is. */
  clearErrno(): void
  /** The absolute address of a view's first byte. Valid while the view's ArrayBuffer is alive and not detached. */
  addressOf(view: Memory): number
}

/** koffi and the symbols of this process, for the modules of this folder that need more than {@link Native}. */
export interface Foreign {
  koffi: Koffi
  process: ReturnType<Koffi['load']>
}

const F_DUPFD_CLOEXEC = 1030

let foreignOnce: Foreign | undefined
let nativeOnce: Native | undefined

/**
 * Loads koffi and opens the running process as a library, once per thread.
 *
 * @throws where koffi or its prebuilt binary is missing
 */
export function foreign(): Foreign {
  if (foreignOnce === undefined) {
    const koffi = requireKoffi()
    foreignOnce = { koffi, process: koffi.load(null) }
  }
  return foreignOnce
}

/**
 * Where koffi is looked for: beside this file, or beside the bundle that it has become part of. In one that is CommonJS
 * `import.meta` is empty; in one of webpack's it names the machine where it was made; in an ES module there is no
 * `__filename`, whatever `typeof` says there.
 */
function places(): string[] {
  return [ownFile(), import.meta.url, process.argv[1]].filter((place) => place !== undefined)
}

function ownFile(): string | undefined {
  try {
    return __filename
  } catch {
    return undefined
  }
}

/**
 * In a way that no bundler follows, for none could take the native code along: webpack knows `createRequire` by its
 * import.
 *
 * @throws what was wrong at the first place
 */
function requireKoffi(): Koffi {
  const { createRequire } = process.getBuiltinModule('node:module')
  let failure: NodeJS.ErrnoException | null = null
  for (const place of places()) {
    try {
      return createRequire(place)('koffi') as Koffi
    } catch (error) {
      failure ??= error as NodeJS.ErrnoException
    }
  }
  throw failure?.errno === undefined ? notLoaded(failure) : failure
}

/** Not for the kernel's answers, which speak for themselves. */
function notLoaded(cause: Error | null): Error {
  const reason = cause?.message.split('\n', 1)[0] ?? 'nobody knows where the program is'
  const words =
    `koffi cannot be loaded: ${reason}. Its native code, an optional dependency of its own, is in no bundle: install it ` +
    'where the program runs, and mark it as external if it is bundled'
  return new Error(words, { cause })
}

/**
 * The function table, built once per thread.
 *
 * @throws where koffi cannot be loaded or a symbol is missing
 */
export function native(): Native {
  nativeOnce ??= bindNative(foreign())
  return nativeOnce
}

function bindNative({ koffi, process }: Foreign): Native {
  // koffi knows no ssize_t; intptr_t is the same register.
  // In C it is variadic; an int is passed alike on x86-64 and arm64 Linux.
  const fcntl = process.func('int fcntl(int fd, int command, int argument)')
  return {
    socket: process.func('int socket(int domain, int type, int protocol)'),
    connect: process.func('int connect(int fd, const void *address, uint32_t length)'),
    bind: process.func('int bind(int fd, const void *address, uint32_t length)'),
    recv: process.func('intptr_t recv(int fd, void *buffer, size_t length, int flags)'),
    recvAt: process.func('recv', 'intptr_t', ['int', 'uintptr_t', 'size_t', 'int']),
    send: process.func('intptr_t send(int fd, const void *buffer, size_t length, int flags)'),
    sendAt: process.func('send', 'intptr_t', ['int', 'uintptr_t', 'size_t', 'int']),
    shutdown: process.func('int shutdown(int fd, int how)'),
    close: process.func('int close(int fd)'),
    duplicate: (fd) => fcntl(fd, F_DUPFD_CLOEXEC, 0),
    getsockname: process.func('int getsockname(int fd, void *address, void *length)'),
    getpeername: process.func('int getpeername(int fd, void *address, void *length)'),
    getsockopt: process.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
    setsockopt: process.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
    epollCreate: process.func('int epoll_create1(int flags)'),
    epollControl: process.func('int epoll_ctl(int epfd, int op, int fd, void *event)'),
    epollWait: process.func('epoll_wait', 'int', ['int', 'uintptr_t', 'int', 'int']),
    errno: () => koffi.errno(),
    clearErrno: () => void koffi.errno(0),
    addressOf: (view) => Number(koffi.address(view)),
  }
}
