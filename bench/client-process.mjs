/*
 * The process of one client: it opens the client for a load and runs rounds when it is told to.
 *
 * A process of its own keeps one client's garbage, optimised code and patched globals away from the others.
 */

import { clientNamed } from './clients/index.mjs'
import { loadNamed, originsInTurn } from './loads.mjs'
import { runRound } from './measure.mjs'

/**
 * @typedef {{ type: 'open', load: string, upstream: import('./clients/index.mjs').Upstream } | { type: 'round', seconds: number } | { type: 'close' }} Order
 * @typedef {{ result?: import('./measure.mjs').Round, error?: string }} Answer
 */

/** A connection that sat idle since the last round is to be open again before the clock starts. */
const runInSeconds = 0.05

const client = clientNamed(process.argv[2] ?? '')
/** @type {{ load: import('./loads.mjs').Load, nextOrigin: () => string, client: import('./clients/index.mjs').OpenClient } | undefined} */
let open

/**
 * @param {Order} order
 * @returns {Promise<import('./measure.mjs').Round | undefined>}
 */
async function obey(order) {
  if (order.type === 'open') {
    const load = loadNamed(order.load)
    if (client.open === undefined) throw new Error(`${client.name} is no JavaScript client`)
    const nextOrigin = originsInTurn(load, order.upstream.origin)
    open = { load, nextOrigin, client: await client.open(order.upstream, load) }
    return
  }
  if (open === undefined) throw new Error('no load is open')
  if (order.type === 'close') {
    const { client } = open
    open = undefined
    await client.close()
    return
  }
  const { send } = open.client
  await runRound(send, open.nextOrigin, open.load, runInSeconds)
  return await runRound(send, open.nextOrigin, open.load, order.seconds)
}

process.on('message', (/** @type {Order} */ order) => {
  obey(order).then(
    (result) => process.send?.({ result }),
    (error) => process.send?.({ error: String(error?.cause ?? error) }),
  )
})
// The benchmark ends this process, an interrupt in the terminal does not: a round is not to fail half-way.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
