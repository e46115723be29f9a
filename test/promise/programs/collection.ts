/**
 * Uses dispatchers that nobody holds afterwards, in each way that ends their connections, and prints what of it the
 * garbage collector has not found in the end. Run with --expose-gc.
 *
 * Arguments: origin, certificate authority, transport.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Dispatcher } from 'undici'
import { RecyclingAgent, type RecyclingAgentOptions, RecyclingPool } from '../../../src/index.js'

const [origin = '', ca = '', transport = ''] = process.argv.slice(2)
const { gc } = globalThis as typeof globalThis & { gc(): void }
const storage = new AsyncLocalStorage<object>()

type Kind = (options: RecyclingAgentOptions, origin: string) => Dispatcher
const kinds: Record<string, Kind> = {
  agent: (options) => new RecyclingAgent(options),
  pool: (options, origin) => new RecyclingPool(origin, options),
}

interface Use {
  to?: string
  path?: string
  options?: RecyclingAgentOptions
  abort?: boolean
}
const uses: Record<string, Use> = {
  'keep-alive has run out': { options: { keepAliveTimeout: 10 } },
  'the peer has closed': { path: '/close' },
  'the connection was refused': { to: new URL('/', origin.replace(/\d+$/, '1')).origin },
  'the request was aborted': { path: '/silent', abort: true },
  'the request has timed out': { path: '/silent', options: { headersTimeout: 20 } },
  'the response was cut off': { path: '/cut' },
}
const ends: Record<string, (dispatcher: Dispatcher) => unknown> = {
  'left alone': () => {},
  closed: (dispatcher) => dispatcher.close(),
  destroyed: (dispatcher) => dispatcher.destroy(),
}

const kept = new Set<string>()
const registry = new FinalizationRegistry<string>((name) => kept.delete(name))
function watch<T extends object>(object: T, name: string): T {
  kept.add(name)
  registry.register(object, name)
  return object
}

async function useOne(name: string, make: Kind, { to = origin, path = '/', options, abort }: Use, end: string) {
  const connect = watch({ ca }, `${name}: options`)
  const dispatcher = watch(make({ transport: transport as 'net', connect, ...options }, to), `${name}: dispatcher`)
  await storage.run(watch({}, `${name}: store`), () => {
    return new Promise<void>((resolve) => {
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart(controller) {
          if (abort) setTimeout(() => controller.abort(new Error('enough')), 10)
        },
        onResponseStart() {},
        onResponseData() {},
        onResponseEnd: () => resolve(),
        onResponseError: () => resolve(),
      }
      dispatcher.dispatch({ origin: to, path, method: 'GET' }, watch(handler, `${name}: handler`))
    })
  })
  await ends[end]!(dispatcher)
}

for (const [kind, make] of Object.entries(kinds)) {
  for (const [what, use] of Object.entries(uses)) {
    for (const end of Object.keys(ends)) await useOne(`${kind}, ${what}, ${end}`, make, use, end)
  }
}
const count = kept.size
for (let i = 0; i < 60 && kept.size > 0; i++) {
  await new Promise((resolve) => setTimeout(resolve, 50))
  gc()
}
process.stdout.write(JSON.stringify({ count, kept: [...kept] }), () => process.exit())
