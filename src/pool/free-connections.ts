/**
 * The connections of a pool that may be able to take a request, the oldest first: so that load gathers on few, and the
 * others idle out. A binary heap, since a search among all would make each request cost as much as there are others.
 *
 * Invariant: whatever can take a request is in here. The reverse does not hold: what cannot is dropped when it comes up.
 */
import { Link } from '../structures/linked-list.js'

/** A connection as its pool sees it: the member of a list of all, and at times of the heap below. */
export abstract class PooledConnection<C extends PooledConnection<C, R>, R> extends Link<C> {
  /** The older, the smaller. */
  readonly order: number
  /** For {@link FreeConnections} only. */
  isInHeap = false

  constructor(order: number) {
    super()
    this.order = order
  }

  /** Whether it can take a request. */
  abstract get canTake(): boolean
  /** Whether it can take this one. */
  abstract canServe(request: R): boolean
}

/** So many may be in the heap, besides twice those that exist, before it is cleared of the dead. */
const SLACK = 32

export class FreeConnections<C extends PooledConnection<C, R>, R> {
  #heap: C[] = []

  /** To be called whenever `connection` may have become able to take a request. @param existing of all there are */
  add(connection: C, existing: number): void {
    if (connection.isInHeap) return
    connection.isInHeap = true
    this.trim(existing)
    this.#heap.push(connection)
    this.#rise(this.#heap.length - 1)
  }

  /** To be called when connections have ended: few of them are kept. @param existing of all there are */
  trim(existing: number): void {
    if (this.#heap.length > SLACK + 2 * existing) this.#sweep()
  }

  /** The oldest connection that can take the request; `null`: any request. */
  first(request: R | null): C | undefined {
    const heap = this.#heap
    while (heap.length > 0 && !heap[0]!.canTake) this.#dropFirst()
    const first = heap[0]
    if (first === undefined || request === null || first.canServe(request)) return first
    // Rare: it takes requests, but not this one behind those it has.
    let found: C | undefined
    for (const connection of heap) {
      if ((found === undefined || connection.order < found.order) && connection.canServe(request)) found = connection
    }
    return found
  }

  #dropFirst(): void {
    const heap = this.#heap
    heap[0]!.isInHeap = false
    const last = heap.pop()!
    if (heap.length === 0) return
    heap[0] = last
    this.#sink(0)
  }

  #sweep(): void {
    const all = this.#heap
    this.#heap = all.filter((connection) => connection.canTake)
    for (const connection of all) connection.isInHeap = connection.canTake
    // An array in order is a heap.
    this.#heap.sort((one, other) => one.order - other.order)
  }

  #rise(from: number): void {
    const heap = this.#heap
    const connection = heap[from]!
    let index = from
    while (index > 0) {
      const above = (index - 1) >> 1
      if (heap[above]!.order <= connection.order) break
      heap[index] = heap[above]!
      index = above
    }
    heap[index] = connection
  }

  #sink(from: number): void {
    const heap = this.#heap
    const connection = heap[from]!
    let index = from
    for (;;) {
      let below = 2 * index + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && heap[below + 1]!.order < heap[below]!.order) below++
      if (heap[below]!.order >= connection.order) break
      heap[index] = heap[below]!
      index = below
    }
    heap[index] = connection
  }
}
