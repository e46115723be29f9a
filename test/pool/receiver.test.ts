/** Bytes that come while nobody takes them: paused responses, more than a turn's share, and what follows a fault. */
import type { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { dispatchers, expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { duplexPeer } from '../support/duplex-peer.js'
import { recording } from '../support/handlers.js'
import { connectInMemory, type Ending } from '../support/memory-connection.js'
import { ok, rawServer } from '../support/raw-server.js'

expectNoDescriptorLeft()

const ended = ['end', []]
const toMemory = { origin: 'http://a.test', path: '/', method: 'GET' } as const

/** What is said is there before the response's head is read, and then the connection ends. */
const inMemory = (ending: Ending, ...pieces: string[]) => ({
  connect: connectInMemory({ pieces: pieces.map((piece) => Buffer.from(piece)), ending }) as never,
})

describe.each(dispatchers)('%s', (_name, make) => {
  it('fails a response for bytes that came while it was paused when it is resumed, behind what is sound', async () => {
    const server = await rawServer(async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nsound\r\nno chunk\r\n')
    })
    const { handler, done } = recording('new', {
      head(flow) {
        flow.pause()
        setImmediate(() => flow.resume())
      },
    })
    make().dispatch({ origin: server.origin, path: '/', method: 'GET' }, handler)
    const events = await done
    expect(events.at(-2)).toEqual(['data', 'sound'])
    expect(events.at(-1)?.slice(0, 2)).toEqual(['error', 'HTTPParserError'])
    await server.peers[0]!.ended()
  })

  it('ends a connection with the response that was the last one when it is resumed', async () => {
    const chunked = 'HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n'
    const { handler, done } = recording('new', {
      head(flow) {
        flow.pause()
        setImmediate(() => flow.resume())
      },
    })
    make(inMemory(null, chunked)).dispatch(toMemory, handler)
    expect((await done).slice(-2)).toEqual([['data', 'whole'], ended])
  })

  it('tells a reset in a body whose connection was to be closed behind it from one that was to stay', async () => {
    const ends = []
    for (const connection of ['close', 'keep-alive']) {
      const { handler, done } = recording('new')
      const head = `HTTP/1.1 200 OK\r\nconnection: ${connection}\r\ncontent-length: 10\r\n\r\n`
      make(inMemory('RST', head, 'half')).dispatch(toMemory, handler)
      ends.push((await done).at(-1)!.slice(0, 3))
    }
    expect(ends).toEqual([
      ['error', 'ResponseContentLengthMismatchError', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'],
      ['error', 'Error', 'ECONNRESET'],
    ])
  })

  it('reads more than its share of a turn in several turns', async () => {
    const body = 'x'.repeat(2 << 20)
    const { handler, done } = recording('new')
    make(inMemory(null, ok(body))).dispatch(toMemory, handler)
    const events = await done
    expect(events.at(-2)![1] === body).toBe(true)
    expect(events.at(-1)).toEqual(ended)
  })
})

it('reads nothing behind a fault, though there is more and its handler has not heard of it yet', async () => {
  const { stream } = duplexPeer('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nsound\r\nno chunk\r\n')
  const connect = (_options: object, done: (error: null, stream: Duplex) => void): void => done(null, stream)
  const { handler, done } = recording('new', {
    // As soon as what was read has been handled.
    data: () =>
      queueMicrotask(() => {
        stream.unshift(Buffer.from('never read'))
        stream.emit('readable')
      }),
  })
  recyclingAgent({ connect: connect as never }).dispatch(toMemory, handler)
  const events = await done
  expect(events.map(([name]) => name)).toEqual(['start', 'requestSent', 'started', 'head', 'data', 'error'])
  expect(events.at(-2)).toEqual(['data', 'sound'])
})
