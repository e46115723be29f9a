/*
 * Clients behind a promise: `undici.request`, and `fetch`, undici's or the one built into Node.js.
 *
 * A small body is read whole, as most callers would; a bulk one chunk by chunk.
 */

/**
 * @typedef {import('./dispatch.mjs').Send} Send
 * @typedef {import('../loads.mjs').Load} Load
 *
 * @typedef {object} Response as far as it is used here
 * @property {number} status
 * @property {AsyncIterable<Uint8Array> | null} body
 * @property {() => Promise<string>} text
 */

/**
 * @param {(origin: string, load: Load) => Promise<number>} exchange
 * @returns {Send}
 */
function sendByPromise(exchange) {
  return (origin, load, done) => {
    exchange(origin, load).then(
      (receivedBytes) => done(null, receivedBytes),
      (error) => done(error, 0),
    )
  }
}

/** @param {AsyncIterable<Uint8Array>} body */
async function countBytes(body) {
  let receivedBytes = 0
  for await (const chunk of body) receivedBytes += chunk.length
  return receivedBytes
}

/**
 * @param {typeof import('undici').request} request
 * @param {import('undici').Dispatcher} dispatcher
 */
export function sendByRequest(request, dispatcher) {
  return sendByPromise(async (origin, load) => {
    const options = { dispatcher, method: load.method, body: load.createBody?.() }
    const { statusCode, body } = await request(origin + load.path, options)
    if (statusCode !== 200) throw new Error(`status ${statusCode}`)
    return load.bulk ? countBytes(body) : (await body.text()).length
  })
}

/**
 * @param {(url: string, init: any) => Promise<Response>} fetch undici's types and those built in differ
 * @param {import('undici').Dispatcher} dispatcher
 */
export function sendByFetch(fetch, dispatcher) {
  return sendByPromise(async (origin, load) => {
    const body = load.createBody?.()
    // A streamed request body has to be announced as half-duplex (Fetch Standard, 5.4 Request class).
    const init = body === undefined ? { dispatcher } : { dispatcher, method: load.method, body, duplex: 'half' }
    const response = await fetch(origin + load.path, init)
    if (response.status !== 200) throw new Error(`status ${response.status}`)
    return load.bulk && response.body !== null ? countBytes(response.body) : (await response.text()).length
  })
}
