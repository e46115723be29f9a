import { describe, expect, it } from 'vitest'
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP } from '../../src/sys/constants.js'
import {
  EpollEvents,
  epollEventLayout,
  hasFailed,
  isPeerClosed,
  isReadable,
  isUrgent,
  isWritable,
} from '../../src/sys/epoll-event.js'

const architectures = [
  ['x64', 12, 4],
  ['arm64', 16, 8],
  ['riscv64', 16, 8],
] as const

describe.each(architectures)('struct epoll_event on %s', (arch, size, dataOffset) => {
  it(`has ${size} bytes, with its data at ${dataOffset} (epoll_event(3type))`, () => {
    expect(epollEventLayout(arch)).toEqual({ size, dataOffset })
  })

  it('carries the events and the descriptor', () => {
    const event = new EpollEvents(1, arch)
    event.set(0, EPOLLIN | EPOLLET, 0x01020304)
    const bytes = Buffer.from(event.bytes)
    expect(bytes).toHaveLength(size)
    expect(bytes.readUInt32LE(0)).toBe(0x80000001)
    expect(bytes.readInt32LE(dataOffset)).toBe(0x01020304)
  })

  it('reads back from every place of the array', () => {
    const events = new EpollEvents(3, arch)
    const flags = [EPOLLIN, EPOLLOUT | EPOLLHUP, EPOLLRDHUP]
    flags.forEach((bits, i) => {
      events.set(i, bits, 100 + i)
    })
    expect(events.bytes).toHaveLength(3 * size)
    expect(flags.map((_, i) => events.flags(i))).toEqual(flags)
    expect(flags.map((_, i) => events.fd(i))).toEqual([100, 101, 102])
  })
})

describe('readiness', () => {
  it.each([
    ['EPOLLIN', EPOLLIN, { readable: true, writable: false, peerClosed: false, failed: false }],
    ['EPOLLOUT', EPOLLOUT, { readable: false, writable: true, peerClosed: false, failed: false }],
    ['EPOLLRDHUP', EPOLLRDHUP, { readable: true, writable: false, peerClosed: true, failed: false }],
    ['EPOLLHUP', EPOLLHUP, { readable: true, writable: true, peerClosed: false, failed: true }],
    ['EPOLLERR', EPOLLERR, { readable: true, writable: true, peerClosed: false, failed: true }],
    ['nothing', 0, { readable: false, writable: false, peerClosed: false, failed: false }],
  ])('%s means what epoll_ctl(2) says', (_name, flags, meaning) => {
    expect({
      readable: isReadable(flags),
      writable: isWritable(flags),
      peerClosed: isPeerClosed(flags),
      failed: hasFailed(flags),
    }).toEqual(meaning)
  })

  it('tells urgent data from the rest', () => {
    expect([EPOLLPRI | EPOLLIN, EPOLLPRI, EPOLLIN, 0].map(isUrgent)).toEqual([true, true, false, false])
  })
})
