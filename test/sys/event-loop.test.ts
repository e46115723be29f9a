import { describe, expect, it } from 'vitest'
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../../src/sys/constants.js'
import { wakeLoopFor } from '../../src/sys/event-loop.js'
import { native } from '../../src/sys/native.js'
import { ownedDescriptors } from '../../src/sys/owned-descriptors.js'
import { encodeInternet, SOCKADDR_STORAGE_SIZE } from '../../src/sys/sockaddr.js'
import { roundsAtRest, roundsWithin } from '../support/event-loop.js'

describe('a waker', () => {
  // Held by nobody here: garbage collection must not end the watch.
  it('lets the loop not sleep while its descriptor is readable', async () => {
    const fd = ownedDescriptors().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
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
  })
})
