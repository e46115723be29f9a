/*
 * The upstream: closes each connection after its response, as many application servers do.
 */

import { once } from 'node:events'
import http from 'node:http'
import { pipeline } from 'node:stream'
import { item, page } from './bodies.mjs'
import { answerParent } from './child.mjs'

const pageChunkSize = 16_384

/** @type {string[]} */
const errors = []

const server = http.createServer((request, response) => {
  response.setHeader('Connection', 'close')
  const [, kind, id] = request.url?.split('/') ?? []
  if (kind === 'items') {
    const body = item(Number(id))
    response.writeHead(200, { 'Content-Length': body.length }).end(body)
  } else if (kind === 'pages') {
    // Chunked.
    const body = page(Number(id))
    for (let start = 0; start < body.length; start += pageChunkSize) {
      response.write(body.subarray(start, start + pageChunkSize))
    }
    response.end()
  } else if (kind === 'echo') {
    pipeline(request, response, (error) => error && errors.push(error.message))
  } else {
    response.writeHead(404).end()
  }
})
server.on('clientError', (error, socket) => {
  errors.push(error.message)
  socket.destroy()
})

answerParent({
  async listen() {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return { port: /** @type {import('node:net').AddressInfo} */ (server.address()).port }
  },
  stats: () => ({ errors }),
})
