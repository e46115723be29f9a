/**
 * How a caller withdraws a request that waits for a connection: no handler has a controller to abort it with by then.
 * undici's dispatchers learn of it through a function in the options of the request, from undici 8.13 on; before that it
 * is done here by the `signal` of the request itself, which undici's API leaves among the options.
 */

/** What undici's API takes for a signal: an AbortSignal, or an EventEmitter that emits 'abort'. */
interface Signal {
  aborted?: boolean
  reason?: unknown
  addEventListener?(event: 'abort', listener: () => void): void
  removeEventListener?(event: 'abort', listener: () => void): void
  on?(event: 'abort', listener: () => void): void
  removeListener?(event: 'abort', listener: () => void): void
}

/** The function's symbol is private to undici: core/symbols.js, kQueuedAbort. */
const HOOK = 'queued abort'

type Hook = (withdraw: (reason: unknown) => void) => void

/** Options of a request, as far as they say how it is withdrawn. */
export interface WithdrawalOptions {
  signal?: unknown
}

/** Tells the reason, `undefined` for the default one. */
export type Withdraw = (reason: unknown) => void

const NOTHING = (): void => {}

/**
 * From now on `withdraw` is called when the caller gives the request up: from within this call where he has done so.
 *
 * @returns is to be called when the request does not wait any more
 * @throws what a signal, or a hook, of the caller's throws
 */
export function listenForWithdrawal(options: WithdrawalOptions, withdraw: Withdraw): () => void {
  const hook = hookOf(options)
  if (hook !== null) {
    hook(withdraw)
    return NOTHING
  }
  const signal = options.signal as Signal | null | undefined
  if (signal === null || (typeof signal !== 'object' && typeof signal !== 'function')) return NOTHING
  const listener = (): void => withdraw(signal.reason)
  if (signal.aborted === true) {
    listener()
  } else if (typeof signal.addEventListener === 'function') {
    signal.addEventListener('abort', listener)
    return () => signal.removeEventListener?.('abort', listener)
  } else if (typeof signal.on === 'function') {
    signal.on('abort', listener)
    return () => signal.removeListener?.('abort', listener)
  }
  return NOTHING
}

function hookOf(options: object): Hook | null {
  for (const symbol of Object.getOwnPropertySymbols(options)) {
    const hook = (options as Record<symbol, unknown>)[symbol]
    if (symbol.description === HOOK && typeof hook === 'function') return hook as Hook
  }
  return null
}
