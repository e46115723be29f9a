/** A TLS server in a thread of its own, which can act while the event loop of the test is held up. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import type { Certificate } from './certificates.js'

/** Answers each request, and counts its connections. */
const program = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { createServer } = require('node:tls')
  const flag = new Int32Array(workerData.flag)
  const sockets = []
  const server = createServer(workerData.certificate, (socket) => {
    const index = sockets.push(socket) - 1
    socket.on('error', () => {})
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\\r\\ncontent-length: 1\\r\\n\\r\\n' + index))
  })
  parentPort.on('message', () => {
    for (const socket of sockets) socket.end()
    const done = () => { Atomics.store(flag, 0, 1); Atomics.notify(flag, 0) }
    sockets.at(-1).once('finish', () => setImmediate(done))
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

export interface HeldUpServer {
  origin: string
  /** Ends all connections, and returns when that has happened: nothing else happens in this thread meanwhile. */
  endConnections(): void
}

export async function heldUpServer(certificate: Certificate): Promise<HeldUpServer> {
  const flag = new SharedArrayBuffer(4)
  const worker = new Worker(program, { eval: true, workerData: { certificate, flag } })
  onTestFinished(async () => {
    await worker.terminate()
  })
  const [port] = await once(worker, 'message')
  return {
    origin: `https://127.0.0.1:${port}`,
    endConnections() {
      worker.postMessage(null)
      Atomics.wait(new Int32Array(flag), 0, 0, 5000)
    },
  }
}
