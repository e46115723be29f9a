/**
 * What the package needs of undici, taken from the modules that define it and not from undici's index, which makes an
 * Agent of its own the global dispatcher of the process: whoever only imports this package, or gives an agent to one
 * client, would send the built-in `fetch` through another version of undici than that of its Node.js.
 *
 * They are the very same classes and functions that the index exports, so that `instanceof` holds, and a program that
 * imports undici itself has what undici does. undici 7 and 8 have them at the same places; the package's tests try both.
 */
import type { buildConnector as BuildConnector, Dispatcher as DispatcherClass, errors as Errors } from 'undici'
// Prints what the diagnostics channels say where NODE_DEBUG asks for it.
import 'undici/lib/core/diagnostics.js'
import api from 'undici/lib/api/index.js'
import connect from 'undici/lib/core/connect.js'
import errorClasses from 'undici/lib/core/errors.js'
import symbols from 'undici/lib/core/symbols.js'
import dispatcher from 'undici/lib/dispatcher/dispatcher.js'

/** undici's class, with `request`, `stream`, `pipeline`, `upgrade`, `connect` and `compose`. */
export const Dispatcher: typeof DispatcherClass = dispatcher

export const buildConnector: typeof BuildConnector = connect

export const errors: typeof Errors = errorClasses

/** By their names in undici, which are not exported by its index: what is not there is `undefined`. */
export const undiciSymbols: Readonly<Record<string, symbol | undefined>> = symbols

// As undici's index does it, which may have done it, and may yet do it. What somebody has put there instead stays.
for (const [name, method] of Object.entries(api)) {
  if (!(name in Dispatcher.prototype)) Object.assign(Dispatcher.prototype, { [name]: method })
}
