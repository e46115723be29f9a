/** docs/options.md is what the comments in src/ say, and the defaults that it names are those of the code. */

import { constants } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { type RecyclingAgentOptions, resolveOptions } from '../../src/options.js'

interface Documented {
  name: string
  default: string | null
  unit: string | null
  type: string
  meaning: string
}

const script = fileURLToPath(new URL('../../docs/scripts/options.mjs', import.meta.url))
const run = (flag: string): string => execFileSync(process.execPath, [script, flag], { encoding: 'utf8' })

const sections = JSON.parse(run('--json')) as Record<
  'own' | 'pools' | 'client' | 'connect' | 'socketPool',
  Documented[]
>

it('docs/options.md is up to date', () => {
  expect(() => run('--check')).not.toThrow()
})

it.each(Object.entries(sections))('each option of the table %s has a meaning', (_section, options) => {
  expect(options.length).toBeGreaterThan(2)
  expect(options.filter(({ meaning }) => meaning.length < 10)).toEqual([])
})

/** Defaults that are written down as a value. */
const LITERALS: Record<string, unknown> = { true: true, false: false, null: null, Infinity: Number.POSITIVE_INFINITY }

/** @returns `undefined` for a default that is described */
function documentedValue(text: string | null): unknown {
  if (text === null) return undefined
  if (text in LITERALS) return LITERALS[text]
  if (/^-?\d+\b/.test(text)) return Number.parseInt(text, 10)
  return /^'([^']*)'$/.exec(text)?.[1]
}

/** Held against something else, or known to undici's connector only. */
const ELSEWHERE = ['webSocket', 'eventSource', 'maxCachedSessions']

const withValues = (options: Documented[]): [name: string, value: unknown][] =>
  options
    .filter(({ name }) => !ELSEWHERE.includes(name))
    .map(({ name, default: text }): [string, unknown] => [name, documentedValue(text)])
    .filter(([, value]) => value !== undefined)

describe('the default that is documented for', () => {
  it.each(withValues([...sections.own, ...sections.pools, ...sections.client]))('%s is %s', (name, value) => {
    // What it resolves to may be written otherwise: no limit is null, 0 or Infinity.
    expect(resolveOptions({ [name]: value } as RecyclingAgentOptions)).toEqual(resolveOptions())
  })

  it.each(withValues(sections.connect))('connect.%s is %s', (name, value) => {
    const { connectOptions: _given, ...resolved } = resolveOptions({ connect: { [name]: value } })
    const { connectOptions: _none, ...byDefault } = resolveOptions()
    expect(resolved).toEqual(byDefault)
  })

  it('webSocket and eventSource', async () => {
    const agent = new RecyclingAgent()
    const { webSocket, eventSource } = Object.fromEntries(
      sections.client.map(({ name, default: text }) => [name, text]),
    )
    const { maxFragments, maxPayloadSize } = agent.webSocketOptions
    expect(webSocket).toBe(`{ maxFragments: ${maxFragments}, maxPayloadSize: ${maxPayloadSize} }`)
    expect(eventSource).toBe('{ maxEventSize: buffer.constants.MAX_STRING_LENGTH }')
    expect(agent.eventSourceOptions).toEqual({ maxEventSize: constants.MAX_STRING_LENGTH })
    await agent.close()
  })

  it('a socket pool is that of the agent, where both have the option', () => {
    const known = Object.fromEntries(
      [...sections.own, ...sections.connect].map((option) => [option.name, option.default]),
    )
    const shared = sections.socketPool.filter(({ name }) => name in known)
    expect(shared.map(({ name }) => name)).toEqual(['recycle', 'maxIdleSockets', 'keepAlive', 'keepAliveInitialDelay'])
    for (const { name, default: text } of shared) expect(text).toBe(known[name])
  })

  it('each of them is no description but where the default is not of our making', () => {
    const described = [...sections.own, ...sections.pools, ...sections.client, ...sections.connect].filter(
      ({ name, default: text }) => documentedValue(text) === undefined && !ELSEWHERE.includes(name),
    )
    expect(described.map(({ name }) => name)).toEqual([
      'transport',
      'tlsTransport',
      'socketPath',
      'localAddress',
      'autoSelectFamily',
      'autoSelectFamilyAttemptTimeout',
      'socketPath',
      'localAddress',
      'localPort',
      'hints',
      'lookup',
      'autoSelectFamily',
      'autoSelectFamilyAttemptTimeout',
    ])
  })
})
