/** Handlers of undici's two kinds that write down what they are told, in one form. */
import type { Dispatcher } from 'undici'

/** One callback: its name in the new interface and what it said. Data that comes in pieces is put together. */
export type Event = [name: string, ...said: unknown[]]

export interface Flow {
  pause(): void
  resume(): void
  abort(reason?: Error): void
}

/** Called within the callback of that name. */
export type Hooks = Partial<
  Record<
    'start' | 'started' | 'head' | 'data' | 'end' | 'error' | 'bodySent' | 'requestSent',
    (flow: Flow, said: Event) => void
  >
>

export interface Recording {
  handler: Dispatcher.DispatchHandler
  events: Event[]
  /** Resolves after the end or the error callback. */
  done: Promise<Event[]>
  readonly error: unknown
}

export type Style = 'new' | 'legacy'
export const styles: Style[] = ['new', 'legacy']

const text = (raw: readonly Buffer[] | null): string[] | null =>
  raw === null ? null : raw.map((bytes) => (Buffer.isBuffer(bytes) ? bytes.toString('latin1') : 'no Buffer'))

/** What tells errors apart: class, code and message. */
export function describeError(error: unknown): unknown[] {
  if (!(error instanceof Error)) return [error]
  return [error.constructor.name, (error as NodeJS.ErrnoException).code, error.message]
}

export function recording(style: Style, hooks: Hooks = {}): Recording {
  const events: Event[] = []
  let finish: (events: Event[]) => void
  let error: unknown
  const done = new Promise<Event[]>((resolve) => {
    finish = resolve
  })
  let flow: Flow = { pause() {}, resume() {}, abort() {} }
  const say = (hook: keyof Hooks, ...said: unknown[]): void => {
    const last = events.at(-1)
    if (hook === 'data' && last?.[0] === 'data') last[1] = `${last[1]}${said[0]}`
    else events.push([hook, ...said])
    if (hook === 'end' || hook === 'error') finish(events)
    hooks[hook]?.(flow, [hook, ...said])
  }
  const fail = (thrown: unknown): void => {
    error = thrown
    say('error', ...describeError(thrown))
  }
  const sent = {
    onResponseStarted: () => say('started'),
    onBodySent: (chunk: unknown) => say('bodySent', Buffer.from(chunk as Buffer).toString()),
    onRequestSent: () => say('requestSent'),
  }
  const modern: Dispatcher.DispatchHandler = {
    onRequestStart(controller) {
      flow = controller as Flow
      say('start')
    },
    onResponseStart(controller, statusCode, _headers, statusText) {
      say('head', statusCode, text((controller as unknown as { rawHeaders: Buffer[] }).rawHeaders), statusText)
    },
    onResponseData: (_controller, chunk) => say('data', chunk.toString()),
    onResponseEnd(controller) {
      say('end', text((controller as unknown as { rawTrailers: Buffer[] }).rawTrailers))
    },
    onResponseError: (_controller, thrown) => fail(thrown),
  }
  let isPaused = false
  const legacy = {
    onConnect(abort: (reason?: Error) => void) {
      flow = {
        abort,
        pause() {
          isPaused = true
        },
        resume() {},
      }
      say('start')
    },
    onHeaders(statusCode: number, rawHeaders: Buffer[], resume: () => void, statusText: string) {
      flow.resume = () => {
        isPaused = false
        resume()
      }
      say('head', statusCode, text(rawHeaders), statusText)
      return !isPaused
    },
    onData(chunk: Buffer) {
      say('data', chunk.toString())
      return !isPaused
    },
    onComplete: (trailers: unknown) => say('end', text(trailers as Buffer[])),
    onError: fail,
  } as unknown as Dispatcher.DispatchHandler
  return {
    handler: { ...(style === 'new' ? modern : legacy), ...sent } as Dispatcher.DispatchHandler,
    events,
    done,
    get error() {
      return error
    },
  }
}
