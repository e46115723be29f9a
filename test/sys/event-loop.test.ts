import { describe, expect, it } from 'vitest'
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../../src/sys/constants.js'
import { exitHooks, wakeLoopFor } from '../../src/sys/event-loop.js'
import { native } from '../../src/sys/native.js'
import { encodeInternet, SOCKADDR_STORAGE_SIZE } from '../../src/sys/sockaddr.js'
import { countDescriptors } from '../support/descriptors.js'
import { roundsAtRest, roundsWithin } from '../support/event-loop.js'

describe('the hooks on the end of this thread', () => {
  it('are one object', () => {
    expect(exitHooks()).toBe(exitHooks())
  })

  it('are set and removed any number of times for one descriptor', () => {
    const before = countDescriptors()
    for (let i = 0; i < 3; i++) {
      const fd = native().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
      exitHooks().closeOnExit(fd)
      exitHooks().forget(fd)
      expect(native().close(fd)).toBe(0)
    }
    expect(countDescriptors()).toBe(before)
  })
})

describe('a waker', () => {
  // Held by nobody here: garbage collection must not end the watch.
  it('lets the loop not sleep while its descriptor is readable', async () => {
    const fd = native().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    const address = encodeInternet('127.0.0.1', 0)
    native().bind(fd, address, address.length)
    const name = Buffer.alloc(SOCKADDR_STORAGE_SIZE)
    native().getsockname(fd, name, Buffer.from(new Uint32Array([name.length]).buffer))
    native().connect(fd, name, 16)
    wakeLoopFor(fd)
    expect(await roundsAtRest(50)).toBeLessThan(50)
    native().send(fd, name, 1, 0)
    expect(await roundsWithin(50)).toBeGreaterThan(200)
    expect(native().recv(fd, name, 1, 0)).toBe(1)
    expect(await roundsAtRest(50)).toBeLessThan(50)
    exitHooks().closeOnExit(fd)
  })
})
