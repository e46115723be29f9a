/*
 * The dispatchers. Each is loaded only by the process that measures it.
 */

/** @typedef {import('undici').Dispatcher} Dispatcher */

/** Of the https upstream's certificate nobody knows the issuer. */
const connect = { rejectUnauthorized: false }

/**
 * @param {import('recycling-agent').RecyclingAgentOptions=} options
 * @returns {Promise<Dispatcher>}
 */
export async function createRecyclingAgent(options) {
  const { RecyclingAgent } = await import('recycling-agent')
  return new RecyclingAgent({ connect, ...options })
}

/**
 * @param {number=} connections
 * @returns {Promise<Dispatcher>}
 */
export async function createAgent(connections) {
  const { Agent } = await import('undici')
  return new Agent(connections === undefined ? { connect } : { connect, connections })
}

/**
 * @param {string} origin
 * @param {number} connections
 * @returns {Promise<Dispatcher>}
 */
export async function createPool(origin, connections) {
  const { Pool } = await import('undici')
  return new Pool(origin, { connect, connections })
}
