/** A worker that serves on loopback, and tells its parent the port: `/bulk/<MiB>` or a small answer. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { parentPort } from 'node:worker_threads'

const piece = Buffer.alloc(1 << 18, 'x')

function* pieces(size: number): Generator<Buffer> {
  for (let left = size; left > 0; left -= piece.length) yield piece.subarray(0, left)
}

const server = createServer((request, response) => {
  const [, mebibytes] = /^\/bulk\/(\d+)$/.exec(request.url!) ?? []
  if (mebibytes === undefined) {
    response.writeHead(200, { 'content-length': 5 }).end('small')
    return
  }
  const size = Number(mebibytes) << 20
  response.writeHead(200, { 'content-length': size })
  Readable.from(pieces(size)).pipe(response)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
parentPort!.postMessage((server.address() as AddressInfo).port)
