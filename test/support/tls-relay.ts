/**
 * Stands before a TLS server, sees its records pass, and interferes at one of them. Without a plan it is gentle: however
 * the server ends, the client reads everything and then a FIN, which no reset overtakes.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { RecordSplitter } from './tls-records.js'

export interface RelayPlan {
  /** The direction whose records are counted. */
  towards: 'client' | 'server'
  /** So many pass, the next one does not. */
  after: number
  /** What the client gets instead: bytes and a FIN, a reset, or nothing any more. */
  instead: 'fin' | 'rst' | 'silence' | Buffer
}

export interface Relay {
  readonly port: number
  close(): Promise<void>
}

export async function tlsRelay(serverPort: number, plan?: RelayPlan): Promise<Relay> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    // Either side may end as it likes.
    return socket
      .setNoDelay(true)
      .on('error', () => {})
      .on('close', () => sockets.delete(socket))
  }
  const relay = createServer({ allowHalfOpen: true }, (accepted) => {
    const client = keep(accepted)
    const server = keep(connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true }))
    pass(client, server, plan)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return {
    port: (relay.address() as AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      relay.close()
      await once(relay, 'close')
    },
  }
}

/** What a server of this process does about a record, it has done by then. */
const TURNS_OF_SERVER = 8

function pass(client: Socket, server: Socket, plan: RelayPlan | undefined): void {
  let isOver = false
  const interfere = (): void => {
    isOver = true
    server.destroy()
    if (plan!.instead === 'rst') client.resetAndDestroy()
    else if (plan!.instead === 'fin') client.end()
    else if (plan!.instead !== 'silence') client.end(plan!.instead)
  }
  const limitOf = (towards: RelayPlan['towards']): number =>
    plan?.towards === towards ? plan.after : Number.POSITIVE_INFINITY

  const fromServer = new RecordSplitter()
  let leftToClient = limitOf('client')
  server.on('data', (chunk) => {
    if (isOver) return
    // A server that speaks no TLS has no records to count.
    if (leftToClient === Number.POSITIVE_INFINITY) return void client.write(chunk)
    const records = fromServer.push(chunk)
    const passing = Buffer.concat(records.slice(0, leftToClient))
    if (passing.length > 0) client.write(passing)
    const isCut = records.length > leftToClient
    leftToClient -= records.length
    if (isCut) interfere()
  })

  // One record at a time: a server that ends the connection over one of them has not received the next one, for which
  // its kernel would send a reset behind what the server has said.
  const fromClient = new RecordSplitter()
  const waiting: Buffer[] = []
  let leftToServer = limitOf('server')
  let isPumping = false
  const pump = async (): Promise<void> => {
    if (isPumping) return
    isPumping = true
    for (let record = waiting.shift(); record !== undefined && !isOver; record = waiting.shift()) {
      if (leftToServer-- <= 0) return interfere()
      if (!server.writable) return
      server.write(record)
      for (let i = 0; i < TURNS_OF_SERVER; i++) await setImmediate()
    }
    isPumping = false
  }
  client.on('data', (chunk) => {
    waiting.push(...fromClient.push(chunk))
    void pump()
  })
  client.on('end', () => server.end())
  client.on('close', () => server.destroy())
  const endClient = (): void => {
    if (isOver) return
    isOver = true
    client.end()
  }
  server.on('end', endClient).on('close', endClient)
}
