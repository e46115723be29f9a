/** Urgent data (tcp(7), RFC 6093): recv(2) stops before it, so that a short read need not mean that all was read. */
import { expect, it } from 'vitest'
import { native } from '../../src/sys/native.js'
import { type Behaviour, laboratory } from '../support/laboratory.js'
import type { RawPeer } from '../support/raw-server.js'
import { describeNative } from '../support/transport.js'

const MSG_OOB = 1

/** Sends at once, past the queue of Node's. */
function send(peer: RawPeer, text: string, flags = 0): void {
  const { fd } = (peer.socket as unknown as { _handle: { fd: number } })._handle
  expect(native().send(fd, Buffer.from(text, 'latin1'), text.length, flags)).toBe(text.length)
}

/** An urgent byte before each piece but the first: it is no part of the stream. */
const urging =
  (...pieces: string[]): Behaviour =>
  async (peer) => {
    await peer.request()
    for (const [i, piece] of pieces.entries()) {
      if (i > 0) send(peer, '!', MSG_OOB)
      send(peer, piece)
    }
  }

const pieces: [where: string, pieces: string[]][] = [
  ['before the head', ['', 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody']],
  ['in a head', ['HTTP/1.1 200 OK\r\ncontent-', 'length: 4\r\n\r\nbody']],
  ['in a body of known length', ['HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbo', 'dy']],
  ['in chunks', ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbo', 'dy\r\n0\r\n\r\n']],
]

describeNative('an urgent byte', () => {
  it.each(pieces)('%s takes nothing from what follows it', async (_where, pieces) => {
    const peer = await laboratory()
    const behaviour = urging(...pieces)
    const theirs = await peer.meet(peer.reference({ headersTimeout: 500, bodyTimeout: 500 }), behaviour)
    expect(theirs).toMatchObject({ body: 'body', end: ['complete'] })
    const agent = peer.agent({ headersTimeout: 500, bodyTimeout: 500 })
    expect(await peer.meet(agent, behaviour)).toEqual(theirs)
    peer.peers.at(-1)!.socket.destroy()
    await peer.expectRecovered(agent)
  })
})
