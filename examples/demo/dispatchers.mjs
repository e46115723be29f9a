/*
 * The dispatchers, as their constructors leave them, and how to read what each did with its sockets.
 */

/**
 * @typedef {import('undici').Dispatcher} Dispatcher
 * @typedef {{ created: number, recycled: number }} Sockets
 * @typedef {{ dispatcher: Dispatcher, sockets: () => Sockets }} Counted
 */

/**
 * @param {'dissolve' | 'graceful' | 'off'} recycle
 * @returns {Promise<Counted>}
 */
async function createRecyclingAgent(recycle) {
  const { RecyclingAgent } = await import('recycling-agent')
  const agent = new RecyclingAgent({ recycle })
  const sockets = () => {
    const { fresh, recycled } = agent.stats.sockets
    return { created: fresh, recycled }
  }
  return { dispatcher: agent, sockets }
}

/** @returns {Promise<Counted>} */
async function createUndiciAgent() {
  const { Agent } = await import('undici')
  const agent = new Agent()
  let created = 0
  // Agent creates one net.Socket for each connection.
  agent.on('connect', () => created++)
  return { dispatcher: agent, sockets: () => ({ created, recycled: 0 }) }
}

export const dispatchers = {
  'recycling-agent': () => createRecyclingAgent('dissolve'),
  'recycling-agent-graceful': () => createRecyclingAgent('graceful'),
  'recycling-agent-off': () => createRecyclingAgent('off'),
  'undici-agent': createUndiciAgent,
}
