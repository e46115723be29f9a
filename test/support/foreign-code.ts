/**
 * A scene in which code of the caller's is called by an agent, and what must hold whatever that code does there: nothing
 * but what it throws itself is an uncaught exception, each request ends once, and nothing is left of the agent.
 *
 * Each scene has hosts of its own, by which it is told apart on channels that belong to the whole process: many scenes
 * can be played at a time, on one server.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { LookupAddress } from 'node:dns'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { RecyclingAgentOptions } from '../../src/index.js'
import type { Style } from './handlers.js'

export interface Flow {
  pause(): void
  resume(): void
  abort(reason?: Error): void
}

/** A callback of a handler, by its name in the new interface or in undici's legacy one. */
export type Callback =
  | 'start'
  | 'responseStarted'
  | 'informational'
  | 'head'
  | 'data'
  | 'end'
  | 'error'
  | 'upgrade'
  | 'bodySent'
  | 'requestSent'

export type Hooks = Partial<Record<Callback, () => void>>

/** What somebody does where his code is called. */
export interface Action {
  name: string
  run(scene: Scene): void
  /** Ends the agent: `destroy()`, perhaps with an error, or `close()`. */
  ends?: 'destroy' | 'close'
  throws?: boolean
  aborts?: readonly ('culprit' | 'other')[]
}

/** How a request may end. `first`: with the error that the place itself brings about, without any action. */
export type Outcome = 'ok' | 'thrown' | 'aborted' | 'destroyed' | 'closed' | 'first'

/** A place where code of the caller's is called. */
export interface Place {
  name: string
  /** What is thrown there surfaces, is the error of the culprit or of all that wait for the connection, or is ignored. */
  onThrow: 'surfaces' | 'culprit' | 'connection' | 'ignored'
  /** Nothing has been answered there: who destroys the agent fails all requests. */
  isEarly?: boolean
  /** The culprit is over: it cannot be aborted there. */
  isOver?: boolean
  /** How the culprit ends without any action; by default `ok`. */
  culprit?: Outcome
  /** The same for the others. */
  others?: readonly Outcome[]
  /** How requests may end when the agent is closed there, besides. */
  onClose?: Outcome
  isTriedOn?(client: Client): boolean
  /** Prepares the scene: its agent's options, its culprit. */
  set(scene: Scene): void
}

/** What the agents of a scene are like. */
export interface Client {
  kind: 'native' | 'net' | 'pool' | 'reference'
  protocol: 'http' | 'https'
  connections: number | null
}

/** Where all hosts are. */
export interface Server {
  port: number
  ca: string
}

/** Nothing that ends takes as long as this, on however slow a machine. */
const LIMIT_MS = 6000

let lastNumber = 0

/** One request, and what was told of it. */
export class Exchange {
  readonly events: string[] = []
  readonly done: Promise<void>
  /** The agent was closed, or destroyed, when it was dispatched. */
  isLate = false
  error: unknown
  control: Flow | null = null
  #finish!: () => void
  readonly #abortController = new AbortController()

  constructor(readonly path: string) {
    this.done = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  get signal(): AbortSignal {
    return this.#abortController.signal
  }

  /** While it waits as well as later. */
  abort(reason: Error): void {
    this.#abortController.abort(reason)
    this.control?.abort(reason)
  }

  told(event: string, error?: unknown): void {
    this.events.push(event)
    if (event === 'error') this.error = error
    if (event === 'error' || event === 'end' || event === 'upgrade') this.#finish()
  }

  get ends(): string[] {
    return this.events.filter((event) => event === 'end' || event === 'error' || event === 'upgrade')
  }
}

export class Scene {
  readonly host: string
  readonly origin: string
  readonly otherOrigin: string
  readonly thrown: Error
  readonly abortReason: Error
  readonly destroyReason: Error
  /** What the place itself fails with, where it is to fail. */
  readonly first: Error
  agent!: Dispatcher
  readonly options: RecyclingAgentOptions
  /** Of the culprit, besides its path. */
  culpritOptions: Partial<Dispatcher.DispatchOptions> = { method: 'PUT', body: 'body' }
  style: Style = 'new'
  readonly hooks: Hooks = {}
  readonly culprit = new Exchange('/culprit')
  readonly other = new Exchange('/behind')
  readonly exchanges: Exchange[] = []
  /** What close() and destroy() have promised. */
  readonly promises: Promise<unknown>[] = []
  /** Sockets that a `connect` function has made. */
  readonly sockets: Duplex[] = []
  /** Of these, those that it has handed over beside another one. */
  readonly surplus = new Set<Duplex>()
  /** What a subscriber is shown of the culprit. */
  shown: { abort(reason?: Error): void } | null = null
  /** What is done when all requests are over, where the place is one at the end. */
  atEnd: (() => void) | null = null
  /** The culprit is the first request of all. */
  isAlone = false
  isFired = false
  /** What does not hold. */
  readonly complaints: string[] = []
  readonly #undo: (() => void)[] = []
  readonly #onAgent: ((agent: Dispatcher) => void)[] = []

  constructor(
    readonly place: Place,
    readonly action: Action,
    readonly client: Client,
    readonly server: Server,
  ) {
    const number = ++lastNumber
    this.host = `c${number}.cells.test`
    this.origin = `${client.protocol}://${this.host}:${server.port}`
    this.otherOrigin =
      client.kind === 'pool' ? this.origin : `${client.protocol}://o${number}.cells.test:${server.port}`
    this.thrown = new Error(`thrown in scene ${number}`)
    this.abortReason = new Error(`aborted in scene ${number}`)
    this.destroyReason = new Error(`destroyed in scene ${number}`)
    this.first = new Error(`failed in scene ${number}`)
    this.options = {
      ...(client.connections === null ? {} : { connections: client.connections }),
      ...(client.kind === 'net' ? { transport: 'net' } : {}),
      connect: { ca: server.ca, lookup: (_host, options, callback) => callback(null, ...this.addresses(options)) },
    }
    place.set(this)
  }

  get name(): string {
    const { kind, protocol, connections } = this.client
    return `${this.place.name}: ${this.action.name} [${kind} ${protocol} ${connections ?? 'unlimited'}]`
  }

  /** What a resolver says. */
  addresses({ all }: { all?: boolean | undefined }): [string | LookupAddress[], number] {
    return [all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4]
  }

  /** The code of the caller's, once. */
  fire(): void {
    if (this.isFired) return
    this.isFired = true
    this.action.run(this)
  }

  /** To be called when the scene is over. */
  undo(undo: () => void): void {
    this.#undo.push(undo)
  }

  onAgent(use: (agent: Dispatcher) => void): void {
    this.#onAgent.push(use)
  }

  /** @param listener called with messages about this scene's first host */
  subscribe(name: string, listener: (message: ChannelMessage) => void): void {
    const onMessage = (message: unknown): void => {
      const { request, connectParams } = message as ChannelMessage
      const host = request === undefined ? connectParams?.hostname : new URL(request.origin).hostname
      if (host === this.host) listener(message as ChannelMessage)
    }
    subscribe(name, onMessage)
    this.undo(() => unsubscribe(name, onMessage))
  }

  destroy(reason?: Error): void {
    this.#await('destroy()', reason === undefined ? this.agent.destroy() : this.agent.destroy(reason))
  }

  close(): void {
    this.#await('close()', this.agent.close())
  }

  #await(what: string, end: Promise<void>): void {
    const before = [...this.exchanges]
    const check = (): void => {
      for (const { path, ends } of before)
        if (ends.length === 0) this.complaints.push(`${what} does not wait for ${path}`)
    }
    // As in undici, to close what is destroyed is an error.
    this.promises.push(end.then(check, () => {}))
  }

  dispatch(path: string, options: Partial<Dispatcher.DispatchOptions> = {}): Exchange {
    return this.#dispatch(new Exchange(path), options)
  }

  #dispatch(
    exchange: Exchange,
    options: Partial<Dispatcher.DispatchOptions> = {},
    style: Style = 'new',
    hooks: Hooks = {},
  ): Exchange {
    this.exchanges.push(exchange)
    const { closed, destroyed } = this.agent as unknown as { closed: boolean; destroyed: boolean }
    exchange.isLate = closed || destroyed
    const { path, signal } = exchange
    const all = { origin: this.origin, path, method: 'GET', signal, ...options }
    this.agent.dispatch(all as Dispatcher.DispatchOptions, handlerOf(exchange, style, hooks))
    return exchange
  }

  /** @returns what does not hold */
  async play(makeAgent: (options: RecyclingAgentOptions, scene: Scene) => Dispatcher): Promise<string[]> {
    const { complaints } = this
    const { culprit, culpritOptions, style, hooks, other } = this
    this.agent = makeAgent(this.options, this)
    for (const use of this.#onAgent) use(this.agent)
    try {
      if (!this.isAlone) this.dispatch('/before')
      this.#dispatch(culprit, culpritOptions, style, hooks)
      this.#dispatch(other)
      await this.#all(complaints)
      this.atEnd?.()
      await within(Promise.all(this.promises), complaints, 'the end of the agent')
      const { closed, destroyed } = this.agent as unknown as { closed: boolean; destroyed: boolean }
      if (!closed && !destroyed) {
        const later = this.dispatch('/later')
        await within(later.done, complaints, 'a later request')
        if (later.ends.join() !== 'end') complaints.push(`a later request: ${later.error}`)
      }
      if (!destroyed)
        await within(
          this.agent.close().catch(() => {}),
          complaints,
          'close()',
        )
      await within(this.agent.destroy(), complaints, 'destroy()')
      await this.#all(complaints)
    } finally {
      for (const undo of this.#undo) undo()
    }
    if (!this.isFired) complaints.push('the code was never called')
    await this.#socketsClosed(complaints)
    this.#examine(complaints)
    return complaints
  }

  /** @returns how a request has ended */
  outcomeOf({ events, error }: Exchange): Outcome | string {
    if (error === undefined) return events.length === 0 ? 'nothing' : 'ok'
    if (error === this.thrown) return 'thrown'
    if (error === this.abortReason) return 'aborted'
    if (error === this.destroyReason) return 'destroyed'
    if (error === this.first) return 'first'
    const { name, code, message } = error as NodeJS.ErrnoException
    if (message === 'connect made no socket') return 'first'
    if (code === 'UND_ERR_DESTROYED') return 'destroyed'
    if (code === 'UND_ERR_CLOSED') return 'closed'
    return `${name} ${code ?? ''} ${message}`
  }

  /** What was dispatched within a callback included. */
  async #all(complaints: string[]): Promise<void> {
    for (let i = 0; i < this.exchanges.length; i++) {
      const { done, path } = this.exchanges[i]!
      if (!(await within(done, complaints, path))) return
    }
    await new Promise((resolve) => setImmediate(resolve))
  }

  #examine(complaints: string[]): void {
    for (const exchange of this.exchanges) {
      const { path, events, ends } = exchange
      const outcome = this.outcomeOf(exchange)
      const allowed = this.#allowed(exchange)
      if (!allowed.includes(outcome)) complaints.push(`${path}: ${outcome}, not ${allowed.join(' or ')}`)
      // What the last callback throws goes to the error callback, as in undici; that of an upgrade can still be aborted.
      const isError = outcome === 'thrown' || (outcome === 'aborted' && ends[0] === 'upgrade')
      if (ends.length !== 1 && !(isError && ends.length === 2 && ends[0] !== 'error' && ends[1] === 'error'))
        complaints.push(`${path}: ended ${ends.length} times: ${events}`)
      if (events.length > 0 && events.at(-1) !== ends.at(-1))
        complaints.push(`${path}: goes on behind its end: ${events}`)
    }
  }

  /** Those of a `connect` function that the agent has seen, or will see when they have connected. */
  async #socketsClosed(complaints: string[]): Promise<void> {
    for (const socket of this.sockets) {
      if (!socket.closed) await within(new Promise((resolve) => socket.once('close', resolve)), complaints, 'a socket')
    }
    const { ends, throws, aborts } = this.action
    if (ends !== 'destroy' || throws || aborts) return
    for (const socket of this.sockets) {
      const { errored } = socket
      if (this.surplus.has(socket)) continue
      const { code } = (errored ?? {}) as NodeJS.ErrnoException
      if (errored !== this.destroyReason && code !== 'UND_ERR_DESTROYED')
        complaints.push(`a socket is destroyed with ${errored}`)
    }
  }

  #allowed(exchange: Exchange): (Outcome | string)[] {
    const { place, action } = this
    const isCulprit = exchange === this.culprit
    if (exchange.isLate) return ['closed', 'destroyed']
    if (exchange.path === '/later') return ['ok']
    const usual: Outcome[] = isCulprit ? [place.culprit ?? 'ok'] : [...(place.others ?? ['ok'])]
    // Other requests may have come before it, and got the error.
    if (isCulprit && place.others !== undefined && this.client.connections === null) usual.push(...place.others)
    if (action.ends === 'destroy') {
      if (place.isEarly && !action.throws && !action.aborts) return ['destroyed']
      usual.push('destroyed')
    }
    if (action.ends === 'close' && place.onClose !== undefined && isCulprit) usual.push(place.onClose)
    if (action.throws) {
      const isHit = (place.onThrow === 'culprit' && isCulprit) || place.onThrow === 'connection'
      if (isHit && isCulprit && action.ends === undefined && action.aborts === undefined) {
        return place.onThrow === 'culprit' || this.client.connections === 1 ? ['thrown'] : ['thrown', ...usual]
      }
      if (isHit) usual.push('thrown')
    }
    if (action.aborts?.includes('culprit') && isCulprit) {
      if (!place.isOver && action.ends === undefined && !action.throws && place.culprit === undefined)
        return ['aborted']
      usual.push('aborted')
    }
    if (action.aborts?.includes('other') && exchange === this.other) usual.push('aborted')
    return usual
  }
}

/** What undici's channels tell, as far as places look at it. */
export interface ChannelMessage {
  request?: { origin: string; path: string; abort(reason?: Error): void }
  connectParams?: { hostname: string }
}

async function within(promise: Promise<unknown>, complaints: string[], what: string): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, LIMIT_MS, 'late')
  })
  const isLate = (await Promise.race([promise, late])) === 'late'
  clearTimeout(timer)
  if (isLate) complaints.push(`${what} hangs`)
  return !isLate
}

function handlerOf(exchange: Exchange, style: Style, hooks: Hooks): Dispatcher.DispatchHandler {
  const tell = (event: Callback, error?: unknown): void => {
    exchange.told(event, error)
    hooks[event]?.()
  }
  const sent = {
    onResponseStarted: () => tell('responseStarted'),
    onBodySent: () => tell('bodySent'),
    onRequestSent: () => tell('requestSent'),
  }
  const head = (status: number): void => tell(status < 200 ? 'informational' : 'head')
  const upgraded = (socket: Duplex): void => {
    socket.on('error', () => {}).destroy()
    tell('upgrade')
  }
  if (style === 'new') {
    return {
      ...sent,
      onRequestStart(controller) {
        exchange.control = controller as Flow
        tell('start')
      },
      onRequestUpgrade: (_controller, _status, _headers, socket) => upgraded(socket),
      onResponseStart: (_controller, status) => head(status),
      onResponseData: () => tell('data'),
      onResponseEnd: () => tell('end'),
      onResponseError: (_controller, error) => tell('error', error),
    } as Dispatcher.DispatchHandler
  }
  let isPaused = false
  const legacy = {
    ...sent,
    onConnect(abort: (reason?: Error) => void) {
      // A handler of this kind pauses by what it returns for the head.
      exchange.control = { abort, pause() {}, resume() {} }
      tell('start')
    },
    onUpgrade: (_status: number, _headers: unknown, socket: Duplex) => upgraded(socket),
    onHeaders(status: number, _headers: unknown, resume: () => void) {
      exchange.control!.pause = () => {
        isPaused = true
      }
      exchange.control!.resume = () => {
        isPaused = false
        resume()
      }
      head(status)
      return !isPaused
    },
    onData() {
      tell('data')
      return !isPaused
    },
    onComplete: () => tell('end'),
    onError: (error: unknown) => tell('error', error),
  }
  return legacy as unknown as Dispatcher.DispatchHandler
}
