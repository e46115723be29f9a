/** What works here, for people. */
import type { Finding, Findings, State } from './findings.js'
import { type Paint, table } from './output.js'

const MARKS: Readonly<Record<State, [string, 'green' | 'yellow' | 'red']>> = {
  good: ['ok', 'green'],
  note: ['note', 'yellow'],
  bad: ['no', 'red'],
}

export function printFindings({ isRecycling, findings }: Findings, paint: Paint): string {
  const rows = table(findings.map(({ name, state, found }) => [MARKS[state][0], name, found]))
  const lines = rows.flatMap((row, i) => linesOf(row, findings[i]!, paint))
  const verdict = isRecycling
    ? paint('green', 'Sockets are recycled here.')
    : paint('red', 'Sockets are not recycled here.')
  const more = isRecycling
    ? 'npx recycling-agent URL measures what that saves with an upstream of yours.'
    : 'RecyclingAgent works over ordinary sockets all the same, wherever undici does.'
  return `${[...lines, '', verdict, more].join('\n')}\n`
}

function linesOf(row: string, { state, advice }: Finding, paint: Paint): string[] {
  const [mark, style] = MARKS[state]
  const line = paint(style, mark) + row.slice(mark.length)
  return advice === null ? [line] : [line, paint('dim', `        -> ${advice}`)]
}
