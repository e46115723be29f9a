/*
 * Every client that takes part, by the name it has in `--clients`.
 *
 * Dispatchers are used as their constructors leave them, but for one option: with as many `connections` as there are
 * concurrent requests undici's Pool works best, so it has them, and undici's Agent is measured without and with.
 */

import { isDelayed, isKeptAlive, isSecure } from '../loads.mjs'
import { runSTime } from '../s-time.mjs'
import { runWrk } from '../wrk.mjs'
import { sendByDispatch, sendByLegacyDispatch } from './dispatch.mjs'
import { createAgent, createAgentWithContext, createPool, createRecyclingAgent } from './dispatchers.mjs'
import { openNodeHttp } from './node-http.mjs'
import { sendByFetch, sendByRequest } from './promises.mjs'

/**
 * @typedef {import('../loads.mjs').Load} Load
 * @typedef {import('./dispatch.mjs').Send} Send
 *
 * @typedef {object} Upstream
 * @property {string} origin
 * @property {import('./dispatchers.mjs').ConnectOptions} connect
 *
 * @typedef {object} OpenClient
 * @property {Send} send
 * @property {() => Promise<void>} close
 *
 * @typedef {(origin: string, load: Load, seconds: number) => Promise<import('../measure.mjs').Round>} RunProgram
 *
 * @typedef {object} Client
 * @property {string} name
 * @property {string} title
 * @property {'all' | 'closing' | 'named' | 'secure' | 'small' | 'delayed'} loads which it is measured with unless
 *   `--clients` names it
 * @property {((upstream: Upstream, load: Load) => Promise<OpenClient>)=} open absent for a program
 * @property {RunProgram=} run one round of a program, which is no JavaScript
 * @property {((load: Load) => boolean)=} can whether it is able to take a load at all; any if absent
 */

/** The client that all ratios refer to. */
export const baselineName = 'recycling'

const undici = () => import('undici')

/**
 * @param {(upstream: Upstream, load: Load) => Promise<import('undici').Dispatcher>} create
 * @param {(dispatcher: import('undici').Dispatcher) => Send | Promise<Send>} sendOn
 */
function onDispatcher(create, sendOn) {
  return async (/** @type {Upstream} */ upstream, /** @type {Load} */ load) => {
    const dispatcher = await create(upstream, load)
    return { send: await sendOn(dispatcher), close: () => dispatcher.close() }
  }
}

/** @param {import('undici').Dispatcher} dispatcher */
const request = async (dispatcher) => sendByRequest((await undici()).request, dispatcher)
/** @param {import('undici').Dispatcher} dispatcher */
const undiciFetch = async (dispatcher) => sendByFetch((await undici()).fetch, dispatcher)
/** @param {import('undici').Dispatcher} dispatcher */
const builtInFetch = (dispatcher) => sendByFetch(globalThis.fetch, dispatcher)

/** @param {Send} send @returns {Send} which goes to the same host by its address, whatever its name */
const byAddress = (send) => (origin, load, done) => send(origin.replace('localhost', '127.0.0.1'), load, done)

/** Of loads whose upstream closes each connection. @param {Load} load */
const isClosing = ({ upstream }) => !isKeptAlive(upstream)

/** Of loads with requests to one origin only. @param {Load} load */
const hasOneOrigin = ({ originCount = 1 }) => originCount === 1

/** @type {readonly Client[]} */
export const clients = [
  {
    name: baselineName,
    title: 'RecyclingAgent.dispatch',
    loads: 'all',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect), sendByDispatch),
  },
  {
    name: 'recycling-address',
    title: '  by address',
    loads: 'named',
    open: onDispatcher(
      ({ connect }) => createRecyclingAgent(connect),
      (dispatcher) => byAddress(sendByDispatch(dispatcher)),
    ),
  },
  {
    name: 'recycling-graceful',
    title: "  recycle: 'graceful'",
    loads: 'closing',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect, { recycle: 'graceful' }), sendByDispatch),
  },
  {
    name: 'recycling-off',
    title: "  recycle: 'off'",
    loads: 'closing',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect, { recycle: 'off' }), sendByDispatch),
  },
  {
    name: 'recycling-net',
    title: "  transport: 'net'",
    loads: 'small',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect, { transport: 'net' }), sendByDispatch),
  },
  {
    name: 'recycling-spare',
    title: '  spareConnections: 8',
    loads: 'delayed',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect, { spareConnections: 8 }), sendByDispatch),
  },
  {
    name: 'recycling-spare-32',
    title: '  spareConnections: 32',
    loads: 'delayed',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect, { spareConnections: 32 }), sendByDispatch),
  },
  {
    name: 'recycling-node-tls',
    title: "  tlsTransport: 'node'",
    loads: 'secure',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect, { tlsTransport: 'node' }), sendByDispatch),
  },
  {
    name: 'recycling-legacy',
    title: '  legacy handler',
    loads: 'small',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect), sendByLegacyDispatch),
  },
  {
    name: 'undici-agent',
    title: 'undici Agent.dispatch',
    loads: 'all',
    open: onDispatcher(({ connect }) => createAgent(connect), sendByDispatch),
  },
  {
    name: 'undici-agent-context',
    title: '  a secureContext made once',
    loads: 'secure',
    can: ({ upstream }) => isSecure(upstream),
    open: onDispatcher(({ connect }) => createAgentWithContext(connect), sendByDispatch),
  },
  {
    name: 'undici-agent-sized',
    title: '  connections: as many as requests',
    loads: 'closing',
    open: onDispatcher(({ connect }, load) => createAgent(connect, load.concurrency), sendByDispatch),
  },
  {
    name: 'undici-agent-legacy',
    title: '  legacy handler',
    loads: 'small',
    open: onDispatcher(({ connect }) => createAgent(connect), sendByLegacyDispatch),
  },
  {
    name: 'undici-pool',
    title: 'undici Pool.dispatch',
    loads: 'all',
    can: hasOneOrigin,
    open: onDispatcher(({ origin, connect }, load) => createPool(connect, origin, load.concurrency), sendByDispatch),
  },
  {
    name: 'recycling-request',
    title: 'undici.request on RecyclingAgent',
    loads: 'all',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect), request),
  },
  {
    name: 'undici-request',
    title: 'undici.request on undici Agent',
    loads: 'all',
    open: onDispatcher(({ connect }) => createAgent(connect), request),
  },
  {
    name: 'recycling-fetch',
    title: 'undici.fetch on RecyclingAgent',
    loads: 'all',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect), undiciFetch),
  },
  {
    name: 'undici-fetch',
    title: 'undici.fetch on undici Agent',
    loads: 'all',
    open: onDispatcher(({ connect }) => createAgent(connect), undiciFetch),
  },
  {
    name: 'recycling-builtin-fetch',
    title: 'built-in fetch on RecyclingAgent',
    loads: 'small',
    open: onDispatcher(({ connect }) => createRecyclingAgent(connect), builtInFetch),
  },
  {
    name: 'undici-builtin-fetch',
    title: 'built-in fetch on undici Agent',
    loads: 'small',
    open: onDispatcher(({ connect }) => createAgent(connect), builtInFetch),
  },
  {
    name: 'node-http',
    title: 'node:http',
    loads: 'all',
    open: async ({ connect }, load) => openNodeHttp(isSecure(load.upstream), connect, !isClosing(load)),
  },
  {
    name: 'wrk',
    title: 'wrk (C, one thread)',
    loads: 'small',
    // It does not resume sessions.
    can: (load) => !load.bulk && !isSecure(load.upstream) && !isDelayed(load) && hasOneOrigin(load),
    run: runWrk,
  },
  {
    name: 's-time',
    title: 'openssl s_time -reuse (C, one at a time)',
    loads: 'secure',
    can: (load) => isSecure(load.upstream) && isClosing(load) && !isDelayed(load),
    run: runSTime,
  },
]

/**
 * Whether a client takes part in a load.
 *
 * @param {Client} client
 * @param {Load} load
 * @param {boolean} isChosen whether it was named, and not taken as one of all
 */
export function isEntrant(client, load, isChosen) {
  return isMeasuredWith(client, load) || (isChosen && client.run === undefined && canTake(client, load))
}

/** @param {Client} client @param {Load} load */
const canTake = (client, load) => client.can === undefined || client.can(load)

/**
 * @param {Client} client
 * @param {Load} load
 */
export function isMeasuredWith(client, load) {
  if (!canTake(client, load)) return false
  if (client.loads === 'delayed') return isDelayed(load)
  if (client.loads === 'closing') return isClosing(load)
  if (client.loads === 'named') return load.upstream === 'named'
  if (client.loads === 'secure') return isSecure(load.upstream)
  return client.loads === 'all' || !load.bulk
}

/**
 * @param {string} name
 * @returns {Client}
 */
export function clientNamed(name) {
  const client = clients.find((candidate) => candidate.name === name)
  if (client === undefined)
    throw new Error(`no client '${name}'; there are ${clients.map(({ name }) => name).join(', ')}`)
  return client
}
