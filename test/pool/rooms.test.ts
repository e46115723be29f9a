/** What the rooms of a pool do in moments that the network seldom brings about: each by itself, with nothing around it. */
import { AsyncResource } from 'node:async_hooks'
import { Readable } from 'node:stream'
import { describe, expect, it, vi } from 'vitest'
import { Ahead, type AheadConnection, type AheadOwner } from '../../src/pool/ahead.js'
import { BytesPump, StreamPump } from '../../src/pool/body-pump.js'
import { BodyWriter } from '../../src/pool/body-writer.js'
import { Connection } from '../../src/pool/connection.js'
import type { ConnectionOptions, ConnectionOwner } from '../../src/pool/connection-owner.js'
import { Occupancy } from '../../src/pool/occupancy.js'
import { Pipeline, type PipelineOwner } from '../../src/pool/pipeline.js'
import { Preconnect } from '../../src/pool/preconnect.js'
import { RequestQueue } from '../../src/pool/request-queue.js'
import { Upload, type WriterOwner } from '../../src/pool/request-writer.js'
import { realClock } from '../../src/reactor/clock.js'
import { Deadlines } from '../../src/reactor/deadlines.js'
import { threadReactor } from '../../src/reactor/reactor.js'
import type { Scheduler } from '../../src/reactor/scheduler.js'
import type { Request } from '../../src/request/request.js'
import type { Connector, Transport } from '../../src/transport/transport.js'

const scheduler = threadReactor()
const waits = new Deadlines(scheduler, () => realClock)
const origin = new URL('https://a.test')

const connectionLike = (state: Partial<Omit<AheadConnection, 'retire'>>) => ({
  isAhead: true,
  isOpen: false,
  isConnecting: false,
  ...state,
  retire: vi.fn(),
})

describe('connections made ahead', () => {
  const begin = (...connections: ReturnType<typeof connectionLike>[]) => {
    const owner = {
      origin,
      room: 0,
      hasWaiting: false,
      isClosing: false,
      connections: () => connections,
      begin: vi.fn(),
      giveUp: vi.fn(),
      serveQueue: vi.fn(),
    }
    const stats = { made: 0, used: 0, closedUnused: 0, failed: 0, backingOff: 0 }
    const options = { spareConnections: 1, keepAliveTimeout: 4000 }
    const ahead = new Ahead(owner as AheadOwner<AheadConnection>, options, { scheduler, waits }, stats)
    ahead.onEndOfOrigin()
    return { owner, ahead }
  }

  it('are given up for a request only while they are being made', () => {
    const ordinary = connectionLike({ isAhead: false, isConnecting: true })
    const open = connectionLike({ isOpen: true })
    const making = connectionLike({ isConnecting: true })
    const { owner, ahead } = begin(ordinary, open, making)
    expect(ahead.giveUpSpare()).toBe(true)
    expect(owner.giveUp.mock.calls).toEqual([[making]])
    ahead.stop(new Error('over'))
  })

  it('end when no request comes, and no others with them', () => {
    const ordinary = connectionLike({ isAhead: false, isOpen: true })
    const open = connectionLike({ isOpen: true })
    const making = connectionLike({ isConnecting: true })
    const closed = connectionLike({})
    const { owner, ahead } = begin(ordinary, open, making, closed)
    ahead.endSpares()
    expect(ordinary.retire).not.toHaveBeenCalled()
    expect(open.retire.mock.calls).toEqual([['socket idle timeout']])
    expect(owner.giveUp.mock.calls).toEqual([[making]])
    expect(closed.retire).not.toHaveBeenCalled()
    expect(owner.serveQueue).toHaveBeenCalledOnce()
    ahead.stop(new Error('over'))
  })
})

it('a call that asks for connections is told of the first error alone', () => {
  const listener = { onReady: vi.fn(), onFailed: vi.fn() }
  const call = new Preconnect(origin, null, 2, listener)
  call.failed(new Error('first'))
  call.failed(new Error('second'))
  call.opened()
  call.opened()
  expect(listener.onFailed.mock.calls).toEqual([[new Error('first')]])
  expect(listener.onReady).not.toHaveBeenCalled()
})

it('a queue keeps its requests when one is removed that is not in it', () => {
  const queue = new RequestQueue()
  const request = {} as Request
  queue.push(request)
  queue.remove({} as Request)
  expect([queue.length, queue.first]).toEqual([1, request])
})

it('a request keeps the process alive once, however often it is said', () => {
  const holds = { hold: vi.fn(), letGo: vi.fn() }
  const onEmpty = vi.fn()
  const occupancy = new Occupancy(holds as unknown as Scheduler, onEmpty)
  const request = { isHolding: false } as Request
  occupancy.enter()
  occupancy.hold(request)
  occupancy.hold(request)
  occupancy.letGo(request)
  occupancy.requestOver(request)
  expect([holds.hold.mock.calls.length, holds.letGo.mock.calls.length, onEmpty.mock.calls.length]).toEqual([1, 1, 1])
  expect(occupancy.size).toBe(0)
})

it('a pipeline that is cut twice is cut', () => {
  const pipeline = new Pipeline({} as PipelineOwner, { host: 'a', strictContentLength: true }, {} as never, waits)
  pipeline.cut()
  pipeline.cut()
  expect([pipeline.isCut, pipeline.canTake]).toEqual([true, false])
})

describe('a body', () => {
  const begin = () => {
    const wire = { sendLatin1: vi.fn(), sendBytes: vi.fn(), isBlocked: false }
    const owner = { isOpen: true, onBodyBegins() {}, onUploaded: vi.fn(), onUploadFailed: vi.fn() }
    const request = { method: 'POST', run: (work: () => void) => work(), fail: vi.fn(), onRequestSent: vi.fn() }
    const framing = { kind: 'sized', length: 0 } as const
    const writer = new BodyWriter(owner, wire as never, request as never, 'HEAD\r\n', framing, true)
    return { wire, owner, request, writer }
  }

  it('of no bytes that was announced as such is over with its head', () => {
    const { wire, writer } = begin()
    writer.sendHead()
    writer.end()
    expect(wire.sendLatin1.mock.calls).toEqual([['HEAD\r\ncontent-length: 0\r\n\r\n', false]])
  })

  it('that waits for a 100 (Continue) is not asked for more when its head has left', () => {
    const { owner, request, writer } = begin()
    const source = new Readable({ read() {} })
    const resume = vi.spyOn(source, 'resume')
    const upload = new Upload(owner as WriterOwner, request as never, writer, source, null, true)
    upload.onDrain()
    expect(resume).not.toHaveBeenCalled()
    upload.start()
    upload.onDrain()
    expect(resume).toHaveBeenCalled()
    upload.cancel()
  })

  it.each(['write', 'end'] as const)('of bytes is over when its request ends within %s', (step) => {
    const told: string[] = []
    const tell = (name: string) => () => {
      told.push(name)
      if (name === step) pump.cancel()
    }
    const writer = { write: tell('write'), end: tell('end') }
    const owner = { bodySent: tell('bodySent'), bodyFailed: tell('bodyFailed') }
    const pump = new BytesPump(Buffer.from('a'), writer as unknown as BodyWriter, owner)
    pump.start()
    expect(told.at(-1)).toBe(step)
  })

  it('fails with what its stream throws when it is to go on', async () => {
    const { writer } = begin()
    const source = new Readable({ read() {} })
    const bodyFailed = vi.fn()
    const pump = new StreamPump(source, writer, { bodySent() {}, bodyFailed })
    pump.start()
    const error = new Error('not now')
    source.resume = () => {
      throw error
    }
    pump.onDrain()
    expect(bodyFailed.mock.calls).toEqual([[error]])
  })
})

describe('a connection', () => {
  const begin = () => {
    const connecting = { cancel: vi.fn(), expire: vi.fn() }
    const connector = { connect: () => connecting, connectTimeout: 0 }
    const transport = { scheduler, waits, deadlines: waits }
    const context = new AsyncResource('test')
    const occasion = { origin: origin.origin, protocol: 'https:', servername: null, context }
    const connection = new Connection(
      {} as ConnectionOwner<Connection>,
      1,
      transport as unknown as Transport,
      connector as unknown as Connector,
      { host: 'a.test' } as unknown as ConnectionOptions,
      occasion,
    )
    connection.open(0)
    return { connection, connecting }
  }

  it('that is being made, but not for a tunnel, is not for a request that wants one', () => {
    const { connection } = begin()
    const request = { protocol: 'https:', servername: null }
    expect(connection.isFor({ ...request, wantsTunnel: false } as Request)).toBe(true)
    expect(connection.isFor({ ...request, wantsTunnel: true } as Request)).toBe(false)
    connection.destroy(new Error('over'))
  })

  it('that is being made has nothing to read', () => {
    const { connection, connecting } = begin()
    connection.onReadable()
    connection.resumeResponse({} as Request)
    expect(connection.isConnecting).toBe(true)
    connection.reassign(null)
    expect(connecting.cancel).toHaveBeenCalledOnce()
  })

  it('that was destroyed cannot be given up once more', () => {
    const { connection, connecting } = begin()
    const error = new Error('over')
    connection.destroy(error)
    connection.reassign(null)
    expect(connecting.cancel.mock.calls).toEqual([[error]])
  })
})
