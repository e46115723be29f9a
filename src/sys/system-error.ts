/**
 * errno values to errors of the shape that Node's own system errors have: `code`, `errno`, `syscall`, and `address`
 * and `port` where an address was involved.
 */
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'

export const { EAGAIN, EINPROGRESS, EINTR, EMFILE, ENFILE, ENOBUFS, ETIMEDOUT } = constants.errno

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
