/**
 * An upstream in a process of its own that ends its connections without a word of it, at moments around the next request,
 * and knows which requests have reached it whole, and how often.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

export type Carrier = 'http' | 'https' | 'unix'
/** From, to. */
export type Range = readonly [least: number, most: number]

/**
 * How a connection ends: FIN, on which the upstream reads on; close(2), after which the kernel answers whatever comes with
 * RST; or RST at once.
 */
export type End = 'FIN' | 'close' | 'RST'

/** When it does, and how. Chance is within the ranges. */
export type Ending =
  /** After so many responses, and so much later. What is received meanwhile, and after that, is not answered. */
  | { when: 'after a response'; served: Range; ms: Range; how: End }
  /** The last of so many responses and the FIN are one TCP segment. */
  | { when: 'with a response'; served: Range }
  /** It was idle for so long. */
  | { when: 'idle'; ms: Range; how: End }
  /** Once it has served a request, and the first bytes of another come. */
  | { when: 'with the next request'; how: End }
  /** Every so often all of them that have served a request: those that serve one right now when that is done. */
  | { when: 'restarted'; ms: Range }

export interface Plan {
  carrier: Carrier
  ending: Ending
  /** Of the responses. @default 'either' */
  framing?: 'whole' | 'chunked' | 'either'
  /** Half of the responses, by chance, come in two to four pieces, up to a millisecond apart. @default false */
  isSplit?: boolean
  seed: number
}

export interface Listening {
  origin: string
  /** For `connect`: where a Unix socket is. */
  socketPath?: string
}

/** What has come to a listener. */
export interface Seen {
  connections: number
  /** Of them, those that are not closed yet. */
  open: number
  /** The number of each request that has arrived whole, each time that it did. */
  received: number[]
  /** Those of them that were the first on their connection: these it always answers, whole. */
  first: number[]
}

/** What the program is asked, and what it says to that. */
export type Question = { call: number } & ({ listen: Plan } | { see: number } | { close: number })
export type Reply = { call: number; listener: number; listening?: Listening; seen?: Seen }

/** A listener of the upstream. */
export class EndingListener {
  readonly origin: string
  readonly socketPath: string | undefined
  readonly #upstream: EndingUpstream
  readonly #number: number

  constructor(upstream: EndingUpstream, number: number, { origin, socketPath }: Listening) {
    this.#upstream = upstream
    this.#number = number
    this.origin = origin
    this.socketPath = socketPath
  }

  /** For agents that come here: the certificate is nobody's. */
  get connect(): { rejectUnauthorized: false; socketPath?: string } {
    return { rejectUnauthorized: false, ...(this.socketPath !== undefined && { socketPath: this.socketPath }) }
  }

  async seen(): Promise<Seen> {
    return (await this.#upstream.ask({ see: this.#number })).seen!
  }

  async close(): Promise<void> {
    await this.#upstream.ask({ close: this.#number })
  }
}

/** The process. */
export class EndingUpstream {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  #calls = 0

  /** @param file the bundle of ../programs/ending-upstream.ts */
  constructor(file: string) {
    this.#child = fork(file, { execArgv: [] })
    this.#child.on('message', (reply: Reply) => {
      this.#waiting.get(reply.call)!(reply)
      this.#waiting.delete(reply.call)
    })
  }

  async listen(plan: Plan): Promise<EndingListener> {
    const { listener, listening } = await this.ask({ listen: plan })
    return new EndingListener(this, listener, listening!)
  }

  /** For its listeners. */
  ask(question: { listen: Plan } | { see: number } | { close: number }): Promise<Reply> {
    const call = this.#calls++
    return new Promise((resolve) => {
      this.#waiting.set(call, resolve)
      this.#child.send({ call, ...question } satisfies Question)
    })
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }
}
