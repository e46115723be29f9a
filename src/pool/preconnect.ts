/**
 * Connections that were asked for ahead of any request: whose they are, and when whoever has asked is told. They are free
 * ones like all others as soon as they are there, and nothing is written on them before a request is.
 */
import { AsyncResource } from 'node:async_hooks'
import type { Occasion } from './opening.js'

/** Told of one of the two, once: all are there, or the first error. */
export interface PreconnectListener {
  onReady(): void
  onFailed(error: Error): void
}

/** One call that asks for some. */
export class Preconnect implements Occasion {
  readonly origin: string
  readonly protocol: string
  readonly servername: string | null
  /** Of the call. */
  readonly context = new AsyncResource('RecyclingAgentPreconnect', { requireManualDestroy: true })
  readonly #listener: PreconnectListener
  /** Not there yet. */
  #left: number
  #isOver = false

  constructor({ origin, protocol }: URL, servername: string | null, connections: number, listener: PreconnectListener) {
    this.origin = origin
    this.protocol = protocol
    this.servername = servername
    this.#left = connections
    this.#listener = listener
    if (connections === 0) this.#ready()
  }

  /** One of them is there. */
  opened(): void {
    if (--this.#left === 0) this.#ready()
  }

  /** One could not be made, or is not wanted any more. */
  failed(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#listener.onFailed(error)
  }

  #ready(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#listener.onReady()
  }
}

/** Those of one origin that are on their way. */
export class Preconnects<C> {
  readonly #calls = new Map<C, Preconnect>()

  add(connection: C, call: Preconnect): void {
    this.#calls.set(connection, call)
  }

  /** The connection is there. Without effect for one that is none of these. */
  opened(connection: C): void {
    this.#take(connection)?.opened()
  }

  /** It could not be made. Without effect for one that is none of these. */
  failed(connection: C, error: Error): void {
    this.#take(connection)?.failed(error)
  }

  /** None is wanted any more. @returns the connections, which are to be given up */
  cancel(error: Error): C[] {
    if (this.#calls.size === 0) return []
    const connections = [...this.#calls.keys()]
    const calls = new Set(this.#calls.values())
    this.#calls.clear()
    for (const call of calls) call.failed(error)
    return connections
  }

  #take(connection: C): Preconnect | undefined {
    // Mostly there is none.
    if (this.#calls.size === 0) return undefined
    const call = this.#calls.get(connection)
    this.#calls.delete(connection)
    return call
  }
}
