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

/** An int as setsockopt(2) takes it: copied by the kernel, so that one memory serves every call. */
const int = new Int32Array(1)
const intBytes = Buffer.from(int.buffer)

function setInt(fd: number, level: number, name: number, value: number): void {
  int[0] = value
  native().setsockopt(fd, level, name, intBytes, intBytes.length)
}

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

/**
 * Options of every TCP socket: tcp(7). None of them makes the ACK that ends a handshake go along with the request
 * (TCP_DEFER_ACCEPT, TCP_QUICKACK), though that would save a segment: Linux then delays the next ACKs, too, and a server
 * that writes its response in two pieces, with Nagle's algorithm, waits 40 ms for them (test/transport/tcp.test.ts).
 *
 * @param keepAliveSeconds `null`: no keep-alive; 0: after the kernel's time
 */
export function configureTcp(fd: number, keepAliveSeconds: number | null): void {
  setInt(fd, IPPROTO_TCP, TCP_NODELAY, 1)
  if (keepAliveSeconds === null) return
  setInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
  if (keepAliveSeconds < 1) return
  setInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepAliveSeconds)
  // As libuv has it: a peer is given up after ten probes without an answer, one second apart.
  setInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1)
  setInt(fd, IPPROTO_TCP, TCP_KEEPCNT, 10)
}

/** One local port may lead to several peers, and be used again while a connection from it is in TIME_WAIT, as in libuv. */
export function shareLocalPort(fd: number): void {
  setInt(fd, SOL_SOCKET, SO_REUSEADDR, 1)
}

/** IP_TOS or IPV6_TCLASS: ip(7). It is a wish: errors are of no consequence. */
export function setTypeOfService(fd: number, domain: number, value: number): void {
  if (domain === AF_INET6) setInt(fd, IPPROTO_IPV6, IPV6_TCLASS, value)
  else setInt(fd, IPPROTO_IP, IP_TOS, value)
}
