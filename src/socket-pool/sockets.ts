/** What is done to one socket: its creation, its options, and the call that dissolves its association. */
import {
  AF_INET,
  AF_INET6,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_TCLASS,
  SO_KEEPALIVE,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from '../sys/constants.js'
import { native } from '../sys/native.js'
import { ownedDescriptors } from '../sys/owned-descriptors.js'
import { encodeUnspecified } from '../sys/sockaddr.js'
import { systemError } from '../sys/system-error.js'

const unspecified = encodeUnspecified()

/** As libuv has it: a peer is given up after ten probes without an answer, one second apart. */
const KEEP_ALIVE_PROBES = [
  [TCP_KEEPINTVL, 1],
  [TCP_KEEPCNT, 10],
] as const

/** An int as setsockopt(2) takes it. */
const encodeInt = (value: number): Buffer => Buffer.from(new Int32Array([value]).buffer)

/**
 * socket(2), non-blocking and close-on-exec; it is one of {@link ownedDescriptors}.
 *
 * @param protocol of ip(7); 0: the one that goes with the type
 * @returns the descriptor, or -1 and errno
 */
export function createSocket(domain: number, type: number, protocol = 0): number {
  return ownedDescriptors().socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol)
}

/** connect(2) with AF_UNSPEC. @returns whether the kernel did it */
export function dissolve(fd: number): boolean {
  return native().connect(fd, unspecified, unspecified.length) === 0
}

let dissolves = false

/**
 * gVisor and other sandboxes refuse AF_UNSPEC: tries it on a socket of its own, until it has succeeded once.
 *
 * @throws a Node-style system error when the kernel refuses, and where koffi cannot be loaded
 */
export function assertDissolves(): void {
  if (dissolves) return
  // With the protocol named, which makes no difference but can be told in a trace of system calls.
  const fd = createSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
  // Too few descriptors now do not mean that it never works.
  if (fd < 0) return
  dissolves = dissolve(fd)
  const error = dissolves ? null : systemError(native().errno(), 'connect')
  ownedDescriptors().close(fd)
  if (error !== null) throw error
}

/** Options of every TCP socket: tcp(7). @param keepAliveSeconds `null`: no keep-alive; 0: after the kernel's time */
export function configureTcp(fd: number, keepAliveSeconds: number | null): void {
  const { setsockopt } = native()
  const one = encodeInt(1)
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one, one.length)
  if (keepAliveSeconds === null) return
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, one, one.length)
  if (keepAliveSeconds < 1) return
  for (const [option, value] of [[TCP_KEEPIDLE, keepAliveSeconds] as const, ...KEEP_ALIVE_PROBES]) {
    const bytes = encodeInt(value)
    setsockopt(fd, IPPROTO_TCP, option, bytes, bytes.length)
  }
}

/** One local port may lead to several peers, and be used again while a connection from it is in TIME_WAIT, as in libuv. */
export function shareLocalPort(fd: number): void {
  const one = encodeInt(1)
  native().setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, one.length)
}

/** IP_TOS or IPV6_TCLASS: ip(7). It is a wish: errors are of no consequence. */
export function setTypeOfService(fd: number, domain: number, value: number): void {
  const option = encodeInt(value)
  const [level, name] = domain === AF_INET6 ? [IPPROTO_IPV6, IPV6_TCLASS] : [IPPROTO_IP, IP_TOS]
  native().setsockopt(fd, level, name, option, option.length)
}
