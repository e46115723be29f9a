/** undici's Agent and ours, each from a copy of its package that is loaded anew, and fake clocks to try them with. */
import { createRequire } from 'node:module'
import type { Dispatcher } from 'undici'
import { vi } from 'vitest'
import type { RecyclingAgentOptions } from '../../src/index.js'
import { isNative } from './transport.js'

export type Load = () => Promise<(options: RecyclingAgentOptions) => Dispatcher>

const { setImmediate: realSetImmediate } = globalThis

/** Of the event loop, whatever the clock. */
export const turn = (): Promise<void> => new Promise((resolve) => realSetImmediate(resolve))

const require = createRequire(import.meta.url)

async function loadOurs(): Promise<typeof import('../../src/index.js')> {
  vi.resetModules()
  return import('../../src/index.js')
}

/** Each loads its package anew; each copy of ours has an epoll instance of its own. */
export const loads: [name: string, load: Load][] = [
  [
    "undici's Agent",
    async () => {
      for (const file of Object.keys(require.cache)) if (/\/undici\//.test(file)) delete require.cache[file]
      const { Agent } = require('undici') as typeof import('undici')
      return (options) => new Agent(options as never)
    },
  ],
  ...(isNative ? ([['native', async () => ours(await loadOurs(), 'native')]] satisfies [string, Load][]) : []),
  ['net', async () => ours(await loadOurs(), 'net')],
]

const ours =
  ({ RecyclingAgent }: typeof import('../../src/index.js'), transport: 'native' | 'net') =>
  (options: RecyclingAgentOptions): Dispatcher =>
    new RecyclingAgent({ transport, ...options })

const TIMERS = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'] as const
export type Fake = NonNullable<Parameters<typeof vi.useFakeTimers>[0]>

/** Which functions are replaced. */
export const fakes: [what: string, fake: Fake][] = [
  ["vitest's choice of functions", {}],
  ['microtasks, too,', { toFake: [...TIMERS, 'Date', 'performance', 'hrtime', 'queueMicrotask'] }],
  ['setTimeout alone', { toFake: ['setTimeout', 'clearTimeout'] }],
]
