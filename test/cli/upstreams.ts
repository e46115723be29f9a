/** Upstreams of each kind that the command can meet: in this process, for one test. */
import type { Certificate } from '../support/certificates.js'
import { answering, ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'

type Serve = (peer: RawPeer) => unknown

/** Ends the connection behind its first response. */
const closingWith =
  (response: string): Serve =>
  async (peer) => {
    if ((await peer.request()) === null) return
    peer.socket.end(response, 'latin1')
  }

export const closing: Serve = closingWith(ok('ok', 'connection: close\r\n'))
/** Without a word of it. */
export const closingSilently: Serve = closingWith(ok('ok'))
export const keeping: Serve = answering(ok('ok'))
export const answeringStatus = (status: string): Serve => answering(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\n\r\n`)

export const startUpstream = (serve: Serve, secure?: Certificate): Promise<RawServer> =>
  rawServer(serve, secure === undefined ? {} : { secure })
