/** What the kernel says of a connection's client end, whoever has made it. */
import { native } from '../../src/sys/native.js'
import type { RawPeer } from './raw-server.js'
import { clientInode, descriptorOf } from './socket-table.js'

/** The descriptor of this process at the other end of an accepted connection. */
export function clientDescriptor({ socket }: RawPeer): number {
  return descriptorOf(clientInode(socket.remotePort!, socket.localPort!))
}

/** getsockopt(2), for options that are integers. */
export function socketOption(fd: number, level: number, name: number): number {
  const value = new Int32Array(1)
  const length = new Uint32Array([value.byteLength])
  const result = native().getsockopt(fd, level, name, Buffer.from(value.buffer), Buffer.from(length.buffer))
  if (result !== 0) throw new Error(`getsockopt failed with ${native().errno()}`)
  return value[0]!
}
