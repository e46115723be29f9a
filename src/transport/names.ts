/**
 * Names of hosts and what the system's resolver says of them, for one agent: all who ask at the same time share one
 * lookup, and its answer is remembered for a while. Errors are not remembered.
 *
 * getaddrinfo(3) costs more than a connection, and takes one of libuv's four threads while it lasts. There is no timer
 * here: the age of an answer is looked at when it is used. On a clock that stands still an answer is kept for longer.
 */
import dns, { type LookupAddress, type LookupOptions } from 'node:dns'
import { inRootContext, throwLater } from '../reactor/scheduler.js'
import { queueMicrotask } from '../sys/real-timers.js'
import { addressesIn } from './addresses.js'

/** How many answers are remembered; the oldest goes first. */
const MOST_ANSWERS = 1024

/** A lookup that takes longer than this, in milliseconds, may have been lost: who asks then begins another one. */
const SHARED_FOR_MS = 5000

/** What is asked of `dns.lookup`: for one name, with one set of options. Made once and kept, since it is a key as well. */
export class Question {
  readonly key: string
  readonly hostname: string
  readonly options: LookupOptions

  constructor(hostname: string, options: LookupOptions) {
    this.key = `${hostname} ${options.family ?? 0} ${options.hints ?? 0} ${options.all === true}`
    this.hostname = hostname
    this.options = options
  }
}

/** What the resolver said, in its own form. It never changes: another answer is another object. */
export interface Answer {
  readonly question: Question
  /** All addresses, if all were asked for. */
  readonly address: string | LookupAddress[]
  readonly family: number | undefined
  /** performance.now() when it came. */
  readonly at: number
}

/** Who has asked: told once, in the root context. */
export type Asker = (error: NodeJS.ErrnoException | null, answer: Answer | null) => void

interface Lookup {
  readonly askers: Asker[]
  readonly startedAt: number
}

export class Names {
  readonly #ttlMs: number
  readonly #answers = new Map<string, Answer>()
  readonly #lookups = new Map<string, Lookup>()

  /** @param ttlMs for how long an answer is remembered, in milliseconds; 0: not at all */
  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs
  }

  /** What is remembered, or `null`. */
  recall({ key }: Question): Answer | null {
    const answer = this.#answers.get(key)
    if (answer === undefined) return null
    if (isYoungerThan(this.#ttlMs, answer.at)) return answer
    this.#answers.delete(key)
    return null
  }

  /** Asks the resolver, or waits with those who have asked it already. May call back within this call. Never throws. */
  ask(question: Question, asker: Asker): void {
    const { key } = question
    const others = this.#lookups.get(key)
    if (others !== undefined && isYoungerThan(SHARED_FOR_MS, others.startedAt)) {
      others.askers.push(asker)
      return
    }
    const lookup: Lookup = { askers: [asker], startedAt: performance.now() }
    this.#lookups.set(key, lookup)
    const done = (error: NodeJS.ErrnoException | null, address: Answer['address'], family?: number): void => {
      if (this.#lookups.get(key) === lookup) this.#lookups.delete(key)
      const objection = error || objectionTo(address, family)
      if (objection) return tell(lookup, objection, null)
      const answer = { question, address, family, at: performance.now() }
      if (lookup.askers.length > 0) this.#remember(answer)
      tell(lookup, null, answer)
    }
    // Looked up now, as node:net does it: programs put resolvers of their own in its place.
    inRootContext(() => {
      try {
        dns.lookup(question.hostname, question.options, done)
      } catch (error) {
        done(error as NodeJS.ErrnoException, [])
      }
    })
  }

  /** No address of it could be connected to. */
  forget(answer: Answer): void {
    const { key } = answer.question
    if (this.#answers.get(key) === answer) this.#answers.delete(key)
  }

  /**
   * Of several addresses this is the one that was connected to: as long as the answer is remembered it is tried first, so
   * that an address that refuses or is silent costs its time only once.
   */
  prefer(answer: Answer, address: string): void {
    const { question, address: all } = answer
    if (this.#answers.get(question.key) !== answer || !Array.isArray(all)) return
    const at = all.findIndex((one) => one.address === address)
    if (at > 0) this.#answers.set(question.key, { ...answer, address: [all[at]!, ...all.toSpliced(at, 1)] })
  }

  /** For `net.connect`: as `dns.lookup`, shared and remembered. Calls back later, as that does. */
  readonly lookup = (
    hostname: string,
    options: LookupOptions,
    callback: (error: NodeJS.ErrnoException | null, address?: Answer['address'], family?: number) => void,
  ): void => {
    const question = new Question(hostname, options)
    const tell: Asker = (error, answer) => {
      if (answer === null) callback(error)
      else callback(null, answer.address, answer.family)
    }
    const remembered = this.recall(question)
    if (remembered === null) this.ask(question, tell)
    else queueMicrotask(() => inRootContext(() => tell(null, remembered)))
  }

  #remember(answer: Answer): void {
    if (this.#ttlMs === 0) return
    const { key } = answer.question
    // Last in its order, whatever it was before.
    this.#answers.delete(key)
    if (this.#answers.size >= MOST_ANSWERS) this.#answers.delete(this.#answers.keys().next().value!)
    this.#answers.set(key, answer)
  }
}

/** An answer that says no address is an error: to Node's net it would be an exception. */
function objectionTo(address: Answer['address'], family: number | undefined): Error | null {
  try {
    addressesIn(address, family)
    return null
  } catch (error) {
    return error as Error
  }
}

/** A clock that went back since then tells nothing: what is compared with it counts as old. */
function isYoungerThan(limitMs: number, since: number): boolean {
  const age = performance.now() - since
  return age >= 0 && age < limitMs
}

/** What one asker throws, or does to its error, does not reach the others. A resolver that calls back twice tells nobody. */
function tell({ askers }: Lookup, error: NodeJS.ErrnoException | null, answer: Answer | null): void {
  const told = askers.splice(0)
  inRootContext(() => {
    for (const [index, asker] of told.entries()) {
      try {
        asker(index > 0 && error instanceof Error ? copyOf(error) : error, answer)
      } catch (error) {
        throwLater(error)
      }
    }
  })
}

function copyOf(error: Error): Error {
  const copy = new Error(error.message)
  Object.setPrototypeOf(copy, Object.getPrototypeOf(error))
  return Object.defineProperties(copy, Object.getOwnPropertyDescriptors(error))
}
