/** Moves a body from its source to its writer, no faster than the wire takes it. */
import { RequestAbortedError } from '../errors.js'
import { type BodyIterable, destroyStream, leaveStream, type StreamBody } from '../request/body.js'
import type { BodyWriter } from './body-writer.js'

/** Who waits for a body to be sent. One of the two is called, once, unless the pump was cancelled. */
export interface PumpOwner {
  bodySent(): void
  bodyFailed(error: unknown): void
}

export interface BodyPump {
  start(): void
  /** The wire takes more. */
  onDrain(): void
  /** Nothing more is read from the source; it is told so. */
  cancel(error?: Error): void
}

/** Bytes that were held back: the others leave with their head. */
export class BytesPump implements BodyPump {
  readonly #bytes: Uint8Array
  readonly #writer: BodyWriter
  readonly #owner: PumpOwner
  #isOver = false

  constructor(bytes: Uint8Array, writer: BodyWriter, owner: PumpOwner) {
    this.#bytes = bytes
    this.#writer = writer
    this.#owner = owner
  }

  start(): void {
    // Whoever is told may end the request.
    this.#writer.write(this.#bytes)
    if (!this.#isOver) this.#writer.end()
    if (!this.#isOver) this.#owner.bodySent()
  }

  /** They have been handed to the wire, as many as they are. */
  onDrain(): void {}

  cancel(): void {
    this.#isOver = true
  }
}

/** A Node stream, paused while the wire is blocked. */
export class StreamPump implements BodyPump {
  readonly #stream: StreamBody
  readonly #writer: BodyWriter
  readonly #owner: PumpOwner
  #isOver = false
  readonly #onData = (chunk: never): void => this.#write(chunk)
  readonly #onEnd = (): void => this.#end()
  readonly #onError = (error: Error): void => this.#fail(error)
  readonly #onClose = (): void => {
    // A broken stream may close before it says why: the error has the rest of this tick to come.
    queueMicrotask(() => this.#fail(new RequestAbortedError()))
  }

  constructor(stream: StreamBody, writer: BodyWriter, owner: PumpOwner) {
    this.#stream = stream
    this.#writer = writer
    this.#owner = owner
  }

  start(): void {
    const stream = this.#stream
    try {
      stream.on('data', this.#onData)
      stream.on('end', this.#onEnd)
      stream.on('error', this.#onError)
      stream.on('close', this.#onClose)
      stream.resume?.()
    } catch (error) {
      // What only looks like one of Node's may throw.
      return this.#fail(error)
    }
    // What has happened already is not emitted again.
    if (stream.errorEmitted ?? stream.errored) queueMicrotask(() => this.#fail(stream.errored))
    else if (stream.endEmitted ?? stream.readableEnded) queueMicrotask(() => this.#end())
    else if (stream.closed) this.#onClose()
  }

  onDrain(): void {
    try {
      this.#stream.resume?.()
    } catch (error) {
      this.#fail(error)
    }
  }

  cancel(error?: Error): void {
    this.#leave()
    destroyStream(this.#stream, error)
  }

  #write(chunk: unknown): void {
    if (this.#isOver) return
    try {
      if (!this.#writer.write(chunk)) this.#stream.pause?.()
    } catch (error) {
      this.#fail(error)
    }
  }

  #end(): void {
    if (this.#isOver) return
    this.#leave()
    try {
      this.#writer.end()
    } catch (error) {
      this.#owner.bodyFailed(error)
      return
    }
    this.#owner.bodySent()
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#leave()
    this.#owner.bodyFailed(error)
  }

  #leave(): void {
    this.#isOver = true
    leaveStream(this.#stream, { data: this.#onData, end: this.#onEnd, close: this.#onClose })
    // The error listener stays: a stream that is destroyed with an error emits it later.
  }
}

/** An iterable, whose next chunk is not asked for while the wire is blocked. */
export class IterablePump implements BodyPump {
  readonly #iterable: BodyIterable
  readonly #writer: BodyWriter
  readonly #owner: PumpOwner
  #iterator: AsyncIterator<unknown> | Iterator<unknown> | null = null
  readonly #isLengthSure: boolean
  #isOver = false
  #onDrained: (() => void) | null = null

  /**
   * @param length in bytes, where it is certain: then the body ends with its last byte, not when the iterator says so,
   *   which for a Blob may be after the response; `null` where it is not
   */
  constructor(iterable: BodyIterable, length: number | null, writer: BodyWriter, owner: PumpOwner) {
    this.#isLengthSure = length !== null
    this.#iterable = iterable
    this.#writer = writer
    this.#owner = owner
  }

  start(): void {
    void this.#run()
  }

  onDrain(): void {
    const onDrained = this.#onDrained
    this.#onDrained = null
    onDrained?.()
  }

  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.onDrain()
    this.#letGo()
  }

  async #run(): Promise<void> {
    try {
      const iterator = iteratorOf(this.#iterable)
      this.#iterator = iterator
      for (;;) {
        const { done, value } = await iterator.next()
        if (this.#isOver) return
        if (done) break
        // A synchronous iterator may yield promises, which `for await` would wait for; nothing else is worth a tick.
        const chunk: unknown = value instanceof Promise ? await value : value
        if (this.#isOver) return
        if (!this.#writer.write(chunk) && !this.#isOver) {
          await new Promise<void>((resolve) => {
            this.#onDrained = resolve
          })
        }
        if (this.#isOver) return
        if (this.#isLengthSure && this.#writer.isFull) {
          this.#letGo()
          break
        }
      }
      this.#writer.end()
    } catch (error) {
      if (this.#isOver) return
      this.#isOver = true
      this.#letGo()
      this.#owner.bodyFailed(error)
      return
    }
    if (this.#isOver) return
    this.#isOver = true
    this.#owner.bodySent()
  }

  /** The iterator may release what it holds; what it has to say about that concerns nobody any more. */
  #letGo(): void {
    try {
      const result = this.#iterator?.return?.()
      if (result instanceof Promise) result.catch(() => {})
    } catch {
      // As above.
    }
  }
}

function iteratorOf(iterable: BodyIterable): AsyncIterator<unknown> | Iterator<unknown> {
  return Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]()
}
