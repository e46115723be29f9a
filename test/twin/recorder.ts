/**
 * Handlers of undici's two kinds that write what they are told into a log which several exchanges, and the events of
 * their dispatcher, share: the order among all of them is a part of what is compared.
 */
import type { Dispatcher } from 'undici'
import type { Style } from '../support/handlers.js'

/** Who was told, what, and with which arguments. Pieces of one body are put together. */
export type Entry = [who: string, what: string, ...said: unknown[]]

export type Callback = 'start' | 'started' | 'head' | 'data' | 'end' | 'error' | 'bodySent' | 'requestSent'

/** What either kind of handler can do to its exchange. */
export interface Flow {
  /** With a legacy handler: what the callback returns. */
  pause(): void
  resume(): void
  abort(reason?: unknown): void
  /** What a new handler gets. */
  controller: Controller | null
}

export type Controller = Dispatcher.DispatchController & {
  rawHeaders: Buffer[] | null
  rawTrailers: Buffer[] | null
}

/** Called within the callbacks; may throw. */
export type Hooks = Partial<Record<Callback, (flow: Flow, entry: Entry) => void>>

/** The methods of both kinds of handlers; the type of undici 8 knows only the new ones. */
export type AnyHandler = Record<string, (...args: never[]) => unknown>

export interface Exchange {
  readonly name: string
  readonly handler: AnyHandler
  /** Resolves after the end or the error callback. */
  readonly done: Promise<void>
  /** What the error callback was given, itself. */
  readonly error: unknown
  readonly flow: Flow
}

const latin1 = (bytes: unknown): string => (Buffer.isBuffer(bytes) ? bytes.toString('latin1') : `no Buffer: ${bytes}`)

/** Flat names and values as lines; what is no flat array of Buffers shows. */
function lines(raw: unknown): unknown {
  if (!Array.isArray(raw)) return `no array: ${raw}`
  const said: string[] = []
  for (let i = 0; i < raw.length; i += 2) said.push(`${latin1(raw[i])}: ${latin1(raw[i + 1])}`)
  return said
}

/** What tells errors apart. */
export function describeError(error: unknown): unknown[] {
  if (!(error instanceof Error)) return [typeof error, error]
  const { code } = error as NodeJS.ErrnoException
  return [error.constructor.name, code, error.message]
}

const sentText = (chunk: unknown): string =>
  typeof chunk === 'string' ? `string ${chunk}` : `bytes ${Buffer.from(chunk as Uint8Array).toString('latin1')}`

export function record(log: (entry: Entry) => void, name: string, style: Style, hooks: Hooks): Exchange {
  let finish: () => void = () => {}
  let error: unknown
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  let flow: Flow = { pause() {}, resume() {}, abort() {}, controller: null }
  const say = (what: Callback, ...said: unknown[]): void => {
    const entry: Entry = [name, what, ...said]
    log(entry)
    if (what === 'end' || what === 'error') finish()
    hooks[what]?.(flow, entry)
  }
  const fail = (thrown: unknown): void => {
    error = thrown
    say('error', ...describeError(thrown))
  }
  const both: AnyHandler = {
    onResponseStarted: () => say('started'),
    onBodySent: (chunk: unknown) => say('bodySent', sentText(chunk)),
    onRequestSent: () => say('requestSent'),
  }
  const kind = style === 'new' ? newHandler(log, name, say, fail, setFlow) : legacyHandler(say, fail, setFlow)
  function setFlow(value: Flow): void {
    flow = value
  }
  return {
    name,
    handler: { ...kind, ...both },
    done,
    get error() {
      return error
    },
    get flow() {
      return flow
    },
  }
}

type Say = (what: Callback, ...said: unknown[]) => void

function newHandler(
  log: (entry: Entry) => void,
  name: string,
  say: Say,
  fail: (thrown: unknown) => void,
  setFlow: (flow: Flow) => void,
): AnyHandler {
  return {
    onRequestStart(controller: Controller) {
      setFlow({
        pause: () => controller.pause(),
        resume: () => controller.resume(),
        abort: (reason) => controller.abort(reason as Error),
        controller,
      })
      say('start')
    },
    onResponseStart(controller: Controller, statusCode: number, headers: unknown, statusText: string) {
      log([name, 'fields', headers])
      say('head', statusCode, lines(controller.rawHeaders), statusText)
    },
    onResponseData: (_controller: Controller, chunk: Buffer) => say('data', latin1(chunk)),
    onResponseEnd(controller: Controller, trailers: unknown) {
      log([name, 'trailers', trailers])
      say('end', lines(controller.rawTrailers))
    },
    onResponseError: (_controller: Controller, thrown: unknown) => fail(thrown),
  }
}

function legacyHandler(say: Say, fail: (thrown: unknown) => void, setFlow: (flow: Flow) => void): AnyHandler {
  let goOn: unknown = true
  const flow: Flow = {
    pause() {
      goOn = false
    },
    resume() {},
    abort() {},
    controller: null,
  }
  return {
    onConnect(abort: (reason?: unknown) => void) {
      flow.abort = abort
      setFlow(flow)
      say('start')
    },
    onHeaders(statusCode: number, rawHeaders: unknown, resume: () => void, statusText: string) {
      goOn = true
      flow.resume = () => {
        goOn = true
        resume()
      }
      say('head', statusCode, lines(rawHeaders), statusText)
      return goOn
    },
    onData(chunk: Buffer) {
      goOn = true
      say('data', latin1(chunk))
      return goOn
    },
    onComplete: (trailers: unknown) => say('end', lines(trailers)),
    onError: fail,
  }
}
