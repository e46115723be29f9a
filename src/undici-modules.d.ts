/** The modules of undici that undici.ts imports, with the types that undici exports for the same things. */
declare module 'undici/lib/dispatcher/dispatcher.js' {
  import type { Dispatcher } from 'undici'

  const value: typeof Dispatcher
  export default value
}
declare module 'undici/lib/core/errors.js' {
  import type { errors } from 'undici'

  const value: typeof errors
  export default value
}
declare module 'undici/lib/core/connect.js' {
  import type { buildConnector } from 'undici'

  const value: typeof buildConnector
  export default value
}
declare module 'undici/lib/core/symbols.js' {
  const value: Readonly<Record<string, symbol>>
  export default value
}
declare module 'undici/lib/core/diagnostics.js' {}
declare module 'undici/lib/api/index.js' {
  import type { Dispatcher } from 'undici'

  const value: Pick<Dispatcher, 'request' | 'stream' | 'pipeline' | 'upgrade' | 'connect'>
  export default value
}
