/**
 * Stands before a TLS server, sees its records pass, and interferes at one of them. Without a plan it is gentle: however
 * the server ends, the client reads everything and then a FIN, which no reset overtakes.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { RecordSplitter } from './tls-records.js'

export interface RelayPlan {
  /** The direction whose records are counted. */
  towards: 'client' | 'server'
  /** So many pass, the next one does not. */
  after: number
  /** What the client gets instead: bytes and a FIN, a reset, or nothing any more. */
  then: 'fin' | 'rst' | 'silence' | Buffer
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

function pass(client: Socket, server: Socket, plan: RelayPlan | undefined): void {
  let isOver = false
  const interfere = (): void => {
    isOver = true
    server.destroy()
    if (plan!.then === 'rst') client.resetAndDestroy()
    else if (plan!.then === 'fin') client.end()
    else if (plan!.then !== 'silence') client.end(plan!.then)
  }
  const carry = (from: Socket, to: Socket, isCounted: boolean): void => {
    const splitter = new RecordSplitter()
    let left = isCounted ? plan!.after : Number.POSITIVE_INFINITY
    from.on('data', (chunk) => {
      if (isOver) return
      if (!isCounted) return void to.write(chunk)
      const records = splitter.push(chunk)
      const passing = Buffer.concat(records.slice(0, left))
      if (passing.length > 0) to.write(passing)
      const isCut = records.length > left
      left -= records.length
      if (isCut) interfere()
    })
  }
  carry(client, server, plan?.towards === 'server')
  carry(server, client, plan?.towards === 'client')
  client.on('end', () => server.end())
  client.on('close', () => server.destroy())
  server.on('close', () => {
    if (!isOver) client.end()
  })
  server.on('end', () => {
    if (!isOver) client.end()
  })
}
