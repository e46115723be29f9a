/**
 * A scheduler for connections that Node watches: turns are immediates, and a timer that never fires is the hold on the
 * process.
 */
import { setImmediate, setInterval } from '../sys/real-timers.js'
import { inRootContext, type Scheduler, type Task, TaskQueue } from './scheduler.js'

/** The longest interval that timers know, in milliseconds. */
const NEVER_MS = 0x7fff_ffff

export class ImmediateScheduler implements Scheduler {
  turn = 0
  readonly #tasks = new TaskQueue()
  #holds = 0
  #holder: NodeJS.Timeout | null = null
  #isArmed = false
  readonly #arm = (): void => {
    setImmediate(() => {
      this.#isArmed = false
      this.turn++
      this.#tasks.run()
    })
  }

  later(task: Task): void {
    this.#tasks.add(task)
    if (this.#isArmed) return
    this.#isArmed = true
    inRootContext(this.#arm)
  }

  hold(): void {
    if (this.#holds++ > 0) return
    if (this.#holder === null) this.#holder = inRootContext(() => setInterval(() => {}, NEVER_MS))
    else this.#holder.ref()
  }

  letGo(): void {
    if (--this.#holds === 0) this.#holder?.unref()
  }
}

let schedulerOfThread: ImmediateScheduler | undefined

/** This thread's scheduler, created when first asked for. */
export function threadScheduler(): ImmediateScheduler {
  schedulerOfThread ??= new ImmediateScheduler()
  return schedulerOfThread
}
