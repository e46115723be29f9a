/** Each promise is broken by a dispatcher around RecyclingAgent, and its check is seen to fail. */
import { Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import { recyclingAgent } from '../support/dispatchers.js'
import type { Style } from '../support/handlers.js'
import { PROMISES } from './promises.js'
import type { AnyHandler, Controller } from './recorder.js'
import type { AnyOptions } from './twin.js'

type Call = (...said: never[]) => unknown

interface Mutation {
  what: string
  promise: keyof typeof PROMISES
  style: Style
  handler?: (handler: AnyHandler) => AnyHandler
  options?: (options: AnyOptions) => AnyOptions
  /** Takes the place of the agent's own 'drain'. */
  drain?: (broken: Dispatcher, inner: Dispatcher) => void
}

/** An agent that keeps all promises but one. */
class Broken extends Dispatcher {
  readonly #inner: Dispatcher
  readonly #mutation: Mutation

  constructor(inner: Dispatcher, mutation: Mutation) {
    super()
    this.#inner = inner
    this.#mutation = mutation
    if (mutation.drain === undefined) inner.on('drain', (...said) => this.emit('drain', ...said))
    else mutation.drain(this, inner)
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { handler: change, options: choose } = this.#mutation
    const changed = change === undefined ? handler : change(handler as AnyHandler)
    const chosen = choose === undefined ? options : choose(options as unknown as AnyOptions)
    const returned = this.#inner.dispatch(
      chosen as unknown as Dispatcher.DispatchOptions,
      changed as Dispatcher.DispatchHandler,
    )
    this.emit('dispatched' as 'drain', new URL('http://unused.test'))
    return returned
  }
}

/** The handler with one method changed. */
const changing =
  (method: string, change: (original: Call) => (...said: never[]) => unknown) =>
  (handler: AnyHandler): AnyHandler => ({ ...handler, [method]: change(handler[method]!) })

const controllerWith = (controller: Controller, change: Partial<Record<keyof Controller, unknown>>): Controller =>
  new Proxy(controller, {
    get(target, key) {
      if (key in change) return change[key as keyof Controller]
      const value = Reflect.get(target, key, target) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

/** One piece of memory for all chunks. */
const scratch = Buffer.alloc(1 << 20)
const reused = (chunk: Buffer): Buffer => scratch.subarray(0, chunk.copy(scratch))

const lowerCased = (raw: Buffer[]): Buffer[] =>
  raw.map((part, i) => (i % 2 === 0 ? Buffer.from(part.toString('latin1').toLowerCase(), 'latin1') : part))
const sorted = (raw: Buffer[]): Buffer[] => {
  const pairs = raw.flatMap((part, i) => (i % 2 === 0 ? [[part, raw[i + 1]!]] : []))
  return pairs.sort(([a], [b]) => Buffer.compare(a!, b!)).flat()
}
const asStrings = (raw: Buffer[]): string[] => raw.map((part) => part.toString('latin1'))
const joined = (raw: Buffer[]): unknown[] => {
  const values = new Map<string, Buffer[]>()
  raw.forEach((part, i) => {
    if (i % 2 === 0) values.set(`${part}`.toLowerCase(), [...(values.get(`${part}`.toLowerCase()) ?? []), raw[i + 1]!])
  })
  return [...values].flatMap(([name, all]) => [Buffer.from(name), all.length === 1 ? all[0] : all])
}

const FIELDS = 'raw fields are single Buffers in their own case and order'
const DRAIN = 'drain comes once, when the queue is empty'
const CUT = 'a response that is cut off is an error, never an end'
const MEMORY = "a chunk's memory is the handler's"

const rawMutations: Mutation[] = Object.entries({ lowerCased, sorted, asStrings, joined }).flatMap(([what, change]) => [
  {
    what: `onHeaders gets raw fields ${what}`,
    promise: FIELDS,
    style: 'legacy',
    handler: changing(
      'onHeaders',
      (original) =>
        (status: never, raw: Buffer[], ...rest: never[]) =>
          original(status, change(raw) as never, ...rest),
    ),
  },
  {
    what: `rawHeaders are ${what}`,
    promise: FIELDS,
    style: 'new',
    handler: changing(
      'onResponseStart',
      (original) =>
        (controller: Controller, ...rest: never[]) =>
          original(controllerWith(controller, { rawHeaders: change(controller.rawHeaders!) }) as never, ...rest),
    ),
  },
])

/** The whole body, read before anybody has asked for it. */
function buffered(source: AsyncIterable<unknown>): AsyncIterable<unknown> {
  const chunks: unknown[] = []
  const all = (async () => {
    for await (const chunk of source) chunks.push(chunk)
  })()
  return (async function* () {
    await all
    yield* chunks
  })()
}

const mutations: Mutation[] = [
  {
    what: 'pause() does nothing',
    promise: 'a paused response is not read',
    style: 'new',
    handler: changing(
      'onResponseStart',
      (original) =>
        (controller: Controller, ...rest: never[]) =>
          original(controllerWith(controller, { pause() {} }) as never, ...rest),
    ),
  },
  {
    what: 'what onHeaders returns is ignored',
    promise: 'a paused response is not read',
    style: 'legacy',
    handler: changing('onHeaders', (original) => (...said: never[]) => {
      original(...said)
      return true
    }),
  },
  {
    what: 'a pause ends by itself',
    promise: 'a paused response is not read',
    style: 'new',
    handler: changing('onResponseStart', (original) => (controller: Controller, ...rest: never[]) => {
      original(controller as never, ...rest)
      setTimeout(() => controller.resume(), 10)
    }),
  },
  {
    what: 'a stream body is read ahead',
    promise: 'a stalled peer stops a stream body',
    style: 'new',
    options: (options) => ({ ...options, body: buffered(options.body as AsyncIterable<unknown>) }),
  },
  {
    what: 'an iterable body is read ahead',
    promise: 'a stalled peer stops an iterable body',
    style: 'new',
    options: (options) => ({ ...options, body: buffered(options.body as AsyncIterable<unknown>) }),
  },
  { what: 'drain never comes', promise: DRAIN, style: 'new', drain: () => {} },
  {
    what: 'drain comes twice',
    promise: DRAIN,
    style: 'new',
    drain: (broken, inner) =>
      inner.on('drain', (...said) => {
        broken.emit('drain', ...said)
        broken.emit('drain', ...said)
      }),
  },
  {
    what: 'drain comes while requests are queued',
    promise: DRAIN,
    style: 'new',
    drain: (broken, inner) => inner.once('connect', (origin) => broken.emit('drain', origin)),
  },
  {
    what: 'drain comes after each call',
    promise: DRAIN,
    style: 'legacy',
    drain: (broken) => broken.on('dispatched' as 'drain', (origin) => broken.emit('drain', origin)),
  },
  {
    what: "a chunk's memory is used again",
    promise: MEMORY,
    style: 'new',
    handler: changing(
      'onResponseData',
      (original) => (controller: never, chunk: Buffer) => original(controller, reused(chunk) as never),
    ),
  },
  {
    what: "a chunk's memory is used again",
    promise: MEMORY,
    style: 'legacy',
    handler: changing('onData', (original) => (chunk: Buffer) => original(reused(chunk) as never)),
  },
  {
    what: 'a chunk is wiped when the callback has returned',
    promise: MEMORY,
    style: 'new',
    handler: changing('onResponseData', (original) => (controller: never, chunk: Buffer) => {
      original(controller, chunk as never)
      setImmediate(() => chunk.fill(0))
    }),
  },
  ...rawMutations,
  {
    what: 'the controller has no rawHeaders',
    promise: FIELDS,
    style: 'new',
    handler: changing(
      'onResponseStart',
      (original) =>
        (controller: Controller, ...rest: never[]) =>
          original(controllerWith(controller, { rawHeaders: null }) as never, ...rest),
    ),
  },
  {
    what: 'a truncation is told as the end',
    promise: CUT,
    style: 'new',
    handler: (handler) => ({
      ...handler,
      onResponseError: (controller: never) => handler.onResponseEnd!(controller, {} as never),
    }),
  },
  {
    what: 'a truncation is told as the end',
    promise: CUT,
    style: 'legacy',
    handler: (handler) => ({ ...handler, onError: () => handler.onComplete!([] as never) }),
  },
  {
    what: 'only a parser error is told as the end',
    promise: CUT,
    style: 'legacy',
    handler: (handler) => ({
      ...handler,
      onError: (error: never) =>
        (error as Error).name === 'HTTPParserError' ? handler.onComplete!([] as never) : handler.onError!(error),
    }),
  },
  {
    what: 'an error is told, and then the end',
    promise: CUT,
    style: 'new',
    handler: (handler) => ({
      ...handler,
      onResponseError(controller: never, error: never) {
        handler.onResponseError!(controller, error)
        handler.onResponseEnd!(controller, {} as never)
      },
    }),
  },
  {
    what: 'the end is told twice',
    promise: 'a response that is whole ends once',
    style: 'legacy',
    handler: changing('onComplete', (original) => (...said: never[]) => {
      original(...said)
      original(...said)
    }),
  },
  {
    what: 'the last chunk is lost',
    promise: 'a response that is whole ends once',
    style: 'new',
    handler: (handler) => ({ ...handler, onResponseData() {} }),
  },
]

describe('is seen to be broken when', () => {
  it.each(mutations.map((mutation) => [mutation.what, mutation.style, mutation] as const))(
    '%s (%s handler)',
    async (_what, style, mutation) => {
      const make = (options = {}): Dispatcher => new Broken(recyclingAgent(options), mutation)
      await expect(PROMISES[mutation.promise](make, style)).rejects.toThrow(/expected/)
    },
  )

  it('each promise is broken at least once', () => {
    expect([...new Set(mutations.map(({ promise }) => promise))].sort()).toEqual(Object.keys(PROMISES).sort())
  })
})
