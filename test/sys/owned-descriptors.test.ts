import { describe, expect, it, vi } from 'vitest'
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../../src/sys/constants.js'
import { endHooks } from '../../src/sys/environment-end.js'
import { native } from '../../src/sys/native.js'
import { ownedDescriptors } from '../../src/sys/owned-descriptors.js'
import { countDescriptors, descriptorFlags } from '../support/descriptors.js'

const owned = ownedDescriptors()
const socket = (): number => owned.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)

describe('the descriptors of this thread', () => {
  it('are seen to by one object', () => {
    expect(ownedDescriptors()).toBe(owned)
  })

  it('are created and closed any number of times with one number', () => {
    const before = countDescriptors()
    for (let i = 0; i < 3; i++) {
      const original = socket()
      for (const fd of [owned.duplicate(original), owned.epoll(), original]) {
        expect(descriptorFlags(fd) & SOCK_CLOEXEC).toBe(SOCK_CLOEXEC)
        expect(owned.close(fd)).toBe(0)
      }
    }
    expect(countDescriptors()).toBe(before)
  })

  it('that cannot be had leave no hook behind', () => {
    for (let i = 0; i < 2; i++) {
      expect(owned.duplicate(-1)).toBe(-1)
      expect(owned.socket(-1, -1, -1)).toBe(-1)
    }
  })

  it('are closed by the handle that they are given to, if it takes them', () => {
    const fd = socket()
    const open = vi.fn(() => -9)
    expect(owned.giveTo({ open }, fd)).toBe(-9)
    open.mockReturnValue(0)
    expect(owned.giveTo({ open }, fd)).toBe(0)
    expect(open).toHaveBeenCalledWith(fd)
    expect(native().close(fd)).toBe(0)
  })

  it("that are disowned are the caller's", () => {
    const fd = socket()
    owned.disown(fd)
    expect(native().close(fd)).toBe(0)
  })
})

it('hooks are native functions: one of ours would have a beginning, where V8 may end a thread', () => {
  for (const symbol of ['close', 'SSL_free', 'SSL_SESSION_free']) {
    const { hook, unhook } = endHooks(symbol)
    for (const call of [hook, unhook]) expect(Function.prototype.toString.call(call)).toContain('[native code]')
  }
})
