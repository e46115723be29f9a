/**
 * The descriptors that wait for their next lease: a stack per peer, so that the warmest goes out first, and one list
 * over all of them, least recently released first, for eviction.
 */
import { LinkedList } from '../structures/linked-list.js'
import type { Descriptor } from './descriptor.js'

/** Up to so many peers may have an empty stack: making a new one for each lease costs more. */
const KEPT_STACKS = 64

export class IdleDescriptors {
  readonly #stacks = new Map<string, Descriptor[]>()
  readonly #all = new LinkedList<Descriptor>()

  get size(): number {
    return this.#all.size
  }

  has(key: string): boolean {
    return (this.#stacks.get(key)?.length ?? 0) > 0
  }

  push(descriptor: Descriptor): void {
    const { key } = descriptor.peer
    const stack = this.#stacks.get(key)
    if (stack === undefined) this.#stacks.set(key, [descriptor])
    else stack.push(descriptor)
    this.#all.append(descriptor)
  }

  /** The most recently released descriptor of a peer. */
  pop(key: string): Descriptor | undefined {
    const stack = this.#stacks.get(key)
    if (stack === undefined) return undefined
    const descriptor = stack.pop()
    this.#forgetEmpty(stack, key)
    if (descriptor !== undefined) this.#all.remove(descriptor)
    return descriptor
  }

  /** The least recently released descriptor of all; it is the first of its peer's stack. */
  takeOldest(): Descriptor | undefined {
    const descriptor = this.#all.first
    if (descriptor === null) return undefined
    const { key } = descriptor.peer
    const stack = this.#stacks.get(key)!
    stack.shift()
    this.#forgetEmpty(stack, key)
    this.#all.remove(descriptor)
    return descriptor
  }

  /** Little stays behind of peers that are not coming back. */
  #forgetEmpty(stack: Descriptor[], key: string): void {
    if (stack.length === 0 && this.#stacks.size > KEPT_STACKS) this.#stacks.delete(key)
  }
}
