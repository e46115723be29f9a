/** The global dispatcher of a process, for every undici in it at once: npm's copies and the one that Node.js holds. */
import type { Dispatcher } from 'undici'
import { RecyclingAgent } from './agent.js'
import { InvalidArgumentError } from './errors.js'

/**
 * Where undici keeps the global dispatcher (undici's lib/global.js). The first is read by undici 6 and 7 and by the
 * built-in `fetch` up to Node.js 25, the second by undici 8 and by the built-in `fetch` from Node.js 26 on.
 */
const GLOBAL_DISPATCHERS = [Symbol.for('undici.globalDispatcher.1'), Symbol.for('undici.globalDispatcher.2')]

/**
 * Makes a dispatcher the global one of this thread: for the built-in `fetch`, `WebSocket` and `EventSource` of
 * any supported Node.js, and for every copy of undici, whatever its version, loaded before or after this call.
 *
 * It does what undici's `setGlobalDispatcher` does, for those whom that does not serve: programs without an undici of
 * their own to import it from, and those whose undici is older than 7.27, which Node.js 26 does not listen to.
 *
 * A later `install` or `setGlobalDispatcher` replaces the dispatcher; nothing closes the one that was replaced. The
 * dispatcher must take handlers of both of undici's interfaces, as RecyclingAgent does.
 *
 * Without an argument it is a new RecyclingAgent with default options.
 *
 * @returns the dispatcher that is now the global one
 * @throws InvalidArgumentError with undici's words when it has no `dispatch` method
 * @throws TypeError where `globalThis` takes no new properties
 */
export function install(): RecyclingAgent
export function install<D extends Dispatcher>(dispatcher: D): D
export function install(dispatcher: Dispatcher = new RecyclingAgent()): Dispatcher {
  if (typeof dispatcher?.dispatch !== 'function') {
    throw new InvalidArgumentError('Argument agent must implement Agent')
  }
  for (const symbol of GLOBAL_DISPATCHERS) {
    // As undici defines them, or its own next definition would throw.
    Object.defineProperty(globalThis, symbol, {
      value: dispatcher,
      writable: true,
      enumerable: false,
      configurable: false,
    })
  }
  return dispatcher
}
