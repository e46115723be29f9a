/**
 * Promises that are easy to break without a difference in any transcript. Each is a function that fails, by an assertion,
 * on a dispatcher that does not keep it: promises.test.ts holds dispatchers to them, mutations.test.ts holds them to
 * dispatchers that are broken in a known way.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { expect } from 'vitest'
import type { MakeDispatcher } from '../support/dispatchers.js'
import type { Style } from '../support/handlers.js'
import { answering, ok, type RawPeer, rawServer } from '../support/raw-server.js'
import { HEAD } from './answers.js'
import type { AnyHandler, Controller } from './recorder.js'
import { turns } from './twin.js'

export type PromiseCheck = (make: MakeDispatcher, style: Style) => Promise<void>

const CHUNK = Buffer.alloc(65_536, 'x')
/** More than the kernel's buffers of both ends hold. */
const CHUNKS = 512

/** What a check listens to, whichever the kind of its handler. */
interface Listener {
  /** @returns false to pause */
  head?(status: number, raw: unknown, controller: Controller | null): boolean | undefined
  data?(chunk: Buffer): void
  end?(): void
  error?(error: Error): void
  start?(): void
}

interface Listening {
  /** 'end', or the error. */
  over: Promise<Error | 'end'>
  /** How often the end or an error was told. */
  readonly ends: number
  resume(): void
}

function listen(agent: Dispatcher, style: Style, options: Record<string, unknown>, listener: Listener = {}): Listening {
  let ends = 0
  let resume = (): void => {}
  const { promise: over, resolve } = withResolvers<Error | 'end'>()
  const end = (): void => {
    ends++
    listener.end?.()
    resolve('end')
  }
  const fail = (error: Error): void => {
    ends++
    listener.error?.(error)
    resolve(error)
  }
  const modern: AnyHandler = {
    onRequestStart: (controller: Controller) => {
      resume = () => controller.resume()
      listener.start?.()
    },
    onResponseStart(controller: Controller, status: number) {
      if (listener.head?.(status, controller.rawHeaders, controller) === false) controller.pause()
    },
    onResponseData: (_controller: Controller, chunk: Buffer) => listener.data?.(chunk),
    onResponseEnd: end,
    onResponseError: (_controller: Controller, error: Error) => fail(error),
  }
  const legacy: AnyHandler = {
    onConnect: () => listener.start?.(),
    onHeaders(status: number, raw: unknown, go: () => void) {
      resume = go
      return listener.head?.(status, raw, null) ?? true
    },
    onData(chunk: Buffer) {
      listener.data?.(chunk)
      return true
    },
    onComplete: end,
    onError: fail,
  }
  const handler = (style === 'new' ? modern : legacy) as Dispatcher.DispatchHandler
  agent.dispatch({ path: '/', method: 'GET', ...options } as Dispatcher.DispatchOptions, handler)
  return {
    over,
    get ends() {
      return ends
    },
    resume: () => resume(),
  }
}

function withResolvers<T>(): { promise: Promise<T>; resolve(value: T): void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** Resolves when a count has stood still for a while: nothing but time tells that nothing happens. */
async function standstill(count: () => number): Promise<void> {
  for (let still = 0, last = count(); still < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 25))
    still = count() === last ? still + 1 : 0
    last = count()
  }
}

/** A paused response is not read: the server's writes block. */
const pauseStopsReading: PromiseCheck = async (make, style) => {
  let written = 0
  const { origin } = await rawServer(async ({ socket }) => {
    await once(socket, 'data')
    socket.write(`${HEAD}content-length: ${CHUNKS * CHUNK.length}\r\n\r\n`)
    for (; written < CHUNKS; written++) if (!socket.write(CHUNK)) await once(socket, 'drain')
  })
  let received = 0
  const paused = withResolvers<void>()
  const listening = listen(
    make(),
    style,
    { origin },
    {
      head() {
        paused.resolve()
        return false
      },
      data(chunk) {
        received += chunk.length
      },
    },
  )
  await paused.promise
  await standstill(() => written + received)
  expect(received, 'nothing is delivered').toBe(0)
  expect(written, 'the server is blocked').toBeLessThan(CHUNKS)
  listening.resume()
  expect(await listening.over).toBe('end')
  expect(received).toBe(CHUNKS * CHUNK.length)
}

/** A body is not pulled faster than the peer takes it. */
const stalledPeerStopsBody =
  (kind: 'stream' | 'iterable'): PromiseCheck =>
  async (make, style) => {
    let produced = 0
    async function* chunks(): AsyncGenerator<Buffer> {
      for (; produced < CHUNKS; produced++) yield CHUNK
    }
    const server = await rawServer(() => {}, { pauseOnConnect: true })
    const body = kind === 'stream' ? Readable.from(chunks(), { objectMode: false }) : chunks()
    const { over } = listen(make(), style, { origin: server.origin, method: 'PUT', body })
    const { socket } = await server.peer(0)
    socket.pause()
    await standstill(() => produced)
    expect(produced, 'the source waits').toBeLessThan(CHUNKS)
    let received = 0
    socket.removeAllListeners('data')
    socket.on('data', (chunk) => {
      received += chunk.length
      if (chunk.subarray(-5).toString() === '0\r\n\r\n') socket.write(ok())
    })
    socket.resume()
    expect(await over).toBe('end')
    expect(received).toBeGreaterThan(CHUNKS * CHUNK.length)
  }

/** After dispatch() has returned false, 'drain' comes once, when nothing is queued any more. */
const drainsOnce: PromiseCheck = async (make, style) => {
  const { promise: released, resolve: release } = withResolvers<void>()
  const { origin } = await rawServer(async (peer: RawPeer) => {
    while ((await peer.request()) !== null) {
      await released
      peer.write(ok())
    }
  })
  const agent = make({ connections: 2 })
  let started = 0
  const startedAtDrain: number[] = []
  const drained = withResolvers<void>()
  agent.on('drain', () => {
    startedAtDrain.push(started)
    drained.resolve()
  })
  const start = (): void => {
    started++
  }
  const all = Array.from({ length: 6 }, () => listen(agent, style, { origin }, { start }))
  await turns(5)
  expect(startedAtDrain, 'busy').toEqual([])
  release()
  for (const { over } of all) expect(await over).toBe('end')
  await Promise.race([drained.promise, turns(50)])
  await turns(10)
  expect(startedAtDrain, 'once').toHaveLength(1)
  // The last one may be with a connection that rests for a turn while the other one has room already.
  expect(startedAtDrain[0], 'when none waits for a connection').toBeGreaterThanOrEqual(5)
}

/** Bytes that say where they belong. */
const pattern = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) % 251))
const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex')

/** A chunk's memory is the handler's: it is not written again, and nothing else is read from it. */
const chunksAreTheHandlers: PromiseCheck = async (make, style) => {
  const bytes = pattern(300_000)
  const head = Buffer.from(`${HEAD}content-length: ${bytes.length}\r\n\r\n`)
  const { origin } = await rawServer(async (peer) => {
    while ((await peer.request()) !== null) {
      // In two pieces, so that a chunk ends within what the next read fills.
      peer.socket.write(Buffer.concat([head, bytes.subarray(0, 1000)]))
      await turns(2)
      peer.socket.write(bytes.subarray(1000))
    }
  })
  const agent = make({ connections: 2 })
  const kept: [chunk: Buffer, digest: string][] = []
  for (let round = 0; round < 3; round++) {
    const whole: Buffer[][] = [[], []]
    const two = whole.map((copies, i) =>
      listen(
        agent,
        style,
        { origin },
        {
          data(chunk) {
            copies.push(Buffer.from(chunk))
            // The second one's are the handler's to write to.
            if (i === 1) chunk.fill(0xee)
            kept.push([chunk, digest(chunk)])
          },
        },
      ),
    )
    for (const { over } of two) expect(await over).toBe('end')
    for (const copies of whole) expect(digest(Buffer.concat(copies)), 'what was delivered').toBe(digest(bytes))
  }
  for (const [chunk, before] of kept) expect(digest(chunk), 'what was kept').toBe(before)
}

const FIELDS = 'X-First: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\nx-FIRST: 2\r\nX-Latin: \u00e9\r\ncontent-length: 0\r\n'
const FLAT = [
  'X-First',
  '1',
  'set-cookie',
  'a',
  'Set-Cookie',
  'b',
  'x-FIRST',
  '2',
  'X-Latin',
  '\u00e9',
  'content-length',
  '0',
]

function expectFlat(raw: unknown): void {
  expect(Array.isArray(raw), 'an array').toBe(true)
  for (const part of raw as unknown[]) expect(Buffer.isBuffer(part), 'of Buffers').toBe(true)
  expect((raw as Buffer[]).map((part) => part.toString('latin1'))).toEqual(FLAT)
}

/** Raw fields are single Buffers, name and value by turns, in their own case and order: in onHeaders and on the controller. */
const rawFieldsAreBuffers: PromiseCheck = async (make, style) => {
  const { origin } = await rawServer(answering(`${HEAD}${FIELDS}\r\n`))
  let given: unknown
  const { over } = listen(
    make(),
    style,
    { origin },
    {
      head(_status, raw) {
        given = raw
        return true
      },
    },
  )
  expect(await over).toBe('end')
  expectFlat(given)
}

const cut: [what: string, bytes: string, ending: 'fin' | 'reset'][] = [
  ['a sized body', `${HEAD}content-length: 9\r\n\r\nabc`, 'fin'],
  ['a sized body, announced', `${HEAD}connection: close\r\ncontent-length: 9\r\n\r\nabc`, 'fin'],
  ['a sized body by a reset', `${HEAD}content-length: 9\r\n\r\nabc`, 'reset'],
  ['a chunk', `${HEAD}transfer-encoding: chunked\r\n\r\n9\r\nabc`, 'fin'],
  ['a chunked body', `${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`, 'fin'],
  ['a chunked body, announced', `${HEAD}connection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n`, 'fin'],
  ['the last chunk', `${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n`, 'fin'],
  ['the trailer section', `${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\na: b\r\n`, 'fin'],
]

/** A response that is cut off ends in an error, and in nothing else (RFC 9112 8). */
const truncationIsAnError: PromiseCheck = async (make, style) => {
  for (const [what, bytes, ending] of cut) {
    const { promise: delivered, resolve: deliver } = withResolvers<void>()
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.write(bytes)
      // A reset could overtake what was not read.
      await delivered
      if (ending === 'fin') peer.socket.end()
      else peer.socket.resetAndDestroy()
    })
    const listening = listen(make(), style, { origin }, { data: () => deliver() })
    expect(await listening.over, what).toBeInstanceOf(Error)
    await turns(3)
    expect(listening.ends, what).toBe(1)
  }
}

/** A body that its FIN delimits, or that is whole, is not an error in spite of what follows. */
const wholeIsNoError: PromiseCheck = async (make, style) => {
  for (const bytes of [`${HEAD}\r\nabc`, ok('abc'), `${HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`]) {
    let text = ''
    const { origin } = await rawServer(async (peer) => {
      await peer.request()
      peer.socket.end(bytes)
    })
    const listening = listen(
      make(),
      style,
      { origin },
      {
        data(chunk) {
          text += chunk.toString()
        },
      },
    )
    expect(await listening.over).toBe('end')
    expect(text).toBe('abc')
    await turns(3)
    expect(listening.ends).toBe(1)
  }
}

export const PROMISES = {
  'a paused response is not read': pauseStopsReading,
  'a stalled peer stops a stream body': stalledPeerStopsBody('stream'),
  'a stalled peer stops an iterable body': stalledPeerStopsBody('iterable'),
  'drain comes once, when the queue is empty': drainsOnce,
  "a chunk's memory is the handler's": chunksAreTheHandlers,
  'raw fields are single Buffers in their own case and order': rawFieldsAreBuffers,
  'a response that is cut off is an error, never an end': truncationIsAnError,
  'a response that is whole ends once': wholeIsNoError,
} satisfies Record<string, PromiseCheck>
