/** A relay before a TLS server that leaves no byte as it came, by a plan for each connection. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { Random } from './random.js'

/** What becomes of the next bytes of a direction: they are sent in these pieces, a turn of the loop between them. */
export type Shape = (chunk: Buffer) => Buffer[]

export interface Shapes {
  towardsClient: Shape
  towardsServer: Shape
}

export interface Mangler {
  readonly port: number
  close(): Promise<void>
}

/** @param shapesOf called for each connection */
export async function tlsMangler(serverPort: number, shapesOf: () => Shapes): Promise<Mangler> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket
      .setNoDelay(true)
      .on('error', () => {})
      .on('close', () => sockets.delete(socket))
  }
  const relay = createServer({ allowHalfOpen: true }, (accepted) => {
    const client = keep(accepted)
    const server = keep(connect({ port: serverPort, host: '127.0.0.1', allowHalfOpen: true }))
    const { towardsClient, towardsServer } = shapesOf()
    void carry(server, client, towardsClient)
    void carry(client, server, towardsServer)
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

async function carry(from: Socket, to: Socket, shape: Shape): Promise<void> {
  from.on('close', () => to.end())
  try {
    for await (const chunk of from) {
      for (const piece of shape(chunk)) {
        if (!to.writable) break
        if (piece.length > 0) to.write(piece)
        await setImmediate()
      }
    }
  } catch {
    // A reset, which goes on as a FIN.
  }
  to.end()
}

/** Pieces of that many bytes. */
export const inPieces =
  (size: number): Shape =>
  (chunk) => {
    const pieces: Buffer[] = []
    for (let at = 0; at < chunk.length; at += size) pieces.push(chunk.subarray(at, at + size))
    return pieces
  }

/** Each chunk with so many bytes of it left behind for the next one; a turn later they follow by themselves. */
export const splitAt =
  (offset: number): Shape =>
  (chunk) => [chunk.subarray(0, offset % chunk.length), chunk.subarray(offset % chunk.length)]

export type Fault = 'flip' | 'drop' | 'repeat' | 'swap' | 'insert' | 'replace'
export const FAULTS: readonly Fault[] = ['flip', 'drop', 'repeat', 'swap', 'insert', 'replace']

const LONGEST = 40

/** Does one fault at a byte of the stream, and passes everything else on. */
export function faultyAt(position: number, fault: Fault, random: Random): Shape {
  let passed = 0
  return (chunk) => {
    const at = position - passed
    passed += chunk.length
    return [at < 0 || at >= chunk.length ? chunk : withFault(chunk, at, fault, random)]
  }
}

function withFault(chunk: Buffer, at: number, fault: Fault, random: Random): Buffer {
  const size = 1 + random(LONGEST)
  const [before, touched, after] = [chunk.subarray(0, at), chunk.subarray(at, at + size), chunk.subarray(at + size)]
  const bytes = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => random(256)))
  switch (fault) {
    case 'flip':
      return Buffer.concat([before, Buffer.from([chunk[at]! ^ (1 << random(8))]), chunk.subarray(at + 1)])
    case 'drop':
      return Buffer.concat([before, after])
    case 'repeat':
      return Buffer.concat([before, touched, touched, after])
    case 'swap': {
      const middle = random(touched.length)
      return Buffer.concat([before, touched.subarray(middle), touched.subarray(0, middle), after])
    }
    case 'insert':
      return Buffer.concat([before, bytes(size), touched, after])
    case 'replace':
      return Buffer.concat([before, bytes(touched.length), after])
  }
}
