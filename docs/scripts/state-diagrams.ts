/** The state machines of src/ as diagrams, from the very tables that the code follows. */
import { responseSteps } from '../../src/http1/response-state.js'
import { connectionSteps } from '../../src/pool/connection-phase.js'
import { habitSteps } from '../../src/pool/habits.js'
import { pipelineSteps } from '../../src/pool/pipeline-state.js'
import { descriptorSteps } from '../../src/socket-pool/descriptor-state.js'

type Steps = ReadonlyArray<readonly [from: string, step: string, to: string]>

/** Where each begins, and how that is called. */
const machines: Readonly<Record<string, { steps: Steps; first: string; birth: string }>> = {
  'states of a descriptor': { steps: descriptorSteps, first: 'leased', birth: 'socket(2)' },
  'phases of a connection': { steps: connectionSteps, first: 'connecting', birth: '' },
  'states of a pipeline': { steps: pipelineSteps, first: 'ready', birth: '' },
  'habits of an origin': { steps: habitSteps, first: 'unknown', birth: '' },
  'states of the response reader': { steps: responseSteps, first: 'head', birth: '' },
}

/** Mermaid takes no hyphens and no blanks in identifiers. */
const identifier = (state: string): string => state.replaceAll(/\W/g, '_')

function diagram({ steps, first, birth }: (typeof machines)[string]): string {
  const states = [...new Set([first, ...steps.flatMap(([from, , to]) => [from, to])])]
  const names = states
    .filter((state) => identifier(state) !== state)
    .map((state) => `state "${state}" as ${identifier(state)}`)
  // One arrow for all the steps that lead from one state to another.
  const arrows = new Map<string, string[]>()
  for (const [from, step, to] of steps) {
    const arrow = `${identifier(from)} --> ${identifier(to)}`
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), step])
  }
  const isFinal = (state: string): boolean => steps.every(([from, , to]) => from !== state || to === state)
  const lines = [
    ...names,
    `[*] --> ${identifier(first)}${birth === '' ? '' : `: ${birth}`}`,
    ...[...arrows].map(([arrow, labels]) => `${arrow}: ${labels.join(', ')}`),
    ...states.filter(isFinal).map((state) => `${identifier(state)} --> [*]`),
  ]
  return ['```mermaid', 'stateDiagram-v2', ...lines.map((line) => `  ${line}`), '```'].join('\n')
}

/** Mermaid diagrams by the names of their blocks in docs/design.md. */
export const stateDiagrams: ReadonlyArray<readonly [block: string, content: string]> = Object.entries(machines).map(
  ([name, machine]) => [name, diagram(machine)] as const,
)
