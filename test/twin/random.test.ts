/**
 * Responses at random, well-formed or broken in one place, written in pieces at random, and read by handlers that pause,
 * resume and abort at random. A failure prints its seed; TWIN_SEED plays it again, TWIN_RUNS plays more.
 */
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { styles } from '../support/handlers.js'
import type { RawPeer } from '../support/raw-server.js'
import { EVERYWHERE } from './deviations.js'
import type { Entry, Flow, Hooks } from './recorder.js'
import { differenceOf, render } from './transcript.js'
import { type Play, playBoth } from './twin.js'

const seed = Number(process.env.TWIN_SEED ?? 20_251_125)
const numRuns = Number(process.env.TWIN_RUNS ?? 40)

interface Plan {
  bytes: string
  /** Where the bytes are cut, as fractions of their length. */
  cuts: number[]
  /** 'later': when the handler has heard of the end. */
  ending: 'fin' | 'later'
  method: string
}

const token = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_!'), minLength: 1, maxLength: 8 })
const value = fc.string({ unit: fc.constantFrom(...'abc 019\t,;="\u00e9\u00ff'), maxLength: 20 })
// Fields that frame the message or the connection are added by themselves.
const fieldLines = fc.array(
  fc.tuple(token, value).map(([name, said]) => `x${name}: ${said}\r\n`),
  { maxLength: 4 },
)
const content = fc.string({ unit: fc.constantFrom(...'abc\r\n0:\u00e9'), maxLength: 60 })

const chunked = fc.tuple(fc.array(content, { maxLength: 4 }), fieldLines).map(([chunks, trailers]) => {
  const lines = chunks.filter((chunk) => chunk !== '').map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
  return { fields: 'transfer-encoding: chunked\r\n', body: `${lines.join('')}0\r\n${trailers.join('')}\r\n` }
})
const sized = content.map((body) => ({ fields: `content-length: ${body.length}\r\n`, body }))
const untilFin = content.map((body) => ({ fields: '', body }))

const responseOf = (framing: typeof sized): fc.Arbitrary<string> =>
  fc
    .record({
      informational: fc.array(fc.constantFrom(102, 103, 199), { maxLength: 2 }),
      status: fc.constantFrom(200, 201, 301, 404, 500, 204, 304),
      reason: fc.constantFrom('OK', '', 'Not Found', 'Gr\u00c3\u00bcn'),
      fields: fieldLines,
      connection: fc.constantFrom('', '', 'connection: close\r\n', 'connection: keep-alive\r\n'),
      framed: framing,
    })
    .map(({ informational, status, reason, fields, connection, framed }) => {
      // What has no body is a matter of its own.
      const { fields: framing, body } = status === 204 || status === 304 ? { fields: '', body: '' } : framed
      const early = informational.map((code) => `HTTP/1.1 ${code} X\r\nearly: yes\r\n\r\n`).join('')
      return `${early}HTTP/1.1 ${status} ${reason}\r\n${fields.join('')}${connection}${framing}\r\n${body}`
    })

const response = responseOf(fc.oneof(chunked, sized, untilFin))

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 })
/** Everything ends by a FIN, so that no run waits for what does not come. */
const wellFormed: fc.Arbitrary<Plan> = fc.record({
  bytes: response,
  cuts,
  ending: fc.constant('fin'),
  method: fc.constantFrom('GET', 'POST'),
})

/** Their end is known without a FIN: undici 7 takes one that comes while the handler pauses for a failure. */
const framed: fc.Arbitrary<Plan> = fc.record({
  bytes: responseOf(fc.oneof(chunked, sized)),
  cuts,
  ending: fc.constant('later'),
  method: fc.constant('GET'),
})

/** One byte is taken out, put in or replaced. */
const broken: fc.Arbitrary<Plan> = fc
  .tuple(
    wellFormed,
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constantFrom('', ...'\r\n\0 :;x5\u00ff'),
    fc.boolean(),
  )
  .map(([plan, place, byte, inPlace]) => {
    const at = Math.floor(place * (plan.bytes.length - 1))
    const bytes = plan.bytes.slice(0, at) + byte + plan.bytes.slice(inPlace || byte === '' ? at + 1 : at)
    return { ...plan, bytes }
  })

const truncated: fc.Arbitrary<Plan> = fc
  .tuple(wellFormed, fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([plan, place]) => ({ ...plan, bytes: plan.bytes.slice(0, Math.floor(place * plan.bytes.length)) }))

async function writeCut({ socket }: RawPeer, { bytes, cuts: places }: Plan): Promise<void> {
  const ends = [...places.map((place) => Math.floor(place * bytes.length)), bytes.length].sort((a, b) => a - b)
  socket.setNoDelay(true)
  let from = 0
  for (const end of ends) {
    if (end > from && socket.writable) socket.write(bytes.slice(from, end), 'latin1')
    from = Math.max(from, end)
    await setImmediate()
  }
}

const playing =
  (plan: Plan, hooks: () => Hooks): Play =>
  async (stage) => {
    const { origin } = await stage.server(async (peer) => {
      if ((await peer.request()) === null) return
      await writeCut(peer, plan)
      if (plan.ending === 'later') await stage.noted('end')
      peer.socket.end()
    })
    const agent = stage.agent({ connections: 1 })
    await stage.send(agent, { origin, method: plan.method }, hooks()).done
    await stage.noted('disconnect')
  }

/**
 * Bytes behind the end of a response may come with it or be met by an idle connection, and so may the FIN be met by one
 * that is being closed: how the connection ends is compared elsewhere.
 */
const ofHandler = (entries: Entry[]): Entry[] =>
  entries.filter(([who]) => who !== 'agent').map(EVERYWHERE.splitReason.apply)

async function compare(plan: Plan, hooks: () => Hooks = () => ({})): Promise<void> {
  for (const style of styles) {
    const [undicis, ours] = (await playBoth(playing(plan, hooks), style)).map(ofHandler) as [Entry[], Entry[]]
    expect(ours, render(differenceOf(undicis, ours))).toEqual(undicis)
  }
}

/** fast-check prints the seed and the counterexample of a failure. */
const check = (
  arbitrary: fc.Arbitrary<unknown[]>,
  property: (...values: never[]) => Promise<void>,
  runs = numRuns,
): Promise<void> =>
  fc.assert(
    fc.asyncProperty(arbitrary, (values) => property(...(values as never[]))),
    { seed, numRuns: runs, endOnFailure: true },
  ) as Promise<void>

describe('random', () => {
  it('responses in random pieces', () => check(fc.tuple(wellFormed), (plan: Plan) => compare(plan)))

  it('responses that are broken in one place', () =>
    check(fc.tuple(broken), (plan: Plan) => compare(plan), numRuns * 2))

  it('responses that are cut off', () => check(fc.tuple(truncated), (plan: Plan) => compare(plan)))

  it('pauses', () =>
    check(
      fc.tuple(framed, fc.array(fc.constantFrom('no', 'now', 'microtask', 'turn'), { minLength: 1, maxLength: 5 })),
      (plan: Plan, pauses: string[]) =>
        compare(plan, () => {
          let count = 0
          const pause = (flow: Flow): void => {
            const kind = pauses[count++ % pauses.length]
            if (kind === 'no') return
            flow.pause()
            if (kind === 'now') flow.resume()
            if (kind === 'microtask') queueMicrotask(() => flow.resume())
            if (kind === 'turn') global.setImmediate(() => flow.resume())
          }
          // A pause at an informational head means nothing.
          return {
            head: (flow, [, , status]) => (status as number) >= 200 && pause(flow),
            // undici 7 calls back with nothing when it resumes: to pause then, again and again, would never end.
            data: (flow, [, , chunk]) => chunk !== '' && pause(flow),
          }
        }),
    ))

  it('aborts', () =>
    check(
      fc.tuple(wellFormed, fc.constantFrom('head', 'data', 'end'), fc.boolean()),
      (plan: Plan, callback: string, later: boolean) =>
        compare({ ...plan, cuts: [] }, () => ({
          [callback](flow: Flow) {
            const abort = (): void => flow.abort(new Error('enough'))
            if (later) queueMicrotask(abort)
            else abort()
          },
        })),
    ))
})
