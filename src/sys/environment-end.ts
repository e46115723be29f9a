/**
 * What is done when this thread's environment ends, however it ends: worker.terminate() leaves no JavaScript to do it.
 *
 * V8 ends a thread where a function or an iteration of a loop begins, and nowhere else: so what creates a thing and hooks
 * its end, or unhooks it and passes it on, are two native calls within one function, with nothing else between them.
 */
import { type Foreign, foreign } from './native.js'

/**
 * Hooks for one function of C, which takes a number: a descriptor, or an address. They are the native functions themselves,
 * to be called with {@link env} and {@link call} before the number: a function of ours around them would have a beginning.
 */
export interface EndHooks {
  readonly env: unknown
  readonly call: bigint
  /** napi_add_env_cleanup_hook. The number must not be hooked already: Node-API aborts the process. */
  hook(env: unknown, call: bigint, value: number): number
  /** napi_remove_env_cleanup_hook. */
  unhook(env: unknown, call: bigint, value: number): number
}

let hookingOnce: Pick<EndHooks, 'hook' | 'unhook'> | undefined

/**
 * @param symbol a function of this process, `close` for instance
 * @throws where koffi cannot be loaded or the symbol is missing
 */
export function endHooks(symbol: string): EndHooks {
  const { koffi, process } = foreign()
  hookingOnce ??= bindHooking(process)
  return { ...hookingOnce, env: koffi.node.env, call: process.symbol(symbol) }
}

function bindHooking(process: Foreign['process']): Pick<EndHooks, 'hook' | 'unhook'> {
  return {
    hook: process.func('napi_add_env_cleanup_hook', 'int', ['void *', 'void *', 'uintptr_t']),
    unhook: process.func('napi_remove_env_cleanup_hook', 'int', ['void *', 'void *', 'uintptr_t']),
  }
}
