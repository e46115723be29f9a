/*
 * Clients that call `dispatch` on a dispatcher themselves, with a handler of either of undici's two interfaces.
 */

/**
 * @typedef {import('../loads.mjs').Load} Load
 * @typedef {(error: Error | null, receivedBytes: number) => void} Done
 * @typedef {(origin: string, load: Load, done: Done) => void} Send sends one request and reads all of its response
 */

/** A handler of the interface that undici 7 introduced. */
class Handler {
  #done
  #receivedBytes = 0

  /** @param {Done} done */
  constructor(done) {
    this.#done = done
  }

  onRequestStart() {}

  /**
   * @param {import('undici').Dispatcher.DispatchController} controller
   * @param {number} statusCode
   */
  onResponseStart(controller, statusCode) {
    if (statusCode !== 200) controller.abort(new Error(`status ${statusCode}`))
  }

  /**
   * @param {unknown} _controller
   * @param {Buffer} chunk
   */
  onResponseData(_controller, chunk) {
    this.#receivedBytes += chunk.length
  }

  onResponseEnd() {
    this.#done(null, this.#receivedBytes)
  }

  /**
   * @param {unknown} _controller
   * @param {Error} error
   */
  onResponseError(_controller, error) {
    this.#done(error, this.#receivedBytes)
  }
}

/** A handler of the older interface, the one that undici 7 uses inside. */
class LegacyHandler {
  #done
  #receivedBytes = 0
  /** @type {((error: Error) => void) | undefined} */
  #abort

  /** @param {Done} done */
  constructor(done) {
    this.#done = done
  }

  /** @param {(error: Error) => void} abort */
  onConnect(abort) {
    this.#abort = abort
  }

  /** @param {number} statusCode */
  onHeaders(statusCode) {
    if (statusCode !== 200) this.#abort?.(new Error(`status ${statusCode}`))
    return true
  }

  /** @param {Buffer} chunk */
  onData(chunk) {
    this.#receivedBytes += chunk.length
    return true
  }

  onComplete() {
    this.#done(null, this.#receivedBytes)
  }

  /** @param {Error} error */
  onError(error) {
    this.#done(error, this.#receivedBytes)
  }
}

/**
 * @param {import('undici').Dispatcher} dispatcher
 * @param {typeof Handler | typeof LegacyHandler} HandlerClass
 * @returns {Send}
 */
function sendWith(dispatcher, HandlerClass) {
  return (origin, load, done) => {
    const options = { origin, path: load.path, method: load.method, body: load.createBody?.() }
    dispatcher.dispatch(options, new HandlerClass(done))
  }
}

/** @param {import('undici').Dispatcher} dispatcher */
export const sendByDispatch = (dispatcher) => sendWith(dispatcher, Handler)

/** @param {import('undici').Dispatcher} dispatcher */
export const sendByLegacyDispatch = (dispatcher) => sendWith(dispatcher, LegacyHandler)
