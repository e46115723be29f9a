/** The same use of a real client on undici's Agent and on ours: what the caller and the service saw is compared. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { expect, onTestFinished } from 'vitest'
import { install, RecyclingAgent, type RecyclingAgentOptions } from '../../src/index.js'
import { quiet } from './exchange.js'
import type { Service } from './service.js'
import { isNative } from './transport.js'
import { globalDispatchers, restoreGlobalDispatchers, undici7, undicis } from './undicis.js'

/** The clients bring undici 7 along, if any. */
const { Agent } = undici7

const CLOSE_TIMEOUT_MS = 5000

/** A fetch of any undici, as clients take one. */
export type Fetch = typeof globalThis.fetch

/** A fetch, and the classes that belong to it. */
export interface NamedFetch {
  name: string
  fetch: Fetch
  Request: typeof globalThis.Request
  Response: typeof globalThis.Response
  Headers: typeof globalThis.Headers
}

/** Every fetch that a program may hold, for describe.each; the built-in one is the first. */
export const fetches: NamedFetch[] = [
  { ...pick(globalThis), name: 'the built-in fetch' },
  ...undicis.map(([name, undici]) => ({
    ...pick(undici as unknown as typeof globalThis),
    name: `the fetch of ${name}`,
  })),
]

function pick({ fetch, Request, Response, Headers }: Omit<NamedFetch, 'name'>): Omit<NamedFetch, 'name'> {
  return { fetch, Request, Response, Headers }
}

/**
 * Runs a scenario twice, first with undici's Agent, then with RecyclingAgent.
 *
 * Both times the service must have seen the same requests, and the dispatcher must close; the second time, every
 * connection that the service saw must have been one of the agent's sockets, and none may be left.
 *
 * @param scenario what the caller does; resolves with what it saw, to be compared by toEqual: see {@link described}
 * @param options of both dispatchers
 * @returns what the caller saw, with either
 */
export async function alike<T>(
  service: Service,
  scenario: (dispatcher: Dispatcher) => Promise<T>,
  options: RecyclingAgentOptions = {},
): Promise<T> {
  const reference = new Agent(options as ConstructorParameters<typeof Agent>[0])
  onTestFinished(() => reference.destroy())
  const expected = await play(service, reference, scenario)
  const agent = recyclingAgent(options)
  const actual = await play(service, agent, scenario)
  expect(actual).toEqual(expected)
  if (isNative) {
    await quiet(agent)
    const { fresh, recycled, idle, closed } = agent.stats.sockets
    expect(fresh + recycled).toBeGreaterThanOrEqual(service.connections)
    expect(fresh - closed).toBe(idle)
  }
  return actual.outcome
}

function recyclingAgent(options: RecyclingAgentOptions): RecyclingAgent {
  const agent = new RecyclingAgent(options)
  onTestFinished(() => agent.destroy())
  return agent
}

async function play<T>(service: Service, dispatcher: Dispatcher, scenario: (dispatcher: Dispatcher) => Promise<T>) {
  service.forget()
  const outcome = await scenario(dispatcher)
  const isClosed = await Promise.race([dispatcher.close().then(() => true), sleep(CLOSE_TIMEOUT_MS, false)])
  expect(isClosed).toBe(true)
  return { outcome, seen: [...service.seen] }
}

/**
 * Three requests to a service that closes its connections: they go over one socket. Only on descriptors of the agent.
 *
 * @param get sends a request, and reads the whole answer
 */
export async function expectRecycling(get: (dispatcher: Dispatcher) => Promise<unknown>): Promise<void> {
  const agent = recyclingAgent({})
  for (let i = 0; i < 3; i++) {
    await get(agent)
    // By then the FIN that follows the answer was read.
    await quiet(agent)
  }
  expect(agent.stats.sockets).toMatchObject({ fresh: 1, recycled: 2 })
  await agent.close()
}

/** Runs `work` with the dispatcher as the global one of every undici. */
export async function globally<T>(dispatcher: Dispatcher, work: () => Promise<T>): Promise<T> {
  const saved = globalDispatchers()
  install(dispatcher)
  try {
    return await work()
  } finally {
    restoreGlobalDispatchers(saved)
  }
}

/** What tells an error from others, and its causes from others'. Local ports, which differ, are left out. */
export interface Described {
  class: string
  name: string
  message: string
  code: unknown
  status: unknown
  cause: Described | null
}

export function described(error: unknown): Described {
  const { name, message, code, status, statusCode, cause } = error as Error & Record<string, unknown>
  return {
    class: (error as Error).constructor.name,
    name,
    message: message.replace(/Local: \S+,/, 'Local: -,'),
    code,
    status: status ?? statusCode,
    cause: cause instanceof Error ? described(cause) : null,
  }
}

/** @returns the description of what the promise is rejected with */
export async function failureOf(promise: PromiseLike<unknown>): Promise<Described> {
  try {
    await promise
  } catch (error) {
    return described(error)
  }
  throw new Error('nothing has failed')
}

/** The whole of a stream that is read with for await. */
export async function readAll(stream: AsyncIterable<Uint8Array | string>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array))
  return Buffer.concat(chunks)
}
