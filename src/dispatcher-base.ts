/**
 * What RecyclingAgent and RecyclingPool have in common: undici's Dispatcher with its events and its end.
 *
 * The classes have no `#private` members: undici's `compose()` calls their methods through a Proxy, where those would
 * throw. Their state is in dispatcher-core.ts.
 */
import { constants } from 'node:buffer'
import type { EventEmitter } from 'node:events'
import type { Client } from 'undici'
import { DispatcherCore } from './dispatcher-core.js'
import { ClientDestroyedError, InvalidArgumentError } from './errors.js'
import type { ResolvedOptions } from './options.js'
import { queueMicrotask } from './sys/real-timers.js'
import { Dispatcher } from './undici.js'

/** As undici calls back from close() and destroy(): `(null, null)`, or an error. */
type EndCallback = (error: Error | null, data: null) => void

export abstract class DispatcherBase extends Dispatcher {
  protected readonly core: DispatcherCore
  protected readonly resolved: ResolvedOptions
  private closeCallbacks: EndCallback[] | null = null
  private destroyCallbacks: EndCallback[] | null = null

  /** @throws where `transport: 'native'` was asked for, but sockets cannot be recycled */
  constructor(options: ResolvedOptions) {
    super()
    this.resolved = options
    this.core = new DispatcherCore(options, this as unknown as EventEmitter)
  }

  /** close() was called: no further request is taken. */
  get closed(): boolean {
    return this.core.isClosed
  }

  /** destroy() was called, or close() has come to its end. */
  get destroyed(): boolean {
    return this.core.isDestroyed
  }

  /** Read by undici's WebSocket. */
  get webSocketOptions(): Required<Client.WebSocketOptions> {
    const { maxFragments = 131_072, maxPayloadSize = 128 * 1024 * 1024 } = this.resolved.webSocket ?? {}
    return { maxFragments, maxPayloadSize }
  }

  /** Read by undici's EventSource. */
  get eventSourceOptions(): Required<Client.EventSourceOptions> {
    return { maxEventSize: this.resolved.eventSource?.maxEventSize ?? constants.MAX_STRING_LENGTH }
  }

  /** Takes no further request, waits for those it has, then ends all connections. Twice is once. */
  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: EndCallback): Promise<void> | undefined {
    if (callback === undefined) return settled((done) => this.close(done as () => void))
    assertCallback(callback)
    if (this.core.isDestroyed) {
      queueMicrotask(() => callback(new ClientDestroyedError(), null))
    } else if (this.closeCallbacks !== null) {
      this.closeCallbacks.push(callback)
    } else {
      const callbacks = [callback]
      this.closeCallbacks = callbacks
      this.core.close(() => queueMicrotask(() => callAll(callbacks)))
    }
    return undefined
  }

  /** Fails all requests with `error` (default: ClientDestroyedError) and ends all connections. Twice is once. */
  override destroy(): Promise<void>
  override destroy(error: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(first?: Error | null | EndCallback, second?: EndCallback): Promise<void> | undefined {
    const [error, callback] = typeof first === 'function' ? [null, first] : [first ?? null, second]
    if (callback === undefined) return settled((done) => this.destroy(error, done as () => void))
    assertCallback(callback)
    if (this.destroyCallbacks !== null) {
      this.destroyCallbacks.push(callback)
    } else {
      const callbacks = [callback]
      this.destroyCallbacks = callbacks
      this.core.destroy(error ?? new ClientDestroyedError(), () =>
        queueMicrotask(() => {
          this.destroyCallbacks = null
          callAll(callbacks)
        }),
      )
    }
    return undefined
  }
}

function assertCallback(callback: unknown): void {
  if (typeof callback !== 'function') throw new InvalidArgumentError('invalid callback')
}

/** One that throws does not keep the others, promises among them, from hearing of the end. */
function callAll(callbacks: readonly EndCallback[]): void {
  let called = 0
  try {
    for (const callback of callbacks) {
      called++
      callback(null, null)
    }
  } finally {
    if (called < callbacks.length) queueMicrotask(() => callAll(callbacks.slice(called)))
  }
}

/** undici resolves with `null`. */
function settled(start: (done: EndCallback) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error, data) => (error === null ? resolve(data as unknown as undefined) : reject(error)))
  })
}
