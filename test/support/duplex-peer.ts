/** Streams that are no sockets, with an HTTP server at their other end. */
import { Duplex, duplexPair } from 'node:stream'

export interface DuplexPeer {
  /** For the client. */
  stream: Duplex
  /** For the server. */
  peer: Duplex
  /** What the client has sent. */
  readonly received: string
}

/** @param answer what is written whenever a request's head has come; nothing, if it is `null` */
export function duplexPeer(answer: string | null): DuplexPeer {
  const [stream, peer] = duplexPair()
  let received = ''
  peer.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
    if (answer !== null && received.endsWith('\r\n\r\n')) peer.write(answer)
  })
  peer.on('error', () => {})
  return {
    stream,
    peer,
    get received() {
      return received
    },
  }
}

/** A stream that is over before it begins. */
export function brokenStream(error?: Error): Duplex {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  stream.on('error', () => {})
  stream.destroy(error)
  return stream
}
