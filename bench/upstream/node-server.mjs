/*
 * Upstreams made of node:http: the sink that uploads go to, and a stand-in where nginx is not installed.
 *
 * Uploads have the sink as their upstream in any case: of nginx's own handlers none reads a request body to its end
 * before it answers.
 */

import http from 'node:http'
import https from 'node:https'
import { bulkBytes, helloBody } from '../loads.mjs'

/**
 * @param {http.RequestListener} listener
 * @param {boolean} keepAlive
 * @param {import('node:https').ServerOptions=} certificate
 * @param {string} host where it listens
 * @returns {Promise<{ origin: string, stop: () => Promise<void> }>}
 */
async function listen(listener, keepAlive, certificate, host = '127.0.0.1') {
  const server = certificate === undefined ? http.createServer(listener) : https.createServer(certificate, listener)
  server.keepAliveTimeout = 3_600_000
  server.maxRequestsPerSocket = keepAlive ? 0 : 1
  await new Promise((resolve) => server.listen(0, host, 4096, () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    origin: `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * Starts a server that reads any request body, and answers 200 if it was as long as a bulk body.
 *
 * @param {import('./certificate.mjs').Certificate=} certificate
 */
export function startSink(certificate) {
  return listen(
    (request, response) => {
      let receivedBytes = 0
      request.on('data', (chunk) => {
        receivedBytes += chunk.length
      })
      request.on('end', () => {
        response.statusCode = receivedBytes === bulkBytes ? 200 : 400
        response.end(helloBody)
      })
    },
    true,
    certificate,
  )
}

/**
 * Starts the servers that stand in for nginx.
 *
 * @param {import('./certificate.mjs').Certificate} certificate
 */
export async function startNodeServers(certificate) {
  const bulk = Buffer.alloc(bulkBytes)
  /** @type {http.RequestListener} */
  const listener = (request, response) => {
    const body = request.url === '/bulk' ? bulk : helloBody
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length }).end(body)
  }
  const servers = {
    closing: await listen(listener, false),
    secure: await listen(listener, false, { ...certificate, minVersion: 'TLSv1.3' }),
    secure12: await listen(listener, false, { ...certificate, maxVersion: 'TLSv1.2' }),
    keepalive: await listen(listener, true),
    'secure-keepalive': await listen(listener, true, certificate),
    // By every address of the loopback interface, each of which is an origin; for nobody else.
    origins: await listen(
      (request, response) => {
        if (request.socket.remoteAddress?.startsWith('127.')) listener(request, response)
        else request.socket.destroy()
      },
      false,
      undefined,
      '0.0.0.0',
    ),
  }
  return {
    origins: Object.fromEntries(Object.entries(servers).map(([name, { origin }]) => [name, origin])),
    stop: async () => void (await Promise.all(Object.values(servers).map(({ stop }) => stop()))),
  }
}
