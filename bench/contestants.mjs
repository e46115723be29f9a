/*
 * A client as the benchmark sees it: something that can be opened for a load and asked for a round.
 */

import { startChild } from './children.mjs'

/**
 * @typedef {import('./loads.mjs').Load} Load
 *
 * @typedef {object} Contestant
 * @property {import('./clients/index.mjs').Client} client
 * @property {number=} pid of its process, absent where each round has one of its own
 * @property {(load: Load, upstream: import('./clients/index.mjs').Upstream) => Promise<void>} open
 * @property {(seconds: number) => Promise<import('./measure.mjs').Round>} round
 * @property {() => Promise<void>} close
 * @property {() => Promise<void>} end
 */

/**
 * @param {import('./clients/index.mjs').Client} client
 * @param {string} nodePath the Node.js binary for a JavaScript client
 * @returns {Contestant}
 */
export function startContestant(client, nodePath) {
  const { run } = client
  return run === undefined ? processContestant(client, nodePath) : programContestant(client, run)
}

/**
 * @param {import('./clients/index.mjs').Client} client
 * @param {string} nodePath
 * @returns {Contestant}
 */
function processContestant(client, nodePath) {
  const child = startChild('client-process.mjs', [client.name], nodePath)
  /** @param {import('./client-process.mjs').Order} order */
  const ask = async (order) => {
    const { result, error } = await child.ask(order)
    if (error !== undefined) throw new Error(error)
    return result
  }
  return {
    client,
    ...(child.pid !== undefined && { pid: child.pid }),
    open: (load, upstream) => ask({ type: 'open', load: load.name, upstream }),
    round: (seconds) => ask({ type: 'round', seconds }),
    close: () => ask({ type: 'close' }),
    end: () => child.end(),
  }
}

/**
 * @param {import('./clients/index.mjs').Client} client
 * @param {import('./clients/index.mjs').RunProgram} run
 * @returns {Contestant}
 */
function programContestant(client, run) {
  /** @type {{ load: Load, origin: string } | undefined} */
  let open
  return {
    client,
    open: async (load, { origin }) => {
      open = { load, origin }
    },
    round: (seconds) => {
      if (open === undefined) throw new Error('no load is open')
      return run(open.origin, open.load, seconds)
    },
    close: async () => {},
    end: async () => {},
  }
}
