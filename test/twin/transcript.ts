/** What one run of a scenario left behind, in a form in which two runs can be compared. */
import { createHash } from 'node:crypto'
import { describeError, type Entry } from './recorder.js'

/** Where two transcripts are not alike: what only one of them has, in its order. */
export interface Difference {
  undicis: Entry[]
  ours: Entry[]
}

/** Longer texts are compared, and printed, by their length and digest. */
const LONGEST = 400

/** Puts pieces of one body together. */
export function append(log: Entry[], entry: Entry): void {
  const last = log.at(-1)
  if (entry[1] === 'data' && last?.[1] === 'data' && last[0] === entry[0]) last[2] = `${last[2]}${entry[2]}`
  else log.push([...entry])
}

/** Ports and multipart boundaries are other ones in each run. */
export function normalise(log: readonly Entry[], ports: readonly number[]): Entry[] {
  const text = (said: string): string => {
    let result = said
    for (const [i, port] of ports.entries()) result = result.replaceAll(`:${port}`, `:PORT${i || ''}`)
    result = withoutBoundary(result)
    if (result.length <= LONGEST) return result
    return `${result.length} characters ${createHash('sha1').update(result).digest('hex')}`
  }
  const value = (said: unknown): unknown => {
    if (typeof said === 'string') return text(said)
    if (typeof said === 'number' && ports.includes(said)) return `:PORT${ports.indexOf(said) || ''}`
    if (Array.isArray(said)) return said.map(value)
    if (said instanceof Error) return describeError(said).map(value)
    if (typeof said === 'object' && said !== null) {
      const pairs = Reflect.ownKeys(said).map((key) => [
        String(key),
        value((said as Record<string, unknown>)[String(key)]),
      ])
      // Through pairs, since `__proto__` may be one of the names.
      return { pairs }
    }
    return said
  }
  return log.map((entry) => entry.map(value) as Entry)
}

/** A boundary is random and of any length, which is taken out of the content's. */
function withoutBoundary(text: string): string {
  const [boundary] = /formdata-(undici-0\d{11}|[\da-f-]{36})/.exec(text) ?? []
  if (boundary === undefined) return text
  const content = text.slice(text.indexOf('\r\n\r\n'))
  const boundaries = content.split(boundary).length - 1
  return text
    .replaceAll(boundary, 'BOUNDARY')
    .replace(
      /content-length: (\d+)/,
      (_field, length) => `content-length: ${length - boundaries * boundary.length} + boundaries`,
    )
}

/** The exchanges by themselves, and each origin's events: for where the order among them is nobody's promise. */
export function byParty(log: readonly Entry[]): Entry[] {
  const partyOf = ([who, , origin]: Entry): string => (who === 'agent' ? `agent ${origin}` : who)
  const parties = [...new Set(log.map(partyOf))].sort()
  return parties.flatMap((party) => log.filter((entry) => partyOf(entry) === party))
}

const same = (a: Entry, b: Entry): boolean => JSON.stringify(tagged(a)) === JSON.stringify(tagged(b))
/** JSON does not tell undefined from null. */
const tagged = (entry: Entry): unknown[] => entry.map((said) => (said === undefined ? { undefined: true } : said))

/** By a longest common subsequence. */
export function differenceOf(undicis: readonly Entry[], ours: readonly Entry[]): Difference {
  const rows = undicis.length
  const columns = ours.length
  const longest = Array.from({ length: rows + 1 }, () => new Array<number>(columns + 1).fill(0))
  for (let i = rows - 1; i >= 0; i--) {
    for (let j = columns - 1; j >= 0; j--) {
      longest[i]![j] = same(undicis[i]!, ours[j]!)
        ? longest[i + 1]![j + 1]! + 1
        : Math.max(longest[i + 1]![j]!, longest[i]![j + 1]!)
    }
  }
  const difference: Difference = { undicis: [], ours: [] }
  let i = 0
  let j = 0
  while (i < rows || j < columns) {
    if (i < rows && j < columns && same(undicis[i]!, ours[j]!)) {
      i++
      j++
    } else if (j === columns || (i < rows && longest[i + 1]![j]! >= longest[i]![j + 1]!)) {
      difference.undicis.push(undicis[i++]!)
    } else {
      difference.ours.push(ours[j++]!)
    }
  }
  return difference
}

/** One entry a line, for the message of a failed test. */
export function render({ undicis, ours }: Difference): string {
  const listed = (entries: Entry[]): string => entries.map((entry) => `\n  ${JSON.stringify(tagged(entry))}`).join('')
  return `only undici's:${listed(undicis)}\nonly ours:${listed(ours)}\n`
}
