/**
 * What is done when this thread's environment ends, however it ends: worker.terminate() leaves no JavaScript to do it.
 *
 * V8 ends a thread where a function or an iteration of a loop begins, and nowhere else: so what creates a thing and hooks
 * its end, or unhooks it and passes it on, are two native calls within one function, with nothing else between them.
 */
import { type Foreign, foreign } from './native.js'

/** Hooks for one function of C, which takes a number: a descriptor, or an address. */
export interface EndHooks {
  /** The number must not be hooked already: Node-API aborts the process. */
  hook(value: number): void
  unhook(value: number): void
}

let hookingOnce: Hooking | undefined

interface Hooking {
  hook(env: unknown, call: bigint, value: number): number
  unhook(env: unknown, call: bigint, value: number): number
}

/**
 * @param symbol a function of this process, `close` for instance
 * @throws where koffi cannot be loaded or the symbol is missing
 */
export function endHooks(symbol: string): EndHooks {
  const { koffi, process } = foreign()
  hookingOnce ??= bindHooking(process)
  const { hook, unhook } = hookingOnce
  const { env } = koffi.node
  const call: bigint = process.symbol(symbol)
  return {
    hook: (value) => void hook(env, call, value),
    unhook: (value) => void unhook(env, call, value),
  }
}

function bindHooking(process: Foreign['process']): Hooking {
  return {
    hook: process.func('napi_add_env_cleanup_hook', 'int', ['void *', 'void *', 'uintptr_t']),
    unhook: process.func('napi_remove_env_cleanup_hook', 'int', ['void *', 'void *', 'uintptr_t']),
  }
}
