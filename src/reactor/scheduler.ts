/**
 * What connections need of the event loop, whatever tells them of readiness: work for the next turn, and a hold on the
 * process while there is something to wait for.
 */
import { queueMicrotask } from '../sys/real-timers.js'

/** Immediates are armed in this context, or the AsyncLocalStorage store of one request would reach all others. */
export { inRootContext } from '../sys/root-context.js'

/** Something to be done once, after the readiness that is there now has been handled. */
export interface Task {
  run(): void
}

export interface Scheduler {
  /** Counts the iterations of the event loop in which there was anything to do. */
  readonly turn: number
  /** Runs `task` after the readiness of the next turn (of this one, when called within a turn) was handled. */
  later(task: Task): void
  /** Keeps the process alive until {@link letGo} was called as often. */
  hold(): void
  letGo(): void
}

/** An exception of one connection's owner must not cost the others their readiness: it is thrown on its own. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

const resolved = Promise.resolve()

/** Calls `work`, which must not throw, from a microtask. Unlike `queueMicrotask` it makes no AsyncResource. */
export function soon(work: () => void): void {
  void resolved.then(work)
}

/** Tasks that wait for their turn; what a task adds waits for the next one. */
export class TaskQueue {
  #tasks: Task[] = []
  #spare: Task[] = []

  get isEmpty(): boolean {
    return this.#tasks.length === 0
  }

  add(task: Task): void {
    this.#tasks.push(task)
  }

  run(): void {
    if (this.isEmpty) return
    const tasks = this.#tasks
    this.#tasks = this.#spare
    for (let i = 0; i < tasks.length; i++) {
      try {
        tasks[i]!.run()
      } catch (error) {
        throwLater(error)
      }
    }
    tasks.length = 0
    this.#spare = tasks
  }
}
