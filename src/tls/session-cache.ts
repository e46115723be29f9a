/**
 * Sessions to be resumed, of one origin: by the context in which their peer was verified, and by the identity that it was
 * verified for. Each has the verdict of that verification with it, for a resumed connection is not verified again, as in
 * Node: what was not authorised then, and let pass all the same, is not authorised by resuming it.
 *
 * They are held by reference, and freed when they go, or when the cache itself does.
 */
import { openssl, type Pointer } from '../sys/openssl.js'
import type { TlsContext } from './tls-context.js'
import type { Verdict } from './verification.js'

export interface KeptSession {
  /** SSL_SESSION; the cache's. */
  readonly pointer: Pointer
  readonly verdict: Verdict
}

/** What outlives the cache as long as it is to be freed. */
type Sessions = Map<string, KeptSession>

/** For caches that nobody has cleared: those of origins that an agent has forgotten. */
const forgotten = new FinalizationRegistry<Sessions>(clear)

export class SessionCache {
  readonly #limit: number
  /** In the order in which they were kept. */
  readonly #sessions: Sessions = new Map()
  /** Those of another one are of no use: it may trust others. */
  #context: TlsContext | null = null

  /** @param limit how many are kept; the oldest goes first */
  constructor(limit: number) {
    this.#limit = limit
    forgotten.register(this, this.#sessions)
  }

  /** @returns a session that stays the cache's, or `null` */
  find(context: TlsContext, identity: string): KeptSession | null {
    if (context !== this.#context) return null
    const session = this.#sessions.get(identity)
    if (session === undefined) return null
    if (openssl().isResumable(session.pointer) === 1) return session
    this.#drop(identity, session)
    return null
  }

  /**
   * Keeps the session of a connection.
   *
   * @param context in which its peer was verified, by this connection or by the one whose session it resumes
   * @param identity for which it was verified
   * @param verdict of that verification
   * @param ssl open
   * @returns false when there is none yet: in TLS 1.3 it comes after the handshake
   */
  keep(context: TlsContext, identity: string, verdict: Verdict, ssl: Pointer): boolean {
    if (this.#limit === 0) return true
    const library = openssl()
    const pointer = library.takeSession(ssl)
    if (pointer === 0) return false
    const before = context === this.#context ? this.#sessions.get(identity) : undefined
    const isKnown = pointer === before?.pointer
    if (isKnown || library.isResumable(pointer) !== 1) {
      library.freeSession(pointer)
      return isKnown
    }
    if (context !== this.#context) {
      this.clear()
      this.#context = context
    }
    if (before !== undefined) this.#drop(identity, before)
    library.keepSession(pointer)
    this.#sessions.set(identity, { pointer, verdict })
    if (this.#sessions.size > this.#limit) {
      const [[oldest, session]] = this.#sessions as unknown as [[string, KeptSession]]
      this.#drop(oldest, session)
    }
    return true
  }

  clear(): void {
    clear(this.#sessions)
    this.#context = null
  }

  get size(): number {
    return this.#sessions.size
  }

  #drop(identity: string, { pointer }: KeptSession): void {
    this.#sessions.delete(identity)
    openssl().freeKeptSession(pointer)
  }
}

function clear(sessions: Sessions): void {
  for (const { pointer } of sessions.values()) openssl().freeKeptSession(pointer)
  sessions.clear()
}
