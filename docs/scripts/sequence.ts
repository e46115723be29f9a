/**
 * The life of a recycled descriptor as a diagram: the calls that RecyclingAgent makes, beside the TCP segments that a
 * capture on the loopback interface shows.
 */
import type { ChildProcess } from 'node:child_process'
import { Capture, type Segment } from '../../test/support/capture.js'
import { Program } from '../../test/support/child.js'

export type CallName = 'socket' | 'setsockopt' | 'epoll_ctl' | 'connect' | 'send' | 'recv' | 'shutdown' | 'close'

/** A system call of the agent's. */
export interface Call {
  /** CLOCK_REALTIME when it began, in nanoseconds: a bigint in decimal. */
  timeNs: string
  fd: number
  name: CallName
  result: number
  /** The name of its errno; empty when it succeeded. */
  error: string
  /** connect(2) with AF_UNSPEC. */
  isDissolving: boolean
}

/** What programs/recycled-connection.ts says: where it listens, and in the end what was called. */
export type Message = { port: number } | { calls: Call[] }

/** The name of its block in docs/design.md. */
export const sequenceBlock = 'two requests over one descriptor'

const AGENT = 'A'
const SOCKET = 'S'
const UPSTREAM = 'U'

/** Runs the program and captures its segments. Needs the permission to capture. @returns the diagram */
export async function recordSequence(): Promise<string> {
  const program = await Program.from(new URL('./programs/recycled-connection.ts', import.meta.url))
  const child = program.start()
  try {
    const { port } = await nextMessage<{ port: number }>(child)
    const capture = await Capture.start(port)
    child.send('go')
    const { calls } = await nextMessage<{ calls: Call[] }>(child)
    return sequenceDiagram(calls, await capture.stop(), port)
  } finally {
    child.kill()
    program.delete()
  }
}

function nextMessage<M extends Message>(child: ChildProcess): Promise<M> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve as (message: unknown) => void)
    child.once('exit', (code, signal) => reject(new Error(`the program ended: ${signal ?? code}`)))
  })
}

/** @param port the upstream's */
export function sequenceDiagram(calls: readonly Call[], segments: readonly Segment[], port: number): string {
  const connects = calls.filter(isConnecting)
  const [first] = connects
  if (first === undefined) throw new Error('nothing was connected')
  const events = [
    ...callsIn(calls.filter(({ fd }) => fd === first.fd)),
    ...connects.map((call, index) => ({
      timeNs: BigInt(call.timeNs) - 1n,
      line: `Note over ${AGENT},${UPSTREAM}: request ${index + 1}`,
    })),
    ...segments.map((segment) => ({ timeNs: segment.timeNs, line: lineOfSegment(segment, port) })),
  ].sort((a, b) => (a.timeNs < b.timeNs ? -1 : 1))
  const lines = [
    `participant ${AGENT} as RecyclingAgent`,
    `participant ${SOCKET} as socket (one descriptor)`,
    `participant ${UPSTREAM} as upstream`,
    ...events.map(({ line }) => line),
  ]
  return ['```mermaid', 'sequenceDiagram', ...lines.map((line) => `  ${line}`), '```'].join('\n')
}

/** Acknowledgements that carry nothing come when the kernel likes. */
export const isBareAcknowledgement = (line: string): boolean => line.endsWith(': ACK')

interface Event {
  timeNs: bigint
  line: string
}

/** Options that are set in a row are one event. */
function callsIn(calls: readonly Call[]): Event[] {
  const rows: { call: Call; text: string; count: number }[] = []
  for (const call of calls) {
    const last = rows.at(-1)
    // The pool asks the kernel once, on its first socket, whether it does that.
    const isTrial = call.isDissolving && !rows.some((row) => isConnecting(row.call))
    if (call.name === 'setsockopt' && last?.call.name === 'setsockopt') last.count++
    else rows.push({ call, text: textOfCall(call) + (isTrial ? ', for a trial' : ''), count: 1 })
  }
  return rows.map(({ call, text, count }) => ({
    timeNs: BigInt(call.timeNs),
    line: `${AGENT}->>${SOCKET}: ${text}${count > 1 ? `, ${count} times` : ''}`,
  }))
}

const isConnecting = ({ name, isDissolving }: Call): boolean => name === 'connect' && !isDissolving

function textOfCall({ name, result, error, isDissolving }: Call): string {
  const call = isDissolving ? 'connect(2) with AF_UNSPEC' : `${name}(2)`
  if (error !== '') return `${call}: ${error}`
  if (name !== 'recv') return call
  return result === 0 ? `${call}: end of stream` : `${call}: the response`
}

function lineOfSegment({ sourcePort, syn, ack, fin, reset, length }: Segment, port: number): string {
  const isFromUpstream = sourcePort === port
  const [from, to] = isFromUpstream ? [UPSTREAM, SOCKET] : [SOCKET, UPSTREAM]
  const words = [
    ...(syn ? ['SYN'] : []),
    ...(length > 0 ? [isFromUpstream ? 'the response' : 'the request'] : []),
    ...(fin ? ['FIN'] : []),
    ...(reset ? ['RST'] : []),
    ...(ack ? ['ACK'] : []),
  ]
  const arrow = reset ? '-x' : words.length === 1 && ack ? '--)' : '-)'
  return `${from}${arrow}${to}: ${words.join(', ')}`
}
