/** What the package needs of koffi and of the running process, for whoever wants to know what of it is missing. */
import { readFileSync } from 'node:fs'
import { foreign } from './native.js'

/** The package by which they are called. */
export const CALLER = 'koffi'

/** Functions of the C library, of libuv and of Node-API that this folder calls; test/sys/inventory.test.ts compares. */
export const SYMBOLS: readonly string[] = [
  'bind',
  'close',
  'connect',
  'dladdr',
  'dlopen',
  'epoll_create1',
  'epoll_ctl',
  'epoll_wait',
  'fcntl',
  'getpeername',
  'getsockname',
  'getsockopt',
  'napi_add_env_cleanup_hook',
  'napi_get_uv_event_loop',
  'napi_remove_env_cleanup_hook',
  'recv',
  'send',
  'setsockopt',
  'shutdown',
  'socket',
  'uv_fileno',
  'uv_handle_get_type',
  'uv_poll_start',
  'uv_version',
  'uv_walk',
]

/** What is there. */
export interface Inventory {
  /** Of koffi. */
  version: string
  /** Path of koffi's native code; `null` where it cannot be found out. */
  binary: string | null
  /** Those of {@link SYMBOLS} that the process does not have. */
  missing: string[]
}

/**
 * @param symbols to look for
 * @throws where koffi or its prebuilt binary is missing
 */
export function takeInventory(symbols: readonly string[] = SYMBOLS): Inventory {
  const { koffi, process } = foreign()
  const isMissing = (symbol: string): boolean => {
    try {
      process.symbol(symbol)
      return false
    } catch {
      return true
    }
  }
  return { version: koffi.version, binary: mappedBinary(), missing: symbols.filter(isMissing) }
}

/** By the memory that it is mapped to (proc_pid_maps(5)). */
function mappedBinary(): string | null {
  try {
    const [path] = /\/.*koffi.*\.node$/m.exec(readFileSync('/proc/self/maps', 'latin1')) ?? []
    return path ?? null
  } catch {
    return null
  }
}
