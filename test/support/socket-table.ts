/** The kernel's tables of TCP sockets, for those who want to know which descriptor a connection lives on. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** One row of /proc/net/tcp or tcp6. */
export interface SocketRow {
  localPort: number
  remotePort: number
  /** As in include/net/tcp_states.h: '01' is ESTABLISHED, '06' TIME_WAIT, '08' CLOSE_WAIT. */
  state: string
  /** 0 when no descriptor refers to the socket any more. */
  inode: number
}

const LISTEN = '0A'

const portOf = (end: string): number => Number.parseInt(end.slice(end.lastIndexOf(':') + 1), 16)

/** All sockets with `port` at either end, in whatever state, those that listen apart. */
export function socketsOn(port: number): SocketRow[] {
  const rows = ['tcp', 'tcp6']
    .flatMap((table) => readFileSync(`/proc/net/${table}`, 'latin1').trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .map((fields): [ends: string, row: SocketRow] => [
      `${fields[1]} ${fields[2]}`,
      {
        localPort: portOf(fields[1]!),
        remotePort: portOf(fields[2]!),
        state: fields[3]!,
        inode: Number(fields[9]),
      },
    ])
    .filter(([, { localPort, remotePort, state }]) => state !== LISTEN && (localPort === port || remotePort === port))
  // The kernel gives out the table in pieces: one that changes meanwhile may name a socket twice.
  return [...new Map(rows).values()]
}

/** The inode of the socket that a client on this host connects with, from `localPort` to `port`. */
export function clientInode(localPort: number, port: number): number {
  const row = socketsOn(port).find((row) => row.localPort === localPort && row.remotePort === port)
  if (row === undefined) throw new Error(`no socket from port ${localPort} to port ${port}`)
  return row.inode
}

/** The descriptor of this process that refers to the socket. */
export function descriptorOf(inode: number): number {
  const fd = readdirSync('/proc/self/fd').find((fd) => inodeOf(Number(fd)) === inode)
  if (fd === undefined) throw new Error(`no descriptor refers to socket ${inode}`)
  return Number(fd)
}

/** The inode of the socket that a descriptor of this process refers to; `null` when it refers to none. */
export function inodeOf(fd: number): number | null {
  try {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? []
    return inode === undefined ? null : Number(inode)
  } catch {
    // The directory's own descriptor is gone once it was read.
    return null
  }
}
