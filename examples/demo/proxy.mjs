/*
 * The reverse proxy, in a process of its own so that its CPU time can be told from the load's.
 */

import { once } from 'node:events'
import http from 'node:http'
import { answerParent } from './child.mjs'
import { dispatchers } from './dispatchers.mjs'
import { forward } from './forward.mjs'

/** @type {() => import('./dispatchers.mjs').Sockets} */
let sockets

answerParent({
  async listen({ dispatcher, upstream }) {
    const counted = await dispatchers[/** @type {keyof typeof dispatchers} */ (dispatcher)]()
    sockets = counted.sockets
    const server = http.createServer((request, response) => forward(counted.dispatcher, upstream, request, response))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return { origin: `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}` }
  },
  stats() {
    const { user, system } = process.cpuUsage()
    return { cpuSeconds: (user + system) / 1e6, ...sockets() }
  },
})
