/**
 * Plays a set-up of TLS on undici's Agent and on each contender: what came of each request, what the agents emitted and
 * what the servers saw must be the same. Besides, what undici's Agent makes of it is given with the set-up, so that none
 * is about something else than it says.
 */

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { ConnectionOptions, TlsOptions } from 'node:tls'
import { Agent, type Dispatcher } from 'undici'
import { describe, expect, it } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { isTried } from '../support/gate.js'
import { ok } from '../support/raw-server.js'
import { HELD, type SecureServer, secureServer } from '../support/secure-server.js'
import { type RelayPlan, tlsRelay } from '../support/tls-relay.js'
import { type Contender, contenders } from './contenders.js'
import { type Deviation, deviationOf, EVERYWHERE, OTHERWISE_NATIVE } from './deviations.js'
import { describeError } from './errors.js'
import { pendingOf } from './pending.js'

/** What undici's Agent makes of the first request: `answer`, or an error's code, or its message when it has no code. */
export type Gives = string | RegExp

export type Play = (stage: Stage) => Promise<void>

export interface Settings {
  /** Why the set-up cannot be made here, or `null`. */
  whyNot?: string | null
  /** The connection is there before it fails: the server may have seen a request. */
  isLate?: boolean
  /**
   * What it is called in which way a connection was lost depends on who was faster: of these codes each is as good as
   * any other.
   */
  lostAs?: readonly string[]
  /** Several connections go on at once: nothing is compared of the order in which things happen. */
  isFree?: boolean
  /** What must hold of each run besides. */
  check?: (log: readonly Entry[]) => void
}

export type Entry = [who: string, what: string, ...said: unknown[]]

type Make = (options: RecyclingAgentOptions) => Dispatcher

/** A set-up that is stuck by then is noted as that. */
const PATIENCE_MS = 5000
const HOST = '127.0.0.1'

export interface GetOptions extends Partial<Dispatcher.DispatchOptions> {
  port: number
  /** @default '127.0.0.1' */
  host?: string
  servername?: string
}

/** Everything a set-up is made with. What it holds ends with it. */
export class Stage {
  readonly log: Entry[] = []
  readonly #make: Make
  readonly #agents: Dispatcher[] = []
  readonly #servers: SecureServer[] = []
  readonly #closing: (() => Promise<void>)[] = []
  readonly #ports: number[] = []
  #isOver = false

  constructor(make: Make) {
    this.#make = make
  }

  /** What was received of requests, by all servers. */
  get plaintext(): string {
    return this.#servers.map(({ plaintext }) => plaintext).join('')
  }

  /** With one connection at a time: how soon a used one counts as free is not what is compared here. */
  agent(connect: unknown = {}, options: Record<string, unknown> = {}): Dispatcher {
    const agent = this.#make({ connections: 1, ...options, connect } as RecyclingAgentOptions)
    this.#agents.push(agent)
    for (const event of ['connect', 'disconnect', 'connectionError'] as const) {
      agent.on(event as 'connect', (...[, , error]: unknown[]) => {
        const code = (error as NodeJS.ErrnoException | undefined)?.code
        this.note('agent', event, ...(error === undefined ? [] : [(error as Error).constructor.name, code]))
      })
    }
    return agent
  }

  async server(options: TlsOptions, answer: string = ok()): Promise<SecureServer> {
    const server = await secureServer(options, answer)
    this.#servers.push(server)
    this.#keep(server.port, () => server.close())
    return server
  }

  /** @returns the port of a relay before the server */
  async relay(port: number, plan?: RelayPlan): Promise<number> {
    const relay = await tlsRelay(port, plan)
    this.#keep(relay.port, () => relay.close())
    return relay.port
  }

  /** A server that speaks TCP only. @returns its port */
  async tcp(serve: (socket: Socket) => void): Promise<number> {
    const sockets = new Set<Socket>()
    const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
      serve(socket)
    })
    server.listen(0, HOST)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    this.#keep(port, async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    })
    return port
  }

  #keep(port: number, close: () => Promise<void>): void {
    this.#ports.push(port)
    this.#closing.push(close)
  }

  /** A port that is none of this stage's own, but of its text. */
  knows(port: number): void {
    this.#ports.push(port)
  }

  /** What an error holds, ports aside. */
  described(error: unknown): unknown {
    return describeError(error, this.#ports)
  }

  note(who: string, what: string, ...said: unknown[]): void {
    if (!this.#isOver) this.log.push([who, what, ...said])
  }

  /** One request, whose answer or error is noted. */
  async get(agent: Dispatcher, { port, host = HOST, ...options }: GetOptions): Promise<unknown> {
    const { status, body, error } = await answerOf(agent, { origin: `https://${host}:${port}`, ...options })
    if (error === undefined) this.note('client', 'answer', status, body)
    else this.note('client', 'error', describeError(error, this.#ports))
    return error
  }

  /** A request that goes on until the end. Resolves when the head of its response is there. */
  hold(agent: Dispatcher, port: number): Promise<void> {
    return new Promise((resolve) => {
      agent.dispatch(
        { origin: `https://${HOST}:${port}`, path: HELD, method: 'GET' },
        {
          onRequestStart() {},
          onResponseStart: () => resolve(),
          onResponseData() {},
          onResponseEnd() {},
          onResponseError: () => resolve(),
        },
      )
    })
  }

  async end(): Promise<void> {
    // What follows the last callback within some turns.
    for (let i = 0; i < 4; i++) await setImmediate()
    // Of connections that came to nothing the servers may see more or less; plaintext is looked for in any case.
    for (const { views, resumed } of this.#servers) {
      if (resumed.length > 0) for (const view of views) this.note('server', 'met', view)
    }
    for (const { resumed } of this.#servers) this.note('server', 'served', resumed.length)
    this.#isOver = true
    await Promise.all(this.#agents.map((agent) => agent.destroy()))
    await Promise.all(this.#closing.map((close) => close()))
  }
}

interface Answer {
  status?: number
  body?: string
  error?: unknown
}

function answerOf(agent: Dispatcher, options: Partial<Dispatcher.DispatchOptions>): Promise<Answer> {
  return new Promise((resolve) => {
    let status = 0
    let body = ''
    agent.dispatch({ path: '/', method: 'GET', ...options } as Dispatcher.DispatchOptions, {
      onRequestStart() {},
      onResponseStart(_controller, statusCode) {
        status = statusCode
      },
      onResponseData(_controller, chunk) {
        body += chunk.toString('latin1')
      },
      onResponseEnd: () => resolve({ status, body }),
      onResponseError: (_controller, error) => resolve({ error }),
    })
  })
}

interface Run {
  log: Entry[]
  plaintext: string
}

async function run(play: Play, make: Make): Promise<Run> {
  const stage = new Stage(make)
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
  return { log: stage.log, plaintext: stage.plaintext }
}

const outcomeOf = (log: readonly Entry[]): string => {
  const [, what, said] = log.find(([who]) => who === 'client' || who === 'stage') ?? ['', 'nothing']
  if (what !== 'error') return what
  const { code, message } = said as { code?: string; message?: string }
  // Node has no name for some of OpenSSL's verdicts.
  return (code === 'UNSPECIFIED' ? message : code) ?? message ?? String(said)
}

/** The code of the error that an entry tells of. */
const codeOf = ([, what, ...said]: Entry): unknown => (what === 'error' ? (said[0] as { code?: string }).code : said[1])

/** With errors that count as the same made the same. */
const withAlike = (log: readonly Entry[], isAlike: (code: string) => boolean): Entry[] =>
  log.map((entry) => {
    const code = codeOf(entry)
    return typeof code === 'string' && isAlike(code) ? [entry[0], entry[1], 'alike'] : entry
  })

/** What each party told in its order: among them the order is the kernel's. */
function comparable(log: readonly Entry[], { lostAs = [], isFree = false }: Settings): Entry[] {
  const keyOf = (entry: Entry): string => (isFree ? JSON.stringify(entry) : entry[0])
  return withAlike(log, (code) => lostAs.includes(code)).sort((one, other) => keyOf(one).localeCompare(keyOf(other)))
}

/** Fails unless both differ as declared, and in nothing else. */
function expectDeviation({ undicis, ours }: Deviation, [reference, own]: [Run, Run], settings: Settings): void {
  expect(outcomeOf(reference.log)).toMatch(undicis)
  expect(outcomeOf(own.log)).toMatch(ours)
  expect(
    comparable(
      withAlike(own.log, (code) => ours.test(code)),
      settings,
    ),
  ).toEqual(
    comparable(
      withAlike(reference.log, (code) => undicis.test(code)),
      settings,
    ),
  )
}

/** The reference is played once for all contenders. */
const references = new Map<string, Promise<Run>>()

const makeUndicis: Make = (options) => new Agent({ ...EVERYWHERE.http1.options, ...(options as Agent.Options) })

async function expectAlike(
  name: string,
  gives: Gives,
  play: Play,
  { make: contender, chosen }: Contender,
  settings: Settings,
): Promise<void> {
  const { isLate = false, check } = settings
  if (!references.has(name)) references.set(name, run(play, makeUndicis))
  const referenceRun = await references.get(name)!
  const ownRun = await run(play, contender)
  expect(outcomeOf(referenceRun.log)).toMatch(typeof gives === 'string' ? new RegExp(`^${gives}$`) : gives)
  const isNativeTls = chosen.transport === 'native' && chosen.tlsTransport === 'native'
  const seen = ({ log, ...more }: Run): Run => {
    if (!isNativeTls) return { log, ...more }
    const isTold = ([who]: Entry): boolean => !(name in OTHERWISE_NATIVE) || who === 'client'
    return { log: EVERYWHERE.madeAgain.apply(log).filter(isTold), ...more }
  }
  const undicis = seen(referenceRun)
  const ours = seen(ownRun)
  const deviation = deviationOf(name)
  const pending = pendingOf(name)
  if (deviation !== undefined) expectDeviation(deviation, [undicis, ours], settings)
  else if (pending !== undefined) {
    expect(comparable(ours.log, settings), 'alike now: take it out of pending.ts').not.toEqual(
      comparable(undicis.log, settings),
    )
  } else expect(comparable(ours.log, settings)).toEqual(comparable(undicis.log, settings))
  for (const { log, plaintext } of [undicis, ours]) {
    check?.(log)
    const isAnswered = log.some(([who, what]) => who === 'client' && what === 'answer')
    if (!isAnswered && !isLate) expect(plaintext).toBe('')
  }
}

const declared = new Set<string>()

/** Declares a set-up: a test for each contender. Its name is the only one of its file. */
export function twin(name: string, gives: Gives, play: Play, settings: Settings = {}): void {
  if (declared.has(name)) throw new Error(`there is a set-up of that name: ${name}`)
  declared.add(name)
  describe.runIf(isTried(settings.whyNot ?? null))(name, () => {
    it.each(contenders)('$name', (contender) => expectAlike(name, gives, play, contender, settings))
  })
}

export interface Meeting {
  server: TlsOptions
  connect?: ConnectionOptions | Record<string, unknown>
  /** Other options of the agent. */
  agent?: Record<string, unknown>
  request?: Partial<GetOptions>
}

/**
 * The plain kind of set-up: a server, an agent, a request.
 *
 * @param make is called once: certificates are the same ones in all runs, since errors hold them
 */
export const meeting = (make: () => Meeting): Play => meetingBy(make, (_stage, port) => port)

/** The same through a gentle relay, for servers that end the connection in the face of the client. */
export const gentleMeeting = (make: () => Meeting): Play => meetingBy(make, (stage, port) => stage.relay(port))

function meetingBy(make: () => Meeting, reach: (stage: Stage, port: number) => number | Promise<number>): Play {
  let made: Meeting | undefined
  return async (stage) => {
    made ??= make()
    const { port } = await stage.server(made.server)
    await stage.get(stage.agent(made.connect, made.agent), { port: await reach(stage, port), ...made.request })
  }
}
