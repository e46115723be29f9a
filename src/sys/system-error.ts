/**
 * errno values to errors of the shape that Node's own system errors have: `code`, `errno`, `syscall`, and `address`
 * and `port` where an address was involved.
 */
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'

export const { EAGAIN, EALREADY, EINPROGRESS, EINTR, EISCONN, EMFILE, ENFILE, ENOBUFS, ETIMEDOUT } = constants.errno

/** What connect(2), recv(2) and send(2) can fail with on an internet socket, ip(7) and tcp(7) included. */
const SOCKET_ERRORS: ReadonlySet<number | undefined> = new Set([
  ...`EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED ECONNRESET EFAULT
      EHOSTUNREACH EINPROGRESS EINTR EINVAL EISCONN EMSGSIZE ENETDOWN ENETRESET ENETUNREACH ENOBUFS ENOMEM ENOPROTOOPT
      ENOTCONN ENOTSOCK EOPNOTSUPP EPERM EPIPE EPROTO ETIMEDOUT`
    .split(/\s+/)
    .map((name) => (constants.errno as Record<string, number>)[name]),
  // ENONET and EHOSTDOWN, which `os.constants` does not have.
  64,
  112,
])

/**
 * Whether a call on an internet socket can have failed with it. Of another errno (an ENOENT of connect(2) was seen, once) we
 * take it that it is another call's of this thread: what has become of the one on the socket is then not known.
 */
export const isSocketError = (errno: number): boolean => SOCKET_ERRORS.has(errno)

/** What Node puts on errors of failed system calls. */
export interface SystemError extends Error {
  code: string
  /** Negative, as libuv reports it. */
  errno: number
  syscall: string
  address?: string
  port?: number
}

/**
 * @param errno positive, as the C library reports it
 * @param target where the call went: an IP literal and port, or a path
 */
export function systemError(errno: number, syscall: string, target?: { address: string; port?: number }): SystemError {
  const code = getSystemErrorName(-errno)
  let message = `${syscall} ${code}`
  // Node names a port only when there is one: 0 means that the kernel was to choose.
  const port = target?.port === 0 ? undefined : target?.port
  if (target !== undefined) message += port === undefined ? ` ${target.address}` : ` ${target.address}:${port}`
  const error = new Error(message) as SystemError
  error.errno = -errno
  error.code = code
  error.syscall = syscall
  if (target !== undefined) {
    error.address = target.address
    if (port !== undefined) error.port = port
  }
  return error
}
