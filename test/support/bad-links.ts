/**
 * Links that lose, repeat and delay packets: tc-netem(8) where the kernel has it, and everywhere a program between two
 * tun devices, which leaves it to the seed what happens to a packet.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { foreign } from '../../src/sys/native.js'
import type { Badness, Counts } from '../faults/programs/bad-wire.js'
import type { Program } from './child.js'
import { Link, Namespace, whyNoNamespaces } from './namespaces.js'

export interface BadLink {
  client: Namespace
  server: Namespace
  serverAddress: string
  /** What has happened up to now; `null` where nobody counts. */
  counts(): Promise<Counts | null>
  close(): Promise<void>
}

/** Why the kernel has no netem, or `null`. */
export const whyNoNetem: string | null = whyNoNamespaces ?? findReason()

function findReason(): string | null {
  const namespace = new Namespace()
  try {
    namespace.tc('qdisc add dev lo root netem delay 1ms')
    return null
  } catch (error) {
    return `the kernel has no netem: ${(error as Error).message}`
  } finally {
    namespace.delete()
  }
}

export function netemLink({ lost, repeated, delayMs }: Badness): BadLink {
  const link = new Link()
  const half = delayMs / 2
  for (const end of [link.client, link.server]) {
    end.tc(`qdisc add dev eth0 root netem delay ${half}ms ${half}ms loss ${lost}% duplicate ${repeated}%`)
  }
  const { client, server, serverAddress } = link
  return { client, server, serverAddress, counts: async () => null, close: async () => {} }
}

/** Why there are no tun devices, or `null`. */
export const whyNoTun: string | null =
  whyNoNamespaces ?? (existsSync('/dev/net/tun') ? null : 'the kernel has no tun devices')

/** ioctl(2) of linux/if_tun.h. */
const TUNSETIFF = 0x400454ca
const IFF_TUN_WITHOUT_HEADER = 0x1001
/** Of `struct ifreq`: 16 bytes for the name, then the flags. */
const IFREQ_SIZE = 40

/** A device tun0 in this namespace. @returns its descriptor, from which its packets are read */
async function makeTun(namespace: Namespace, address: string): Promise<number> {
  const fd = await namespace.enter(() => openSync('/dev/net/tun', 'r+'))
  const ioctl = foreign().process.func('int ioctl(int fd, unsigned long request, void *argument)')
  const request = Buffer.alloc(IFREQ_SIZE)
  request.write('tun0')
  request.writeUInt16LE(IFF_TUN_WITHOUT_HEADER, 16)
  if (ioctl(fd, TUNSETIFF, request) !== 0) throw new Error('TUNSETIFF failed')
  namespace.ip(`address add ${address}/24 dev tun0`)
  namespace.ip('link set tun0 up')
  return fd
}

/** @param program test/faults/programs/bad-wire.ts */
export async function tunLink(program: Program, badness: Badness): Promise<BadLink> {
  const [client, server] = [new Namespace(), new Namespace()]
  const serverAddress = '10.77.0.2'
  const devices = [await makeTun(client, '10.77.0.1'), await makeTun(server, serverAddress)]
  const wire = spawn(process.execPath, [program.file, JSON.stringify(badness)], {
    stdio: ['pipe', 'pipe', 'inherit', ...devices],
  }) as ChildProcessByStdio<Writable, Readable, null>
  for (const fd of devices) closeSync(fd)
  const killOnExit = (): void => void wire.kill('SIGKILL')
  process.once('exit', killOnExit)
  return {
    client,
    server,
    serverAddress,
    async counts() {
      wire.stdin.write('\n')
      const [line] = await once(wire.stdout, 'data')
      return JSON.parse(String(line))
    },
    async close() {
      process.off('exit', killOnExit)
      const closed = once(wire, 'close')
      wire.kill('SIGKILL')
      await closed
    },
  }
}
