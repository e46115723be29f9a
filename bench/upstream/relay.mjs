/*
 * `node relay.mjs PORT...`: a process that stands between the clients and servers on 127.0.0.1, one listener for each, as a
 * link would whose packets take their time. It sends its parent its ports, in the order of those given.
 *
 * What comes in at one end goes out at the other when `delayMs` have passed, the end of the stream included. The kernel
 * accepts a connection at once, whatever the link: the round trip of a TCP handshake is made up for by holding back what
 * the client sends within it. A connection that is made ahead of its request has paid for it by then. Bodies are short: no
 * sender is held back.
 */

import { connect, createServer } from 'node:net'

/** Of each direction: a round trip takes twice as long. */
export const delayMs = 10

/**
 * One direction of one connection: what is in flight, in its order.
 *
 * @param {number} from when the first byte may start, on the clock of `performance.now()`
 */
function createLine(from) {
  /** @type {{ dueMs: number, arrive: () => void }[]} */
  const inFlight = []
  let isWaiting = false

  function wait() {
    isWaiting = inFlight.length > 0
    if (isWaiting) setTimeout(deliver, Math.max(0, inFlight[0].dueMs - performance.now()))
  }

  function deliver() {
    while (inFlight.length > 0 && inFlight[0].dueMs <= performance.now()) inFlight.shift()?.arrive()
    wait()
  }

  /** @param {() => void} arrive is called when the delay is over */
  return (arrive) => {
    inFlight.push({ dueMs: Math.max(performance.now(), from) + delayMs, arrive })
    if (!isWaiting) wait()
  }
}

/**
 * @param {import('node:net').Socket} source
 * @param {import('node:net').Socket} target
 * @param {number} from
 */
function relay(source, target, from) {
  const later = createLine(from)
  source.on('data', (chunk) => later(() => target.writable && target.write(chunk)))
  source.on('end', () => later(() => target.end()))
  source.on('error', () => later(() => target.resetAndDestroy()))
}

/** @param {number} port of the server behind it */
function listen(port) {
  return new Promise((resolve) => {
    const options = { allowHalfOpen: true, noDelay: true }
    const server = createServer(options, (client) => {
      const upstream = connect({ ...options, port, host: '127.0.0.1' })
      const acceptedMs = performance.now()
      relay(client, upstream, acceptedMs + 2 * delayMs)
      relay(upstream, client, acceptedMs)
    })
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
      resolve(/** @type {import('node:net').AddressInfo} */ (server.address()).port)
    })
  })
}

process.on('disconnect', () => process.exit())
process.on('SIGINT', () => {})
process.send?.(await Promise.all(process.argv.slice(2).map(Number).map(listen)))
