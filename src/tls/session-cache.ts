/**
 * Sessions to be resumed, of one origin: by the context in which their peer was verified, and by the identity that it was
 * verified for. Whoever keeps one here vouches for that: a resumed connection is not verified again, as in Node.
 *
 * They are held by reference, and freed when they go, or when the cache itself does.
 */
import { openssl, type Pointer } from '../sys/openssl.js'
import type { TlsContext } from './tls-context.js'

/** What outlives the cache as long as it is to be freed. */
type Sessions = Map<string, Pointer>

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

  /** @returns a session that stays the cache's, or 0 */
  find(context: TlsContext, identity: string): Pointer {
    if (context !== this.#context) return 0
    const session = this.#sessions.get(identity) ?? 0
    if (session === 0 || openssl().isResumable(session) === 1) return session
    this.#drop(identity, session)
    return 0
  }

  /**
   * Keeps the session of a connection whose peer was verified in this context and for this identity, by this connection
   * or by the one that it resumes.
   *
   * @param ssl open
   * @returns false when there is none yet: in TLS 1.3 it comes after the handshake
   */
  keep(context: TlsContext, identity: string, ssl: Pointer): boolean {
    if (this.#limit === 0) return true
    const library = openssl()
    const session = library.takeSession(ssl)
    if (session === 0) return false
    const before = context === this.#context ? this.#sessions.get(identity) : undefined
    if (session === before || library.isResumable(session) !== 1) {
      library.freeSession(session)
      return session === before
    }
    if (context !== this.#context) {
      this.clear()
      this.#context = context
    }
    if (before !== undefined) this.#drop(identity, before)
    this.#sessions.set(identity, session)
    if (this.#sessions.size > this.#limit) {
      const [[oldest, pointer]] = this.#sessions as unknown as [[string, Pointer]]
      this.#drop(oldest, pointer)
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

  #drop(identity: string, session: Pointer): void {
    this.#sessions.delete(identity)
    openssl().freeSession(session)
  }
}

function clear(sessions: Sessions): void {
  for (const session of sessions.values()) openssl().freeSession(session)
  sessions.clear()
}
