/** Requests that carry a number, which the body of the response has to repeat; and what came of them. */
import type { Dispatcher } from 'undici'
import { after, block } from './moments.js'
import { type Random, randomOf } from './random.js'

export type Kind = 'GET' | 'POST' | 'POST with a key' | 'PUT'

export interface Errand {
  dispatcher: Dispatcher
  origin: string
  kind: Kind
  requests: number
  /** So many at once, each of them one after the other. @default 1 */
  lanes?: number
  /** Of the first request; the others count on. @default 0 */
  first?: number
  /** What a lane waits before the next request; by default it does not. */
  pauseMs?: readonly [least: number, most: number]
  /** The event loop stands still while it waits. @default false */
  isBusy?: boolean
  /** Of the pauses. @default 0 */
  seed?: number
  /** A request that takes longer hangs, and is the last of all. @default 10000 */
  hangMs?: number
  /** Called with the number of each request that fails. */
  onFailure?: (number: number) => void
}

export interface Tally {
  sent: number
  ok: number
  /** By code: those that failed. */
  lost: Record<string, number>
  /** Answered, but not with what belongs to them. */
  wrong: number
  hung: number
}

export const emptyTally = (): Tally => ({ sent: 0, ok: 0, lost: {}, wrong: 0, hung: 0 })

export const countLost = ({ lost }: Pick<Tally, 'lost'>): number =>
  Object.values(lost).reduce((sum, count) => sum + count, 0)

export function addTally(sum: Tally, { sent, ok, lost, wrong, hung }: Tally): void {
  sum.sent += sent
  sum.ok += ok
  sum.wrong += wrong
  sum.hung += hung
  for (const [code, count] of Object.entries(lost)) sum.lost[code] = (sum.lost[code] ?? 0) + count
}

/** Sends them all. Resolves when they are over, or one of them hangs. */
export async function sendNumbered(errand: Errand): Promise<Tally> {
  const { requests, lanes = 1, first = 0, hangMs = 10_000, seed = 0 } = errand
  const tally = emptyTally()
  const next = randomOf(seed)
  const began = new Map<number, number>()
  const serve = async (): Promise<void> => {
    while (tally.sent < requests && tally.hung === 0) {
      const number = first + tally.sent++
      began.set(number, performance.now())
      await exchange(errand, number, tally)
      began.delete(number)
      if (tally.sent < requests) await pause(errand, next)
    }
  }
  let watchdog: NodeJS.Timeout | undefined
  const hang = new Promise<void>((resolve) => {
    watchdog = setInterval(() => {
      const now = performance.now()
      tally.hung = [...began.values()].filter((at) => now - at > hangMs).length
      if (tally.hung > 0) resolve()
    }, hangMs / 10)
  })
  await Promise.race([Promise.all(Array.from({ length: lanes }, serve)), hang])
  clearInterval(watchdog)
  return tally
}

async function exchange({ dispatcher, origin, kind, onFailure }: Errand, number: number, tally: Tally): Promise<void> {
  const body = kind === 'GET' ? '' : `body of ${number}`
  const request: Dispatcher.RequestOptions = {
    origin,
    path: `/${number}`,
    method: kind === 'POST with a key' ? 'POST' : kind,
    ...(kind !== 'GET' && { body }),
    // As undici has it, only GET, HEAD and QUERY are idempotent by themselves.
    ...(kind === 'PUT' && { idempotent: true }),
    ...(kind === 'POST with a key' && { headers: { 'idempotency-key': `"key-${number}"` } }),
  }
  try {
    const response = await dispatcher.request(request)
    const text = await response.body.text()
    if (response.statusCode === 200 && text === `${number} ${body}`) tally.ok++
    else tally.wrong++
  } catch (error) {
    const { code, name } = error as NodeJS.ErrnoException
    const told = code ?? name
    onFailure?.(number)
    tally.lost[told] = (tally.lost[told] ?? 0) + 1
  }
}

async function pause({ pauseMs, isBusy = false }: Errand, next: Random): Promise<void> {
  if (pauseMs === undefined) return
  const [least, most] = pauseMs
  const ms = least + ((most - least) * next(1e6)) / 1e6
  if (isBusy) block(ms)
  else await new Promise<void>((resolve) => after(ms, resolve))
}
