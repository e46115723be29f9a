/**
 * The peers of one target: the one of an IP literal or a Unix socket, or those whose addresses a resolver says. What is
 * known without asking is kept as it is passed to connect(2), so that a further connection costs nothing here.
 */
import { isIP } from 'node:net'
import { inRootContext } from '../reactor/scheduler.js'
import { Peer } from '../socket-pool/peer.js'
import { addressesIn, answeringOnce, lookupOptions } from './addresses.js'
import { type Answer, type Names, Question } from './names.js'
import type { Target } from './transport.js'

const NONE: readonly Peer[] = []

/** How many addresses of one target keep their peers. */
const MOST_PEERS = 64

const routes = new WeakMap<Target, Route>()

/** Called once: with at least one peer, or with an error. */
export type RouteCallback = (error: Error | null, peers: readonly Peer[]) => void

export class Route {
  readonly #target: Target
  readonly #names: Names
  /** `null` where there is nothing to ask the system's resolver for. */
  readonly #question: Question | null
  readonly #peerOf = new Map<string, Peer>()
  /** Those of the answer, or the one of a target that is no name. */
  #peers: readonly Peer[] = NONE
  #answer: Answer | null = null

  private constructor(target: Target, names: Names) {
    const { hostname, socketPath, lookup } = target
    this.#target = target
    this.#names = names
    const isName = socketPath === undefined && isIP(hostname) === 0
    this.#question = isName && lookup === undefined ? new Question(hostname, lookupOptions(target)) : null
  }

  /** One for each target. */
  static of(target: Target, names: Names): Route {
    let route = routes.get(target)
    if (route === undefined) {
      route = new Route(target, names)
      routes.set(target, route)
    }
    return route
  }

  /** The peers, where nobody has to be asked for them. @throws RangeError for a port that is none */
  get known(): readonly Peer[] | null {
    if (this.#question === null) return this.#peers === NONE ? null : this.#peers
    const answer = this.#names.recall(this.#question)
    return answer === null ? null : this.#peersIn(answer)
  }

  /**
   * Calls back at once or later, in the root context when it is later.
   *
   * @throws RangeError for a path or port that is none
   */
  resolve(callback: RouteCallback): void {
    const { socketPath, hostname, lookup } = this.#target
    if (socketPath !== undefined) return callback(null, this.#keep([Peer.unix(socketPath)]))
    if (isIP(hostname) !== 0) return callback(null, this.#keep([this.#peerAt(hostname)]))
    if (this.#question !== null) {
      return this.#names.ask(this.#question, (error, answer) => {
        if (error !== null) callback(error, NONE)
        else this.#tell(callback, () => this.#peersIn(answer!))
      })
    }
    answeringOnce(lookup!)(hostname, lookupOptions(this.#target), (error, answer, family) => {
      inRootContext(() => {
        if (error) callback(error, NONE)
        else this.#tell(callback, () => this.#peersAt(answer, family))
      })
    })
  }

  /** None of `peers` could be connected to: whom the next one gets is asked for anew. */
  forget(peers: readonly Peer[]): void {
    if (this.#answer !== null && peers === this.#peers) this.#names.forget(this.#answer)
  }

  /** Of `peers` it was this one that was connected to, and not the first. */
  prefer(peers: readonly Peer[], { address }: Peer): void {
    if (this.#answer !== null && peers === this.#peers) this.#names.prefer(this.#answer, address)
  }

  #tell(callback: RouteCallback, find: () => readonly Peer[]): void {
    let peers: readonly Peer[]
    try {
      peers = find()
    } catch (error) {
      callback(error as Error, NONE)
      return
    }
    callback(null, peers)
  }

  #keep(peers: readonly Peer[]): readonly Peer[] {
    this.#peers = peers
    return peers
  }

  #peersIn(answer: Answer): readonly Peer[] {
    if (answer === this.#answer) return this.#peers
    const peers = this.#peersAt(answer.address, answer.family)
    this.#answer = answer
    return this.#keep(peers)
  }

  #peersAt(answer: Answer['address'], family: number | undefined): readonly Peer[] {
    // A resolver that is not told the kind of socket says each address once for every kind.
    return [...new Set(addressesIn(answer, family).map(({ address }) => this.#peerAt(address)))]
  }

  #peerAt(address: string): Peer {
    let peer = this.#peerOf.get(address)
    if (peer === undefined) {
      const { port, localAddress, localPort } = this.#target
      peer = Peer.internet({ address, port, localAddress, localPort })
      if (this.#peerOf.size >= MOST_PEERS) this.#peerOf.clear()
      this.#peerOf.set(address, peer)
    }
    return peer
  }
}
