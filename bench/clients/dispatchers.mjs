/*
 * The dispatchers. Each is loaded only by the process that measures it.
 */

import { createSecureContext } from 'node:tls'

/**
 * @typedef {import('undici').Dispatcher} Dispatcher
 *
 * @typedef {object} ConnectOptions
 * @property {string} ca by which the certificate of an https upstream is verified, PEM
 */

/**
 * @param {ConnectOptions} connect
 * @param {import('recycling-agent').RecyclingAgentOptions=} options
 * @returns {Promise<Dispatcher>}
 */
export async function createRecyclingAgent(connect, options) {
  const { RecyclingAgent } = await import('recycling-agent')
  return new RecyclingAgent({ connect, ...options })
}

/**
 * @param {ConnectOptions} connect
 * @param {number=} connections
 * @returns {Promise<Dispatcher>}
 */
export async function createAgent(connect, connections) {
  const { Agent } = await import('undici')
  return new Agent(connections === undefined ? { connect } : { connect, connections })
}

/**
 * With the context that TLS is made in made once, not anew for each connection.
 *
 * @param {ConnectOptions} connect
 * @returns {Promise<Dispatcher>}
 */
export async function createAgentWithContext(connect) {
  const { Agent } = await import('undici')
  return new Agent({ connect: { secureContext: createSecureContext(connect) } })
}

/**
 * @param {ConnectOptions} connect
 * @param {string} origin
 * @param {number} connections
 * @returns {Promise<Dispatcher>}
 */
export async function createPool(connect, origin, connections) {
  const { Pool } = await import('undici')
  return new Pool(origin, { connect, connections })
}
