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

const hex = (port: number): string => `:${port.toString(16).toUpperCase().padStart(4, '0')}`

/**
 * The sockets of this host, seen from either end, that connect port `a` with port `b`, as the kernel's tables have them:
 * local end, remote end, state. A port alone would not do: other programs use the host, too.
 */
export function socketsBetween(a: number, b: number, protocol: 'tcp' | 'udp' = 'tcp'): string[] {
  return [protocol, `${protocol}6`]
    .flatMap((table) => readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', remote = '']) =>
      [
        [a, b],
        [b, a],
      ].some(([from, to]) => local.endsWith(hex(from!)) && remote.endsWith(hex(to!))),
    )
    .map(([, local, remote, state]) => `${local} ${remote} ${state}`)
}
