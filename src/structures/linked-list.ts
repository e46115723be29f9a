/**
 * A doubly linked list whose links are in its members: adding and removing one costs a few pointer writes.
 *
 * For what comes and goes with every request a Set would be the wrong thing: whenever it grows, V8 keeps a link from
 * its old table to the new one, and once an old table has become old garbage, everything that was in any table after it
 * survives until the next major collection.
 */

/**
 * What is to be a member, of one list at a time. Its links are kept by the list.
 *
 * There are four classes of members, as many as V8's inline caches tell apart: with a fifth, to create one costs more
 * than all else that is done for a request (`<instance_members_initializer>` in a CPU profile).
 */
export abstract class Link<T extends Link<T>> {
  /** @internal */
  list: LinkedList<T> | null = null
  /** @internal */
  previous: T | null = null
  /** @internal */
  next: T | null = null
}

export class LinkedList<T extends Link<T>> implements Iterable<T> {
  #first: T | null = null
  #last: T | null = null
  #size = 0

  get first(): T | null {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  /** @param member of no list */
  append(member: T): void {
    member.list = this
    member.previous = this.#last
    if (this.#last === null) this.#first = member
    else this.#last.next = member
    this.#last = member
    this.#size++
  }

  /** Without effect for what is not a member. */
  remove(member: T): void {
    if (member.list !== this) return
    const { previous, next } = member
    if (previous === null) this.#first = next
    else previous.next = next
    if (next === null) this.#last = previous
    else next.previous = previous
    member.list = null
    member.previous = null
    member.next = null
    this.#size--
  }

  /** The members as they are now: the list may change meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    const members: T[] = []
    for (let member = this.#first; member !== null; member = member.next) members.push(member)
    return members.values()
  }
}
