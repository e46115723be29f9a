/*
 * The upstream of the examples: a server of node:http that ends each connection with its response, as many application
 * servers do.
 */

import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'

/**
 * @typedef {object} Upstream
 * @property {string} origin
 * @property {() => number} connections how many it has accepted
 * @property {() => Promise<void>} close
 */

/**
 * @param {http.RequestListener=} listener default: answers `hello`
 * @param {{ key: string, cert: string }=} certificate makes it an https server
 * @returns {Promise<Upstream>}
 */
export async function startUpstream(listener = (_request, response) => response.end('hello\n'), certificate) {
  let connections = 0
  /** @type {http.RequestListener} */
  const closing = (request, response) => {
    // Node's server says `Connection: close` then.
    response.shouldKeepAlive = false
    listener(request, response)
  }
  const server = certificate === undefined ? http.createServer(closing) : https.createServer(certificate, closing)
  server.on('connection', () => connections++)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    origin: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    connections: () => connections,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
