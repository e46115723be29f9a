/** A body that waits to be asked for, without anything around it. */
import { describe, expect, it, vi } from 'vitest'
import { HeldBody } from '../../src/pool/held-body.js'
import { realClock } from '../../src/reactor/clock.js'
import { Deadline, Deadlines } from '../../src/reactor/deadlines.js'
import { threadReactor } from '../../src/reactor/reactor.js'
import type { Request } from '../../src/request/request.js'

const waits = new Deadlines(threadReactor(), () => realClock)
const held = (): { body: HeldBody; start: ReturnType<typeof vi.fn> } => {
  const start = vi.fn()
  return { body: new HeldBody({} as Request, { start }, waits), start }
}
/** Resolves when so much time has passed for whoever began to wait before this. */
const passed = (ms: number): Promise<void> =>
  new Promise((resolve) => waits.start(new Deadline({ onDeadline: () => resolve() }), ms))

describe('a held body', () => {
  it('begins when it is released, once', async () => {
    const { body, start } = held()
    body.wait(5)
    expect([body.isHeld, start.mock.calls.length]).toEqual([true, 0])
    body.release()
    expect([body.isHeld, start.mock.calls.length]).toEqual([false, 1])
    body.release()
    await passed(5)
    expect(start).toHaveBeenCalledOnce()
  })

  it('begins when its time is up', async () => {
    const { body, start } = held()
    body.wait(5)
    await passed(5)
    expect([body.isHeld, start.mock.calls.length]).toEqual([false, 1])
  })

  it('begins at once with no time to wait', () => {
    const { body, start } = held()
    body.wait(0)
    expect([body.isHeld, start.mock.calls.length]).toEqual([false, 1])
  })

  it('stays as it is when it is stopped', async () => {
    const { body, start } = held()
    body.wait(5)
    body.stop()
    await passed(5)
    expect([body.isHeld, start.mock.calls.length]).toEqual([true, 0])
  })
})
