/** What the kernel says about this process's descriptors and about the host's sockets. */
import { readdirSync, readFileSync } from 'node:fs'

/** How many descriptors this process has open. */
export function countDescriptors(): number {
  // The directory itself is open while it is read.
  return readdirSync('/proc/self/fd').length - 1
}

/** The O_* flags of a descriptor, O_CLOEXEC included. */
export function descriptorFlags(fd: number): number {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')
  return Number.parseInt(/^flags:\s*(\d+)$/m.exec(info)![1]!, 8)
}

/** The states of all sockets of this host that have `port` at either end (proc_net_tcp, kernel documentation). */
export function socketsAtPort(port: number, protocol: 'tcp' | 'udp' = 'tcp'): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return [protocol, `${protocol}6`]
    .flatMap((table) => readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', remote = '']) => local.endsWith(suffix) || remote.endsWith(suffix))
    .map(([, local, remote, state]) => `${local} ${remote} ${state}`)
}
