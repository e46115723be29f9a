/** Records that come in pieces, together, or with what is no data between them (RFC 8446 4.6, 5.1). */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { TLSSocket, TlsOptions } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { get, quiet } from '../support/exchange.js'
import { ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'

let ca: string
let certificate: Certificate

beforeAll(async () => {
  const authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['127.0.0.1'])
})

expectNoDescriptorLeft()

/** Passes on what the server at `port` says in pieces of so many bytes, each in a turn of its own. @returns its port */
async function cuttingRelay(port: number, size: number): Promise<number> {
  const sockets: Socket[] = []
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    sockets.push(client.setNoDelay(true), server)
    client.on('error', () => {}).pipe(server.on('error', () => {}))
    let passedOn = Promise.resolve()
    server.on('data', (chunk) => {
      passedOn = passedOn.then(async () => {
        for (let at = 0; at < chunk.length && !client.destroyed; at += size) {
          client.write(chunk.subarray(at, at + size))
          await setImmediate()
        }
      })
    })
    server.on('end', () => void passedOn.then(() => client.end()))
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    relay.close()
  })
  return (relay.address() as AddressInfo).port
}

const closing = async (peer: RawPeer): Promise<void> => {
  await peer.request()
  peer.socket.end(ok('in pieces', 'connection: close\r\n'))
}

describeNative('records', () => {
  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s', (maxVersion) => {
    it.each([1, 2, 3, 5, 7, 64, 1000])('in pieces of %i bytes are put together', async (size) => {
      const { port } = await rawServer(closing, { secure: { ...certificate, maxVersion } })
      const agent = recyclingAgent({ connect: { ca } })
      const origin = `https://127.0.0.1:${await cuttingRelay(port, size)}`
      for (let i = 0; i < 2; i++) {
        expect(await get(agent, origin)).toBe('in pieces')
        await quiet(agent)
      }
      expect(agent.stats.tls).toEqual({ native: 2, node: 0, resumed: 1, failed: 0 })
    })

    it.each([1, 100, 16_384, 16_385, 40_000])('that carry %i bytes of a body each', async (size) => {
      const pieces = Array.from({ length: 5 }, (_, i) => String(i).repeat(size))
      const { origin } = await rawServer(
        async (peer) => {
          await peer.request()
          peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${5 * size}\r\n\r\n`)
          for (const piece of pieces) {
            peer.write(piece)
            await setImmediate()
          }
          peer.socket.end()
        },
        { secure: { ...certificate, maxVersion } },
      )
      const agent = recyclingAgent({ connect: { ca } })
      expect((await get(agent, origin)) === pieces.join('')).toBe(true)
      expect(agent.stats.tls).toMatchObject({ native: 1 })
    })
  })

  it.each([42, 35, 1002, 16_384 - 22, 16_384])('of %i bytes that come all at once are all read', async (size) => {
    const count = Math.ceil(300_000 / size)
    const { origin } = await rawServer(
      async (peer) => {
        // The connection stays: nothing else tells that there is something.
        while ((await peer.request()) !== null) {
          peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${count * size}\r\n\r\n`)
          for (let i = 0; i < count; i++) peer.write('x'.repeat(size))
        }
      },
      { secure: certificate },
    )
    const agent = recyclingAgent({ bodyTimeout: 2000, connect: { ca } })
    for (let i = 0; i < 3; i++) expect((await get(agent, origin)).length).toBe(count * size)
    expect(agent.stats.tls).toMatchObject({ native: 1, node: 0 })
  })

  const serverOf = (serve: (peer: RawPeer) => unknown, options: TlsOptions = {}) =>
    rawServer(serve, { secure: { ...certificate, ...options } })
  const secure = ({ socket }: RawPeer): TLSSocket => socket as TLSSocket

  it('of a renegotiation change nothing: the server is told no (RFC 5246 7.2.2)', async () => {
    let refused: Promise<Error | null> | undefined
    const { origin } = await serverOf(
      async (peer) => {
        await peer.request()
        refused = new Promise((resolve) => {
          peer.socket.once('error', resolve)
          secure(peer).renegotiate({}, (error) => resolve(error))
        })
        peer.socket.once('close', () => peer.socket.destroy())
      },
      { maxVersion: 'TLSv1.2' },
    )
    const agent = recyclingAgent({ headersTimeout: 300, connect: { ca } })
    await expect(get(agent, origin)).rejects.toThrow()
    await agent.destroy()
    expect(await refused).toBeInstanceOf(Error)
    expect(agent.stats.tls).toMatchObject({ native: 1 })
  })

  it('that are broken fail the request with the error of Node', async () => {
    const { port } = await serverOf(async (peer) => {
      await peer.request()
      // What TLS says is the peer's is none of its: a record that nobody has sealed.
      peer.tcp.write(Buffer.from('1703030020'.padEnd(2 * 37, 'ab'), 'hex'))
    })
    const errors: unknown[] = []
    for (const tlsTransport of ['native', 'node'] as const) {
      const agent = recyclingAgent({ tlsTransport, connect: { ca } })
      const error = await get(agent, `https://127.0.0.1:${port}`).then(
        () => null,
        (reason: NodeJS.ErrnoException & { reason?: string; library?: string }) => reason,
      )
      const { name, code, reason, library } = error!
      errors.push({ name, code, reason, library, message: error!.message.replace(/^[0-9A-F]+|:\d+:$/gm, '') })
      expect(agent.stats.tls).toMatchObject({ [tlsTransport]: 1 })
    }
    expect(errors[0]).toEqual(errors[1])
    expect(errors[0]).toMatchObject({ code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' })
  })
})
