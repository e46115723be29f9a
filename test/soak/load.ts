/** The load of the soak: lanes that send one request after the other and hold every answer against what was promised. */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { type Random, randomOf } from '../support/random.js'
import { type Kind, kindBy, kinds, labelOf } from './kinds.js'
import { bodyOf, IMPATIENT_MS, MAX_SIZE } from './soak-protocol.js'

/** No request takes that long, not even on a slow machine. */
const HANG_MS = 20_000
const WATCH_EVERY_MS = 1000
/** Of 100 requests. */
const ABORTS = 5
const MOST_FAILURES = 10

const ABORT_MOMENTS = ['at once', 'in the next turn', 'soon', 'with the head', 'with the body'] as const
type AbortMoment = (typeof ABORT_MOMENTS)[number]

export interface LoadOptions {
  seed: number
  lanes: number
  /** Which agent a request is sent with, and where to. */
  route: (kind: Kind) => { dispatcher: Dispatcher; origin: string }
}

/** Of one kind: how many there were, and what came of them. */
export interface Tally {
  sent: number
  answered: number
  aborted: number
  failed: Record<string, number>
}

export class Load {
  /** In words, the first few. */
  readonly failures: string[] = []
  readonly tallies: Map<string, Tally> = new Map(
    kinds.map((kind) => [labelOf(kind), { sent: 0, answered: 0, aborted: 0, failed: {} }]),
  )
  /** To healthy upstreams that close. */
  closing = 0
  done = 0
  aborts = 0
  readonly #options: LoadOptions
  readonly #next: Random
  readonly #current = new Map<number, Exchange>()
  #id = 0

  constructor(options: LoadOptions) {
    this.#options = options
    this.#next = randomOf(options.seed)
  }

  /** Goes on until `done` requests are over, or the time is, and none is under way. */
  async run(done: number, deadline: number): Promise<void> {
    const watchdog = setInterval(() => this.#watch(), WATCH_EVERY_MS)
    const isOver = (): boolean =>
      this.#id >= done || performance.now() > deadline || this.failures.length >= MOST_FAILURES
    await new Promise<void>((resolve) => {
      let busy = this.#options.lanes
      const go = (lane: number): void => {
        if (isOver()) {
          if (--busy === 0) resolve()
        } else {
          this.#send(lane, () => go(lane))
        }
      }
      for (let lane = 0; lane < this.#options.lanes; lane++) go(lane)
    })
    clearInterval(watchdog)
  }

  #send(lane: number, onOver: () => void): void {
    const next = this.#next
    const kind = kindBy(next(2 ** 32))
    const id = this.#id++
    const size = sizeBy(next)
    const moment = next(100) < ABORTS ? ABORT_MOMENTS[next(ABORT_MOMENTS.length)]! : null
    if (moment !== null) this.aborts++
    if (kind.isHealthyClosing) this.closing++
    const exchange = new Exchange(kind, id, size, moment, {
      onOver: () => {
        this.#current.delete(lane)
        this.done++
        this.#count(exchange)
        onOver()
      },
      onFailure: (what) => {
        if (this.failures.length < MOST_FAILURES) this.failures.push(what)
      },
    })
    this.#current.set(lane, exchange)
    const { dispatcher, origin } = this.#options.route(kind)
    exchange.begin(dispatcher, origin)
  }

  #count({ kind, result }: Exchange): void {
    const tally = this.tallies.get(labelOf(kind))!
    tally.sent++
    if (result === 'answered') tally.answered++
    else if (result === 'aborted') tally.aborted++
    else tally.failed[result] = (tally.failed[result] ?? 0) + 1
  }

  #watch(): void {
    const now = performance.now()
    for (const exchange of this.#current.values()) {
      if (now - exchange.began > HANG_MS) exchange.giveUp()
    }
  }
}

/** Mostly small, some of several reads. */
function sizeBy(next: Random): number {
  const chance = next(100)
  if (chance < 80) return 4 + next(400)
  return chance < 98 ? 4 + next(8000) : 4 + next(MAX_SIZE - 4)
}

interface ExchangeOwner {
  /** Once. */
  onOver(): void
  /** A promise was broken. */
  onFailure(what: string): void
}

/** One request and what came of it. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly kind: Kind
  readonly began = performance.now()
  /** `answered`, `aborted` or what it failed with. */
  result = 'nothing'
  readonly #id: number
  readonly #moment: AbortMoment | null
  readonly #owner: ExchangeOwner
  readonly #expected: Buffer
  /** Of the abort, if there was one. */
  #reason: Error | null = null
  #controller: Dispatcher.DispatchController | null = null
  #received = 0
  #isWrong = false
  #isOver = false
  #state = 'dispatched'

  constructor(kind: Kind, id: number, size: number, moment: AbortMoment | null, owner: ExchangeOwner) {
    this.kind = kind
    this.#id = id
    this.#moment = moment
    this.#owner = owner
    this.#expected = bodyOf(id, size)
  }

  begin(dispatcher: Dispatcher, origin: string): void {
    const { name, upload, isImpatient } = this.kind
    const options: Dispatcher.DispatchOptions = {
      origin,
      path: `/${name}/${this.#id}/${this.#expected.length}`,
      method: upload === undefined ? 'GET' : 'POST',
      // undici's types leave out that it may be an iterable.
      body: this.#body() as Readable | Buffer | null,
      ...(isImpatient ? { headersTimeout: IMPATIENT_MS, bodyTimeout: IMPATIENT_MS } : {}),
    }
    dispatcher.dispatch(options, this)
    if (this.#moment === 'in the next turn') setImmediate(() => this.#abort())
    else if (this.#moment === 'soon') setTimeout(() => this.#abort(), this.#id % 4)
  }

  /** The watchdog's: it hangs. */
  giveUp(): void {
    this.#end('hung', `was ${this.#state} and then nothing, ${this.#received} bytes received`)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#state = 'started'
    if (this.#moment === 'at once') this.#abort()
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#state = 'answered'
    if (status !== 200) this.#isWrong = true
    if (this.#moment === 'with the head') this.#abort()
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const end = this.#received + chunk.length
    if (!chunk.equals(this.#expected.subarray(this.#received, end))) this.#isWrong = true
    this.#received = end
    if (this.#moment === 'with the body') this.#abort()
  }

  onResponseEnd(): void {
    const { errors = [], mayBeAnswered = errors.length === 0 } = this.kind
    const isWhole = !this.#isWrong && this.#received === this.#expected.length
    if (!isWhole) this.#end('answered', `a wrong response, ${this.#received} of ${this.#expected.length} bytes`)
    else this.#end('answered', mayBeAnswered ? null : 'answered, though it was to fail')
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isWrong) return this.#end('failed', `wrong bytes before ${error}`)
    if (error === this.#reason) return this.#end('aborted', null)
    const { code, name } = error as NodeJS.ErrnoException
    const told = name === 'HTTPParserError' ? name : (code ?? name)
    const isDocumented = this.kind.errors?.includes(told) ?? false
    this.#end(told, isDocumented ? null : `failed with ${told}, ${error.stack?.split('\n', 4).join(' ')}`)
  }

  #abort(): void {
    if (this.#isOver || this.#controller === null) return
    this.#reason = new Error('not wanted any more')
    this.#controller.abort(this.#reason)
  }

  #end(result: string, failure: string | null): void {
    if (this.#isOver) return this.#owner.onFailure(this.#describe(`was over twice, ${this.result} and ${result}`))
    this.#isOver = true
    this.result = result
    if (failure !== null) this.#owner.onFailure(this.#describe(failure))
    this.#owner.onOver()
  }

  #describe(what: string): string {
    const abort = this.#moment === null ? '' : `, aborted ${this.#moment}`
    return `request ${this.#id} (${this.kind.name}${abort}): ${what}`
  }

  #body(): Buffer | Readable | AsyncIterable<Buffer> | null {
    const bytes = this.#expected
    switch (this.kind.upload) {
      case 'bytes':
        return bytes
      case 'stream':
        return Readable.from([bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)])
      case 'iterable':
        return pieces(bytes)
      default:
        return null
    }
  }
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes.subarray(0, 3)
  yield bytes.subarray(3)
}
