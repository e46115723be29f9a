/**
 * An upstream that many connections meet at once: a request for `/together/N` is answered when N of them wait, and all
 * are answered together. Connections are kept open. Sends its port; ends with its parent.
 *
 * Argument: `secure` for https.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecureServer } from 'node:tls'
import { selfSigned } from '../../support/self-signed.js'

const BACKLOG = 4096

let waiting: Socket[] = []
let open = 0

function answerAll(): void {
  const all = waiting
  waiting = []
  const body = String(open)
  const response = `HTTP/1.1 200 OK\r\nkeep-alive: timeout=600\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  for (const socket of all) socket.write(response, 'latin1')
}

function serve(socket: Socket): void {
  open++
  let head = ''
  socket.on('data', (chunk: Buffer) => {
    head += chunk.toString('latin1')
    if (!head.endsWith('\r\n\r\n')) return
    const [, count] = /^GET \/together\/(\d+) /.exec(head) ?? []
    head = ''
    waiting.push(socket)
    if (waiting.length >= Number(count)) answerAll()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    open--
    waiting = waiting.filter((other) => other !== socket)
  })
}

const server: Server =
  process.argv[2] === 'secure'
    ? createSecureServer({ noDelay: true, ...(await selfSigned()) }, serve)
    : createServer({ noDelay: true }, serve)
// On all addresses: 127.0.0.0/8 has ports for as many connections as anybody wants.
server.listen({ port: 0, host: '0.0.0.0', backlog: BACKLOG }, () => {
  process.send?.((server.address() as AddressInfo).port)
})
process.on('disconnect', () => process.exit())
