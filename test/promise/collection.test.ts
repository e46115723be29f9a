/** What nobody holds any more, and has no open connection, is collected: a dispatcher, its options, handlers and stores. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Authority } from '../support/certificates.js'
import { Program } from '../support/child.js'
import { ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { isNative } from '../support/transport.js'

let program: Program

beforeAll(async () => {
  program = await Program.from(new URL('./programs/collection.ts', import.meta.url))
})

afterAll(() => program.delete())

async function serve(peer: RawPeer): Promise<void> {
  for (let request = await peer.request(); request !== null; request = await peer.request()) {
    const [, path] = request.head.split(' ')
    if (path === '/') peer.write(ok())
    if (path === '/close') peer.socket.end(ok('', 'connection: close\r\n'))
    if (path === '/cut') {
      peer.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n')
      setTimeout(() => peer.socket.destroy(), 10)
    }
  }
}

const transports = isNative ? (['native', 'net'] as const) : (['net'] as const)

it.each(
  transports.flatMap((transport) => (['http', 'https'] as const).map((protocol) => [transport, protocol] as const)),
)('nothing is kept of a dispatcher that was used (%s, %s)', async (transport, protocol) => {
  const authority = await Authority.create()
  const secure = await authority.issue(['127.0.0.1'])
  const { origin } = await rawServer(serve, protocol === 'https' ? { secure } : {})
  const { stdout, stderr } = await program.run({
    args: [origin, authority.ca, transport],
    nodeFlags: ['--expose-gc'],
  })
  expect(stderr).toBe('')
  const { count, kept } = JSON.parse(stdout)
  expect(count).toBe(2 * 6 * 3 * 4)
  expect(kept).toEqual([])
})
