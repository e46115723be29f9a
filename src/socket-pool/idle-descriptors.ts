/**
 * The descriptors that wait for their next lease: a stack per peer, so that the warmest goes out first, and one list
 * over all of them, least recently released first, for eviction.
 */
import type { Descriptor } from './descriptor.js'

export class IdleDescriptors {
  readonly #stacks = new Map<string, Descriptor[]>()
  #oldest: Descriptor | null = null
  #newest: Descriptor | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  has(key: string): boolean {
    return (this.#stacks.get(key)?.length ?? 0) > 0
  }

  push(descriptor: Descriptor): void {
    const { key } = descriptor.peer
    const stack = this.#stacks.get(key)
    if (stack === undefined) this.#stacks.set(key, [descriptor])
    else stack.push(descriptor)
    descriptor.previous = this.#newest
    if (this.#newest === null) this.#oldest = descriptor
    else this.#newest.next = descriptor
    this.#newest = descriptor
    this.#size++
  }

  /** The most recently released descriptor of a peer. */
  pop(key: string): Descriptor | undefined {
    const stack = this.#stacks.get(key)
    if (stack === undefined) return undefined
    const descriptor = stack.pop()
    // Nothing stays behind of peers that are not coming back.
    if (stack.length === 0) this.#stacks.delete(key)
    if (descriptor !== undefined) this.#unlink(descriptor)
    return descriptor
  }

  /** The least recently released descriptor of all; it is the first of its peer's stack. */
  takeOldest(): Descriptor | undefined {
    const descriptor = this.#oldest
    if (descriptor === null) return undefined
    const stack = this.#stacks.get(descriptor.peer.key)
    stack?.shift()
    if (stack?.length === 0) this.#stacks.delete(descriptor.peer.key)
    this.#unlink(descriptor)
    return descriptor
  }

  #unlink(descriptor: Descriptor): void {
    const { previous, next } = descriptor
    if (previous === null) this.#oldest = next
    else previous.next = next
    if (next === null) this.#newest = previous
    else next.previous = previous
    descriptor.previous = null
    descriptor.next = null
    this.#size--
  }
}
