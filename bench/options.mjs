/*
 * The command line of `npm run bench`.
 */

import { parseArgs } from 'node:util'
import { nodeOfMajor } from '../test/matrix/nodes.mjs'
import { clientNamed, clients } from './clients/index.mjs'
import { loadNamed, loads } from './loads.mjs'
import { targets } from './report/target-list.mjs'

const usualLoads = loads.filter(({ isOnRequest }) => !isOnRequest)

export const usage = `Usage: npm run bench -- [options]

  --quick             short rounds, for a first look
  --clients=a,b       ${clients.map(({ name }) => name).join(', ')};
                      or 'targets': those that targets.mjs compares
  --loads=a,b         ${usualLoads.map(({ name }) => name).join(', ')};
                      only by name ${loads.flatMap((load) => (load.isOnRequest ? load.name : [])).join(', ')};
                      or 'targets': those that have one
  --rounds=N          measured rounds of each client in each load (5)
  --seconds=S         length of a round (0.4; wrk takes whole seconds)
  --node=MAJOR        the Node.js that the clients run on, downloaded if need be (the running one)
  --json=PATH         where the results go (bench/results/<time>.json)
  --help
`

/**
 * @typedef {object} Options
 * @property {import('./clients/index.mjs').Client[]} clients
 * @property {boolean} explicitClients whether the command line chose the clients
 * @property {import('./loads.mjs').Load[]} loads
 * @property {number} rounds
 * @property {number} seconds
 * @property {number} warmUpSeconds the length of a round to warm up
 * @property {string} nodePath the Node.js binary that the clients run on
 * @property {string | undefined} json
 */

/**
 * @param {string[]} args
 * @returns {Options | undefined} undefined if help was asked for
 */
export function parseOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      clients: { type: 'string' },
      loads: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      node: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return
  return {
    clients: chosenClients(values.clients),
    explicitClients: values.clients !== undefined,
    loads: chosenLoads(values.loads),
    rounds: positive('rounds', values.rounds ?? (values.quick ? '3' : '5')),
    seconds: positive('seconds', values.seconds ?? (values.quick ? '0.15' : '0.4')),
    warmUpSeconds: values.quick ? 0.3 : 1,
    nodePath: values.node === undefined ? process.execPath : nodeOfMajor(positive('node', values.node)).path,
    json: values.json,
  }
}

/** @param {string | undefined} list */
function chosenClients(list) {
  if (list === undefined) return [...clients]
  if (list !== 'targets') return list.split(',').map(clientNamed)
  const names = new Set(targets.flatMap(({ client, than }) => [client, than]))
  return clients.filter(({ name }) => names.has(name))
}

/** @param {string | undefined} list */
function chosenLoads(list) {
  if (list === undefined) return usualLoads
  if (list !== 'targets') return list.split(',').map(loadNamed)
  const names = new Set(targets.map(({ load }) => load))
  return loads.filter(({ name }) => names.has(name))
}

/**
 * @param {string} name
 * @param {string} text
 */
function positive(name, text) {
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name} takes a positive number, not '${text}'`)
  return value
}
