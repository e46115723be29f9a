/**
 * The events of a dispatcher: when listeners hear them, in which async context, and what happens when one throws.
 *
 * In undici 'disconnect' comes with the 'close' of a socket, which Node emits behind the callbacks of the turn in which
 * the socket was destroyed. An end that follows from a response's end, or from an abort, is therefore told in the next
 * turn: a listener that the end callback adds hears it. No event overtakes another, and none comes after the end of
 * close() or destroy().
 */
import type { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import { InformationalError } from './errors.js'
import type { EndReason } from './pool/connection-owner.js'
import type { PoolEvents } from './pool/pool-owner.js'
import { type Scheduler, type Task, throwLater } from './reactor/scheduler.js'

/** What waits to be told. */
interface Announcement {
  event: 'disconnect' | 'drain'
  origin: URL
  context: AsyncResource | null
  reason: EndReason | null
}

export class Announcements implements Omit<PoolEvents, 'onIdle' | 'onSendingAgain'>, Task {
  readonly #emitter: EventEmitter
  readonly #targets: readonly EventEmitter[]
  readonly #scheduler: Scheduler
  #waiting: Announcement[] = []
  /** The turn in which the first of them began to wait. */
  #since = 0

  /** @param emitter the dispatcher; it is the only target of its events */
  constructor(emitter: EventEmitter, scheduler: Scheduler) {
    this.#emitter = emitter
    this.#targets = [emitter]
    this.#scheduler = scheduler
  }

  onConnect(origin: URL, context: AsyncResource): void {
    this.flush()
    this.#emit('connect', context, origin)
  }

  onDisconnect(origin: URL, context: AsyncResource, reason: EndReason, isAfterwards: boolean): void {
    if (isAfterwards) return this.#wait({ event: 'disconnect', origin, context, reason })
    this.flush()
    this.#disconnect(origin, context, reason)
  }

  onConnectionError(origin: URL, context: AsyncResource, error: Error): void {
    this.flush()
    this.#emit('connectionError', context, origin, error)
  }

  onDrain(origin: URL): void {
    if (this.#waiting.length > 0) return this.#wait({ event: 'drain', origin, context: null, reason: null })
    this.#emit('drain', null, origin)
  }

  /** Tells what waits to be told. */
  flush(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const { event, origin, context, reason } of waiting) {
      if (event === 'drain') this.#emit('drain', context, origin)
      else this.#disconnect(origin, context!, reason!)
    }
  }

  /** The end of the turn in which it began to wait is too early: the callbacks of that turn go on behind it. */
  run(): void {
    if (this.#waiting.length > 0 && this.#scheduler.turn === this.#since) this.#scheduler.later(this)
    else this.flush()
  }

  #wait(announcement: Announcement): void {
    if (this.#waiting.length === 0) {
      this.#since = this.#scheduler.turn
      this.#scheduler.later(this)
    }
    this.#waiting.push(announcement)
  }

  #disconnect(origin: URL, context: AsyncResource, reason: EndReason): void {
    if (this.#emitter.listenerCount('disconnect') === 0) return
    this.#emit('disconnect', context, origin, reason instanceof Error ? reason : new InformationalError(reason))
  }

  /** What a listener throws is an uncaught exception, and nobody's request suffers for it. */
  #emit(event: string, context: AsyncResource | null, origin: URL, ...more: Error[]): void {
    const emitter = this.#emitter
    if (emitter.listenerCount(event) === 0) return
    try {
      if (context === null) emitter.emit(event, origin, this.#targets, ...more)
      else context.runInAsyncScope(() => emitter.emit(event, origin, this.#targets, ...more))
    } catch (error) {
      throwLater(error)
    }
  }
}
