/**
 * Plays a scenario on undici's Agent and on RecyclingAgent, with handlers of both kinds, and compares what the handlers
 * saw, what the agents emitted and what was on the wire.
 */
import { setImmediate } from 'node:timers/promises'
import * as undici from 'undici'
import { expect, it, onTestFinished } from 'vitest'
import { RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { type Style, styles } from '../support/handlers.js'
import { type RawPeer, type RawServer, type RawServerOptions, rawServer } from '../support/raw-server.js'
import { DEVIATIONS, type Deviation, EVERYWHERE } from './deviations.js'
import { PENDING, type Pending } from './pending.js'
import { describeError, type Entry, type Exchange, type Hooks, record } from './recorder.js'
import { append, byParty, differenceOf, normalise, render } from './transcript.js'

/** The reference's major version. */
export const undiciMajor: 7 | 8 = 'Dispatcher1Wrapper' in undici ? 8 : 7

/** What a handler's side may pass; invalid values are among what is compared. */
export type AnyOptions = Record<string, unknown>

export type Play = (stage: Stage) => Promise<void>

export interface Settings {
  /** Both, unless the scenario is about one of them. */
  styles?: Style[]
  /** Only the order within each exchange is compared: among connections it is the kernel's. */
  free?: boolean
  /**
   * The reference opens another connection after an abort (undici 7 does, needlessly): what the agents emit after the
   * first 'disconnect' is not compared.
   */
  abandons?: boolean
  /** It is about the legacy interface itself: undici 8 has nothing to compare it to. */
  legacyItself?: boolean
  /** The requests' bytes are compared, unless an abort may cut them anywhere. */
  wire?: boolean
}

/** A scenario that is not over by then is stuck; that is noted and compared, too. */
const PATIENCE_MS = 4000

export type MakeAgent = (options: RecyclingAgentOptions) => undici.Dispatcher

const makeUndicis: MakeAgent = (options) => new undici.Agent(options as undici.Agent.Options)
const makeOurs: MakeAgent = (options) => new RecyclingAgent(options)

/** Everything a scenario acts with. */
export class Stage {
  readonly style: Style
  readonly log: Entry[] = []
  readonly ports: number[] = []
  readonly #make: MakeAgent
  readonly #agents: undici.Dispatcher[] = []
  readonly #peers: [peer: RawPeer, wire: { bytes: string }][] = []
  #exchanges = 0
  #isOver = false
  #wake: (() => void)[] = []

  constructor(style: Style, make: MakeAgent) {
    this.style = style
    this.#make = make
  }

  /** An agent whose events are noted. It is destroyed when the scenario is over. */
  agent(options: AnyOptions = {}): undici.Dispatcher {
    const agent = this.#make(options as RecyclingAgentOptions)
    this.#agents.push(agent)
    for (const event of ['connect', 'disconnect', 'connectionError', 'drain', 'error']) {
      agent.on(event as 'connect', (...[origin, targets, error]: unknown[]) => {
        const first = Array.isArray(targets) && targets[0] === agent ? [] : ['not for this agent']
        const failure = error === undefined ? [] : describeError(error)
        this.note('agent', event, origin instanceof URL ? origin.href : `no URL: ${origin}`, ...first, ...failure)
      })
    }
    return agent
  }

  /** A server whose connections' bytes are noted in the end. */
  async server(serve: (peer: RawPeer) => unknown, options?: RawServerOptions): Promise<RawServer> {
    const server = await rawServer((peer) => {
      this.watch(peer)
      return serve(peer)
    }, options)
    this.ports.push(server.port)
    return server
  }

  /** Notes the bytes of a connection in the end. */
  watch(peer: RawPeer): void {
    const wire = { bytes: '' }
    this.#peers.push([peer, wire])
    peer.socket.on('data', (chunk) => {
      wire.bytes += chunk.toString('latin1')
    })
  }

  note(who: string, what: string, ...said: unknown[]): void {
    if (this.#isOver) return
    append(this.log, [who, what, ...said])
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }

  /** A handler that is not used yet. Its name is a letter: a, b, c... */
  exchange(hooks: Hooks = {}): Exchange {
    const name = String.fromCharCode(97 + this.#exchanges++)
    return record((entry) => this.note(...entry), name, this.style, hooks)
  }

  /** Dispatches, and notes what came of the call. */
  dispatch(agent: undici.Dispatcher, options: unknown, { name, handler }: Pick<Exchange, 'name' | 'handler'>): void {
    const given =
      typeof options === 'object' && options !== null
        ? { path: '/', method: 'GET', ...options }
        : (options as AnyOptions)
    try {
      const returned = agent.dispatch(
        given as unknown as undici.Dispatcher.DispatchOptions,
        handler as undici.Dispatcher.DispatchHandler,
      )
      this.note(name, 'returned', returned)
    } catch (error) {
      this.note(name, 'thrown', ...describeError(error))
    }
  }

  /** A GET of `/`, unless the options say otherwise. */
  send(agent: undici.Dispatcher, options: AnyOptions, hooks: Hooks = {}): Exchange {
    const exchange = this.exchange(hooks)
    this.dispatch(agent, options, exchange)
    return exchange
  }

  /** Resolves when so many such entries are there. */
  async noted(what: string, count = 1): Promise<void> {
    while (this.log.filter((entry) => entry[1] === what).length < count) {
      await new Promise<void>((resolve) => this.#wake.push(resolve))
    }
  }

  /** Ends everything, notes the wire, and takes no further notes. */
  async end(): Promise<void> {
    // What follows the last callback within some turns, such as 'drain'.
    await turns(4)
    const destroyed = this.#agents.map((agent) => agent.destroy())
    await turns()
    // A connection that its peer has announced to close waits for it.
    for (const [{ socket }] of this.#peers) socket.end().resume()
    await Promise.all(destroyed)
    for (const [peer] of this.#peers) await peer.ended()
    // Empty connections are seen by the agent's events only: an abort may come before or after they are accepted.
    const wires = this.#peers.map(([, { bytes }]) => bytes).filter((bytes) => bytes !== '')
    for (const bytes of wires) this.note('wire', 'received', bytes)
    this.#isOver = true
  }
}

/** Plays once. */
export async function transcriptOf(play: Play, style: Style, make: MakeAgent): Promise<Entry[]> {
  const stage = new Stage(style, make)
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      stage.note('stage', 'stuck')
      resolve()
    }, PATIENCE_MS)
  })
  try {
    await Promise.race([play(stage), patience])
  } finally {
    clearTimeout(timer)
    await stage.end()
  }
  return normalise(stage.log, stage.ports)
}

const NEW_ONLY = ['fields', 'trailers']
const silenced: readonly string[] = EVERYWHERE.sentCallbacks.silenced

/** Makes the transcripts of a pair comparable where they differ everywhere. */
function comparable(log: Entry[], style: Style, { free, abandons, wire = true }: Settings): Entry[] {
  let entries = log.map(EVERYWHERE.parserCode.apply).map(EVERYWHERE.nodesWords.apply)
  if (undiciMajor === 7) entries = entries.map(EVERYWHERE.refusedAtOnce.apply)
  if (undiciMajor === 7 && style === 'new') entries = entries.filter(([, what]) => !silenced.includes(what))
  // undici 8 refuses legacy handlers: ours are compared to what it tells a new one.
  if (undiciMajor === 8 && style === 'legacy') entries = entries.filter(([, what]) => !NEW_ONLY.includes(what))
  if (!wire) entries = entries.filter(([who]) => who !== 'wire')
  if (abandons) {
    const lost = entries.findIndex(([who, what]) => who === 'agent' && what === 'disconnect')
    entries = entries.filter(([who], i) => who !== 'agent' || lost < 0 || i <= lost)
  }
  return free ? byParty(entries) : entries
}

/** Both transcripts of a scenario. */
export async function playBoth(play: Play, style: Style, settings: Settings = {}): Promise<[Entry[], Entry[]]> {
  const referenceStyle = undiciMajor === 8 ? 'new' : style
  const undicis = comparable(await transcriptOf(play, referenceStyle, makeUndicis), style, settings)
  const ours = comparable(await transcriptOf(play, style, makeOurs), style, settings)
  return [undicis, ours]
}

/** Plays a scenario, and compares, up to what is declared to differ. */
export async function expectAlike(name: string, play: Play, style: Style, settings: Settings): Promise<void> {
  const concerns = (entry: Deviation | Pending): boolean =>
    (entry.scenario instanceof RegExp ? entry.scenario.test(name) : entry.scenario === name) &&
    (entry.style ?? style) === style &&
    (entry.undici ?? undiciMajor) === undiciMajor
  const deviation = DEVIATIONS.find(concerns)
  const pending = PENDING.find(concerns)
  const [undicis, ours] = await playBoth(play, style, settings)
  if (deviation !== undefined) {
    const { undicis: onlyUndicis, ours: onlyOurs, reason } = deviation
    const declared = { undicis: onlyUndicis ?? [], ours: onlyOurs ?? [] }
    if (onlyUndicis === undefined && onlyOurs === undefined) expect(ours, reason).not.toEqual(undicis)
    else expect(differenceOf(undicis, ours), reason).toEqual(declared)
  } else if (pending !== undefined) {
    if (!pending.sometimes) expect(ours, 'alike now: take it out of pending.ts').not.toEqual(undicis)
  } else {
    expect(ours, `${name}: ${render(differenceOf(undicis, ours))}`).toEqual(undicis)
  }
}

/** Declares the tests of one scenario: one for each kind of handler. */
export function twin(name: string, play: Play, settings: Settings = {}): void {
  if (settings.legacyItself && undiciMajor === 8) {
    it.skip(`${name} (legacy handler): undici 8 refuses legacy handlers`, () => {})
    return
  }
  for (const style of settings.styles ?? styles) {
    it(`${name} (${style} handler)`, () => expectAlike(name, play, style, settings))
  }
}

/** Declares one test of several scenarios that pass their time at once. */
export function twinsAtOnce(name: string, scenarios: Record<string, [play: Play, settings?: Settings]>): void {
  it.each(styles)(`${name} (%s handler)`, async (style) => {
    const played = Object.entries(scenarios).filter(([, [, settings]]) => (settings?.styles ?? styles).includes(style))
    await Promise.all(played.map(([scenario, [play, settings]]) => expectAlike(scenario, play, style, settings ?? {})))
  })
}

/** Gives what is due now the time to happen: microtasks, then some turns of the loop. */
export async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await setImmediate()
}

/** Replaces a function of `process` while the test runs. */
export function replacing<K extends 'emitWarning'>(key: K, replacement: (typeof process)[K]): void {
  const original = process[key]
  process[key] = replacement
  onTestFinished(() => {
    process[key] = original
  })
}
