/** Which transport is chosen, and what is in the way: within this process, which has recycled nothing before. */
import { afterEach, expect, it, vi } from 'vitest'
import type { RecycleMode } from '../../src/socket-pool/socket-pool.js'
import { AF_UNSPEC } from '../../src/sys/constants.js'
import { type Memory, native } from '../../src/sys/native.js'

import { createTransport, type TransportName, type TransportOptions } from '../../src/transport/choose.js'
import { NativeTransport } from '../../src/transport/native-transport.js'
import { NetTransport } from '../../src/transport/net-transport.js'
import { describeNative } from '../support/transport.js'

afterEach(() => {
  vi.restoreAllMocks()
})

const EAFNOSUPPORT = 97

function optionsOf(transport?: TransportName, recycle?: RecycleMode): TransportOptions {
  return {
    transport,
    tlsTransport: undefined,
    connect: null,
    connectOptions: {},
    dnsTtl: 0,
    ...(recycle !== undefined && { recycle }),
  }
}

/** The warnings that are emitted within `work`. */
function warningsOf(work: () => void): unknown[] {
  const emit = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  work()
  const warnings = emit.mock.calls.map(([warning]) => warning)
  emit.mockRestore()
  return warnings
}

/** Makes connect(2) with AF_UNSPEC fail. */
function refuseToDissolve(): void {
  const table = native()
  const { connect, errno } = table
  let isRefused = false
  vi.spyOn(table, 'connect').mockImplementation((fd: number, address: Memory, length: number) => {
    isRefused = (address as Buffer).readUInt16LE() === AF_UNSPEC
    return isRefused ? -1 : connect(fd, address, length)
  })
  vi.spyOn(table, 'errno').mockImplementation(() => (isRefused ? EAFNOSUPPORT : errno()))
}

const notRecycled = (reason: string): string => `Sockets are not recycled, since this is not possible here (${reason}).`

// The order matters: what stands in the way for good is remembered.
describeNative('createTransport', () => {
  it("refuses 'native' where the kernel refuses to dissolve sockets, unless nothing is to be recycled", () => {
    refuseToDissolve()
    expect(() => createTransport(optionsOf('native'))).toThrow('connect EAFNOSUPPORT')
    expect(createTransport(optionsOf('native', 'off'))).toBeInstanceOf(NativeTransport)
  })

  it('finds out nothing about the kernel where there is no descriptor to try it on', () => {
    const table = native()
    vi.spyOn(table, 'socket').mockReturnValue(-1)
    vi.spyOn(table, 'connect')
    expect(createTransport(optionsOf('native'))).toBeInstanceOf(NativeTransport)
    expect(table.connect).not.toHaveBeenCalled()
    vi.restoreAllMocks()
    refuseToDissolve()
    expect(() => createTransport(optionsOf('native'))).toThrow('connect EAFNOSUPPORT')
  })

  it("asks no further once 'net' is asked for", () => {
    expect(warningsOf(() => expect(createTransport(optionsOf('net'))).toBeInstanceOf(NetTransport))).toEqual([])
  })

  it('makes do with ordinary sockets on another platform, says so once, and remembers it', () => {
    const platform = vi.spyOn(process, 'platform', 'get').mockReturnValue('darwin')
    expect(() => createTransport(optionsOf('native'))).toThrow('darwin is not Linux')
    const make = (): void => {
      expect(createTransport(optionsOf())).toBeInstanceOf(NetTransport)
    }
    expect(warningsOf(make)).toEqual([notRecycled('darwin is not Linux')])
    platform.mockRestore()
    expect(warningsOf(make)).toEqual([])
  })
})
