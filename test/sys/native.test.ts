import { constants } from 'node:os'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  AF_INET,
  EPOLL_CLOEXEC,
  IPPROTO_TCP,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  TCP_NODELAY,
} from '../../src/sys/constants.js'
import { EpollEvents } from '../../src/sys/epoll-event.js'
import { native } from '../../src/sys/native.js'
import { decodeInternet, encodeInternet, SOCKADDR_STORAGE_SIZE } from '../../src/sys/sockaddr.js'
import { countDescriptors, descriptorFlags } from '../support/descriptors.js'

const { EAGAIN, EBADF, ENOTCONN, EAFNOSUPPORT } = constants.errno
const NO_DESCRIPTOR = -1
const calls = native()
const buffer = Buffer.alloc(SOCKADDR_STORAGE_SIZE)
const length = Buffer.alloc(4)
let before = 0

beforeEach(() => {
  before = countDescriptors()
})

afterEach(() => {
  expect(countDescriptors()).toBe(before)
})

describe('the function table', () => {
  it('is built once per thread', () => {
    expect(native()).toBe(calls)
  })

  it.each([
    ['connect', () => calls.connect(NO_DESCRIPTOR, buffer, 16)],
    ['bind', () => calls.bind(NO_DESCRIPTOR, buffer, 16)],
    ['recv', () => calls.recv(NO_DESCRIPTOR, buffer, 1, 0)],
    ['recvAt', () => calls.recvAt(NO_DESCRIPTOR, calls.addressOf(buffer), 1, 0)],
    ['send', () => calls.send(NO_DESCRIPTOR, buffer, 1, 0)],
    ['sendAt', () => calls.sendAt(NO_DESCRIPTOR, calls.addressOf(buffer), 1, 0)],
    ['shutdown', () => calls.shutdown(NO_DESCRIPTOR, 1)],
    ['close', () => calls.close(NO_DESCRIPTOR)],
    ['duplicate', () => calls.duplicate(NO_DESCRIPTOR)],
    ['getsockname', () => calls.getsockname(NO_DESCRIPTOR, buffer, length)],
    ['getpeername', () => calls.getpeername(NO_DESCRIPTOR, buffer, length)],
    ['getsockopt', () => calls.getsockopt(NO_DESCRIPTOR, 1, 4, buffer, length)],
    ['setsockopt', () => calls.setsockopt(NO_DESCRIPTOR, 1, 9, buffer, 4)],
    ['epollControl', () => calls.epollControl(NO_DESCRIPTOR, 1, NO_DESCRIPTOR, buffer)],
    ['epollWait', () => calls.epollWait(NO_DESCRIPTOR, calls.addressOf(new EpollEvents(1).bytes), 1, 0)],
  ])('%s answers -1 and leaves errno when it fails', (_name, call) => {
    expect(call()).toBe(-1)
    expect(calls.errno()).toBe(EBADF)
  })

  it('socket answers -1 and leaves errno when it fails', () => {
    expect(calls.socket(12_345, SOCK_STREAM, 0)).toBe(-1)
    expect(calls.errno()).toBe(EAFNOSUPPORT)
  })

  it('duplicates a descriptor that children do not inherit (fcntl(2))', () => {
    const fd = calls.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    const duplicate = calls.duplicate(fd)
    expect(duplicate).toBeGreaterThan(2)
    expect(duplicate).not.toBe(fd)
    expect(descriptorFlags(duplicate) & SOCK_CLOEXEC).toBe(SOCK_CLOEXEC)
    expect(calls.close(duplicate)).toBe(0)
    expect(calls.close(fd)).toBe(0)
  })

  it('creates an epoll descriptor that children do not inherit', () => {
    const fd = calls.epollCreate(EPOLL_CLOEXEC)
    expect(descriptorFlags(fd) & SOCK_CLOEXEC).toBe(SOCK_CLOEXEC)
    calls.close(fd)
  })

  it('sets and gets a socket option', () => {
    const fd = calls.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    buffer.writeInt32LE(1)
    length.writeUInt32LE(4)
    expect(calls.setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, buffer, 4)).toBe(0)
    buffer.fill(0)
    expect(calls.getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, buffer, length)).toBe(0)
    expect(buffer.readInt32LE(0)).not.toBe(0)
    calls.close(fd)
  })

  it('sends and receives, from a view and from an address', () => {
    const fd = calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    const any = encodeInternet('127.0.0.1', 0)
    calls.bind(fd, any, any.length)
    const name = Buffer.alloc(SOCKADDR_STORAGE_SIZE)
    length.writeUInt32LE(name.length)
    expect(calls.getsockname(fd, name, length)).toBe(0)
    expect(calls.getpeername(fd, name.subarray(64), length)).toBe(-1)
    expect(calls.errno()).toBe(ENOTCONN)
    const self = encodeInternet('127.0.0.1', decodeInternet(name)!.port)
    expect(calls.connect(fd, self, self.length)).toBe(0)

    const window = new Uint8Array(new ArrayBuffer(32))
    const text = new Uint8Array(new TextEncoder().encode('datagram'))
    window.set(text)
    expect(calls.sendAt(fd, calls.addressOf(window), text.length, 0)).toBe(text.length)
    window.fill(0)
    expect(calls.recv(fd, window, window.length, 0)).toBe(text.length)
    expect(window.subarray(0, text.length)).toEqual(text)
    expect(calls.send(fd, text, text.length, 0)).toBe(text.length)
    window.fill(0)
    expect(calls.recvAt(fd, calls.addressOf(window.subarray(8)), 24, 0)).toBe(text.length)
    expect(window.subarray(8, 8 + text.length)).toEqual(text)
    expect(calls.recv(fd, window, window.length, 0)).toBe(-1)
    expect(calls.errno()).toBe(EAGAIN)
    calls.close(fd)
  })
})
