import { once } from 'node:events'
import { connect } from 'node:net'
import { constants } from 'node:os'
import { describe, expect, it } from 'vitest'
import { type SystemError, systemError } from '../../src/sys/system-error.js'

const { ECONNREFUSED, EADDRNOTAVAIL, ENOENT, EMFILE } = constants.errno

/** The enumerable properties of an error and its message: all that a user can tell two errors apart by. */
const parts = (error: Error): object => ({ ...error, message: error.message })

describe('a system error', () => {
  it.each([
    ['no target', EMFILE, 'socket', undefined, 'socket EMFILE', {}],
    [
      'an address and a port',
      ECONNREFUSED,
      'connect',
      { address: '127.0.0.1', port: 80 },
      'connect ECONNREFUSED 127.0.0.1:80',
      { address: '127.0.0.1', port: 80 },
    ],
    ['an IPv6 address', ECONNREFUSED, 'connect', { address: '::1', port: 80 }, 'connect ECONNREFUSED ::1:80', {}],
    ['a path', ENOENT, 'connect', { address: '/a' }, 'connect ENOENT /a', { address: '/a' }],
    ['a port left to the kernel', EADDRNOTAVAIL, 'bind', { address: '::2', port: 0 }, 'bind EADDRNOTAVAIL ::2', {}],
  ])('with %s has the message form of Node', (_what, errno, syscall, target, message, properties) => {
    const error = systemError(errno, syscall, target)
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toBe(message)
    expect(error).toMatchObject({ errno: -errno, syscall, code: message.split(' ')[1], ...properties })
  })

  it.each(['address', 'port'])('without a target has no %s', (property) => {
    expect(systemError(EMFILE, 'socket')).not.toHaveProperty(property)
  })

  it('without a port has none', () => {
    expect(systemError(ENOENT, 'connect', { address: '/a' })).not.toHaveProperty('port')
    expect(systemError(EADDRNOTAVAIL, 'bind', { address: '::2', port: 0 })).not.toHaveProperty('port')
  })

  it.each([
    ['a path that is not there', { path: '/no/such/socket' }, ENOENT, 'connect', { address: '/no/such/socket' }],
    [
      'a local address that is not ours',
      { host: '127.0.0.1', port: 9, localAddress: '203.0.113.9' },
      EADDRNOTAVAIL,
      'bind',
      { address: '203.0.113.9', port: 0 },
    ],
  ])('equals the one of net.connect for %s', async (_what, options, errno, syscall, target) => {
    const [theirs] = (await once(connect(options), 'error').catch((error: Error) => [error])) as [Error]
    // `once` rejects with the error itself.
    expect(parts(systemError(errno, syscall, target))).toEqual(parts(theirs))
  })

  it('names an errno that libuv does not know as libuv does', () => {
    expect((systemError(4095, 'connect') as SystemError).code).toMatch(/4095|UNKNOWN|EOF/)
  })
})
