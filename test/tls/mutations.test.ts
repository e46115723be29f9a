/**
 * Somebody between the two who flips, drops, repeats and moves bytes: whatever comes of it is an answer as it was sent, or
 * one of the errors that the documents name. What nobody has sent is never heard.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { openssl } from '../../src/sys/openssl.js'
import { TlsChannel } from '../../src/tls/tls-channel.js'
import { Authority } from '../support/certificates.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { randomOf, seedOf } from '../support/random.js'
import { ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'

/** With RECYCLING_AGENT_SOAK set, as many as it takes to meet what is rare. */
const CONNECTIONS = process.env.RECYCLING_AGENT_SOAK ? 20_000 : 400
const AT_ONCE = 8

type Random = ReturnType<typeof randomOf>

/** Does one thing to some bytes of a chunk. */
function mutate(chunk: Buffer, random: Random): Buffer {
  const at = random(chunk.length)
  const size = 1 + random(16)
  const head = chunk.subarray(0, at)
  const piece = chunk.subarray(at, at + size)
  const rest = chunk.subarray(at + size)
  switch (random(4)) {
    case 0: {
      const flipped = Buffer.from(chunk)
      flipped[at]! ^= 1 << random(8)
      return flipped
    }
    case 1:
      return Buffer.concat([head, rest])
    case 2:
      return Buffer.concat([head, piece, piece, rest])
    default:
      return Buffer.concat([head, rest, piece])
  }
}

/** A relay that mutates one chunk in so many, in either direction. */
async function mutatingRelay(port: number, random: Random) {
  const sockets = new Set<Socket>()
  const relay = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const pass = (from: Socket, to: Socket): void => {
      sockets.add(from)
      from.on('data', (chunk) => to.write(random(6) === 0 ? mutate(chunk, random) : chunk))
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroySoon()
      })
    }
    pass(client, server)
    pass(server, client)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  return {
    port: (relay.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy()
      relay.close()
    },
  }
}

expectNoDescriptorLeft()

describeNative('a connection that is tampered with', () => {
  let relay: Awaited<ReturnType<typeof mutatingRelay>>
  let agent: RecyclingAgent

  /** After which of our calls the thread's error queue was not empty; Node's own leave something there at times. */
  const leftBehind: string[] = []

  beforeAll(() => {
    for (const name of ['handshake', 'read', 'peek', 'write', 'sendCloseNotify', 'free'] as const) {
      const method = TlsChannel.prototype[name] as (...said: unknown[]) => unknown
      vi.spyOn(TlsChannel.prototype, name as 'free').mockImplementation(function (
        this: TlsChannel,
        ...said: unknown[]
      ) {
        const result = method.apply(this, said)
        if (openssl().peekError() !== 0) leftBehind.push(name)
        return result as undefined
      })
    }
  })

  afterAll(async () => {
    vi.restoreAllMocks()
    await agent.destroy()
    relay.close()
  })

  it('gives the right answer or a proper error, and harms no other', {
    timeout: 60_000 + CONNECTIONS * 20,
  }, async () => {
    const authority = await Authority.create()
    const certificate = await authority.issue(['127.0.0.1'])
    const random = randomOf(seedOf('mutations of TLS'))
    const answer = 'as it was sent '.repeat(500)
    const heard: string[] = []
    const serve = async (peer: RawPeer): Promise<void> => {
      const request = await peer.request()
      if (request === null) return
      heard.push(request.head.split('\r\n', 1)[0]!)
      peer.socket.end(ok(answer, 'connection: close\r\n'))
    }
    const { port } = await rawServer(serve, { secure: certificate })
    relay = await mutatingRelay(port, random)
    agent = new RecyclingAgent({
      connectTimeout: 300,
      headersTimeout: 300,
      bodyTimeout: 300,
      connect: { ca: authority.ca },
    })
    const origin = `https://127.0.0.1:${relay.port}`
    const codes: Record<string, number> = {}
    let left = CONNECTIONS
    const work = async (): Promise<void> => {
      while (left-- > 0) {
        let outcome = 'fine'
        try {
          const { body } = await agent.request({ origin, path: '/path', method: 'GET' })
          const text = await body.text()
          if (text !== answer) outcome = `wrong: ${text.slice(0, 100)}`
        } catch (error) {
          outcome = (error as NodeJS.ErrnoException).code ?? String(error)
        }
        codes[outcome] = (codes[outcome] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    await quiet(agent)
    const proper =
      /^(fine|ERR_SSL_[\w/]+|ERR_TLS_\w+|ECONNRESET|EPIPE|UND_ERR_(SOCKET|CONNECT_TIMEOUT|HEADERS_TIMEOUT|BODY_TIMEOUT|RES_CONTENT_LENGTH_MISMATCH)|[A-Z_]*CERT[A-Z_]*|UNABLE_TO_[A-Z_]+)$/
    expect(Object.keys(codes).filter((code) => !proper.test(code))).toEqual([])
    expect(leftBehind).toEqual([])
    expect(codes.fine).toBeGreaterThan(0)
    expect(Object.keys(codes).length).toBeGreaterThan(2)
    expect(new Set(heard)).toEqual(new Set(['GET /path HTTP/1.1']))
    expect(agent.stats.tls.native).toBeGreaterThan(0)
    expect(agent.stats.sockets.leased).toBe(0)
  })
})
