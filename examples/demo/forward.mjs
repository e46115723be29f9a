/*
 * The proxy itself: one request of node:http through any undici dispatcher, bodies streamed in both directions. When the
 * client goes away, the request to the upstream is aborted; an upstream that fails is answered for with 502 or 504.
 */

/**
 * Fields of one connection, which a proxy must not forward (RFC 9110 7.6.1). Node's server has dealt with `expect`.
 */
const connectionFields = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * The upstream gets the client's Host, the name that it was asked for. Over https its certificate must be for that name;
 * where it is not, delete `host` and the upstream's own takes its place.
 *
 * @param {import('undici').Dispatcher} dispatcher
 * @param {string} origin of the upstream
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
export function forward(dispatcher, origin, request, response) {
  const { method = 'GET', url: path = '/', headers } = request
  const hasBody = 'content-length' in headers || 'transfer-encoding' in headers
  dispatcher.dispatch(
    {
      origin,
      path,
      method: /** @type {import('undici').Dispatcher.HttpMethod} */ (method),
      headers: forwardedFields(headers),
      // A stream: the dispatcher reads it as fast as the upstream takes it.
      body: hasBody ? request : null,
    },
    new Relay(response),
  )
}

/** Errors of undici that mean: no answer in time. */
const timeouts = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'])

/** Writes a response from upstream to the client, no faster than the client reads. */
class Relay {
  #response
  #isOver = false

  /** @param {import('node:http').ServerResponse} response */
  constructor(response) {
    this.#response = response
  }

  /** @param {import('undici').Dispatcher.DispatchController} controller */
  onRequestStart(controller) {
    const abandon = () => {
      if (!this.#isOver) controller.abort(new Error('the client has gone'))
    }
    // It may have gone while the request waited for a connection.
    if (this.#response.destroyed) return abandon()
    this.#response.once('close', abandon)
    this.#response.on('drain', () => controller.resume())
  }

  /**
   * @param {import('undici').Dispatcher.DispatchController} _controller
   * @param {number} statusCode
   * @param {import('node:http').IncomingHttpHeaders} headers
   * @param {string=} statusMessage
   */
  onResponseStart(_controller, statusCode, headers, statusMessage) {
    // Interim responses are for us.
    if (statusCode >= 200) this.#response.writeHead(statusCode, statusMessage, forwardedFields(headers))
  }

  /**
   * @param {import('undici').Dispatcher.DispatchController} controller
   * @param {Buffer} chunk
   */
  onResponseData(controller, chunk) {
    if (!this.#response.write(chunk)) controller.pause()
  }

  onResponseEnd() {
    this.#isOver = true
    this.#response.end()
  }

  /**
   * @param {unknown} _controller
   * @param {Error & { code?: string }} error
   */
  onResponseError(_controller, error) {
    this.#isOver = true
    // The client must not take half a body for the whole, nor learn more than it needs of what is behind the proxy.
    if (this.#response.headersSent) this.#response.destroy(error)
    else this.#response.writeHead(timeouts.has(error.code ?? '') ? 504 : 502).end(`${error.code ?? error.name}\n`)
  }
}

/** @param {import('node:http').IncomingHttpHeaders} headers */
function forwardedFields(headers) {
  const named = headers.connection?.toLowerCase().split(/\s*,\s*/) ?? []
  /** @type {import('node:http').IncomingHttpHeaders} */
  const forwarded = {}
  for (const [name, value] of Object.entries(headers)) {
    if (!connectionFields.has(name) && !named.includes(name)) forwarded[name] = value
  }
  // RFC 9110 7.6.3.
  forwarded.via = headers.via === undefined ? '1.1 demo' : `${headers.via}, 1.1 demo`
  return forwarded
}
