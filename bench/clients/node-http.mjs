/*
 * The client of Node.js itself, with the agent that suits the upstream.
 */

import http from 'node:http'
import https from 'node:https'

/**
 * @param {boolean} isSecure
 * @param {import('./dispatchers.mjs').ConnectOptions} connect
 * @param {boolean} keepAlive whether the upstream keeps connections open
 * @returns {{ send: import('./dispatch.mjs').Send, close: () => Promise<void> }}
 */
export function openNodeHttp(isSecure, connect, keepAlive) {
  const { Agent, request } = isSecure ? https : http
  const agent = new Agent({ keepAlive, ...(isSecure && connect) })
  return {
    send: (origin, load, done) => exchange(request, agent, origin, load, done),
    close: async () => agent.destroy(),
  }
}

/**
 * @param {typeof http.request} send
 * @param {http.Agent} agent
 * @param {string} origin
 * @param {import('../loads.mjs').Load} load
 * @param {import('./dispatch.mjs').Done} done
 */
function exchange(send, agent, origin, load, done) {
  let receivedBytes = 0
  const body = load.createBody?.()
  const request = send(origin + load.path, { agent, method: load.method }, (response) => {
    if (response.statusCode !== 200) request.destroy(new Error(`status ${response.statusCode}`))
    response.on('data', (chunk) => {
      receivedBytes += chunk.length
    })
    response.on('end', () => done(null, receivedBytes))
  })
  request.on('error', (error) => done(error, receivedBytes))
  if (body === undefined || Buffer.isBuffer(body)) request.end(body)
  else body.pipe(request)
}
