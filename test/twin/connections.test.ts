/** Which connection takes a request, when one is kept, and what becomes of requests whose connection is lost. */
import { describe } from 'vitest'
import { CLOSING_DELAY_MS } from '../../src/pool/habits.js'
import { answering, ok, type RawPeer } from '../support/raw-server.js'
import { HEAD } from './answers.js'
import { type AnyOptions, type Play, type Settings, turns, twin } from './twin.js'

/** Requests one after the other, each some turns after the last one's end. */
const sequence =
  (response: string, requests: AnyOptions[], agent: AnyOptions = { connections: 1 }): Play =>
  async (stage) => {
    const { origin } = await stage.server(answering(response))
    const dispatcher = stage.agent(agent)
    for (const request of requests) {
      await stage.send(dispatcher, { origin, ...request }).done
      await turns(6)
    }
  }
const times = (count: number, request: AnyOptions = {}): AnyOptions[] =>
  Array.from({ length: count }, (_, i) => ({ path: `/${i}`, ...request }))

describe('a connection is kept behind', () => {
  const close = ok('ok', 'connection: close\r\n')
  const plays: [string, Play][] = [
    ['a GET', sequence(ok(), times(2))],
    ['a POST', sequence(ok(), times(2, { method: 'POST', body: 'x' }))],
    [
      'a PUT of an iterable',
      async (stage) => sequence(ok(), [{ method: 'PUT', body: ['x'] }, { path: '/next' }])(stage),
    ],
    ['a response that closes', sequence(close, times(2))],
    ['a response with Connection: Close', sequence(ok('ok', 'Connection: Close\r\n'), times(2))],
    ['a response with close among others', sequence(ok('ok', 'connection: x, close\r\n'), times(2))],
    ['a response with keep-alive', sequence(ok('ok', 'connection: keep-alive\r\n'), times(2))],
    [
      'a response with two connection fields',
      sequence(ok('ok', 'connection: keep-alive\r\nconnection: close\r\n'), times(2)),
    ],
    ['HTTP/1.0', sequence('HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', times(2))],
    [
      'HTTP/1.0 with keep-alive',
      sequence('HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n', times(2)),
    ],
    ['reset', sequence(ok(), times(2, { reset: true }))],
    ['a field connection: close', sequence(ok(), times(2, { headers: { connection: 'close' } }))],
    ['HEAD', sequence(`${HEAD}content-length: 5\r\n\r\n`, times(2, { method: 'HEAD' }))],
    ['HEAD with reset false', sequence(`${HEAD}content-length: 5\r\n\r\n`, times(2, { method: 'HEAD', reset: false }))],
    ['HEAD with reset false and no length', sequence(`${HEAD}\r\n`, times(2, { method: 'HEAD', reset: false }))],
    [
      '304 with a length to HEAD with reset false',
      sequence('HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n', times(2, { method: 'HEAD', reset: false })),
    ],
    ['a GET with a body', sequence(ok(), times(2, { body: 'x' }))],
    ['a GET with a body and reset false', sequence(ok(), times(2, { body: 'x', reset: false }))],
    ['a DELETE with a body', sequence(ok(), times(2, { method: 'DELETE', body: 'x' }))],
    ['pipelining 0', sequence(ok(), times(2), { pipelining: 0 })],
    ['pipelining 0 and one connection', sequence(ok(), times(2), { pipelining: 0, connections: 1 })],
    ['keep-alive: timeout=1', sequence(ok('ok', 'keep-alive: timeout=1\r\n'), times(2))],
    ['keep-alive: timeout=2', sequence(ok('ok', 'keep-alive: timeout=2\r\n'), times(2))],
    ['keep-alive: timeout=3', sequence(ok('ok', 'keep-alive: timeout=3\r\n'), times(2))],
    ['keep-alive: timeout=0', sequence(ok('ok', 'keep-alive: timeout=0\r\n'), times(2))],
    ['Keep-Alive: TIMEOUT=1', sequence(ok('ok', 'Keep-Alive: TIMEOUT=1\r\n'), times(2))],
    ['keep-alive: max=5', sequence(ok('ok', 'keep-alive: max=5\r\n'), times(2))],
    ['keep-alive: max=5, timeout=1', sequence(ok('ok', 'keep-alive: max=5, timeout=1\r\n'), times(2))],
    ['keep-alive: timeout=x', sequence(ok('ok', 'keep-alive: timeout=x\r\n'), times(2))],
    ['keep-alive without connection: keep-alive', sequence(ok('ok', 'keep-alive: timeout=60\r\n'), times(2))],
    [
      'a threshold',
      sequence(ok('ok', 'keep-alive: timeout=5\r\n'), times(2), { connections: 1, keepAliveTimeoutThreshold: 5000 }),
    ],
    ['maxRequestsPerClient 0', sequence(ok(), times(3), { connections: 1, maxRequestsPerClient: 0 })],
    ['maxRequestsPerClient 1', sequence(ok(), times(3), { connections: 1, maxRequestsPerClient: 1 })],
    ['maxRequestsPerClient 2', sequence(ok(), times(4), { connections: 1, maxRequestsPerClient: 2 })],
    [
      'a response without the end of a request body',
      async (stage) => {
        const { origin } = await stage.server(async (peer) => {
          await peer.received(/\r\n\r\n/)
          peer.write(ok())
        })
        const body = (async function* () {
          yield 'x'
          await stage.noted('end')
          yield 'y'
        })()
        const { done } = stage.send(stage.agent({ connections: 1 }), { origin, method: 'POST', body })
        await done
        await turns(5)
      },
    ],
  ]
  for (const [what, play] of plays) {
    const settings: Settings = what.includes('request body') ? { wire: false, styles: ['new'] } : { free: true }
    twin(what, play, settings)
  }
})

/** A FIN that comes later than that is not the end of a response that did not announce it. */
const pastFinDelay = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2 * CLOSING_DELAY_MS))

describe('an idle connection', () => {
  const disturbances: [string, (peer: RawPeer) => void][] = [
    ['a FIN', (peer) => void peer.socket.end()],
    ['a reset', (peer) => void peer.socket.resetAndDestroy()],
    ['garbage', (peer) => peer.write('garbage')],
    ['a response', (peer) => peer.write(ok('poison'))],
    ['an empty line', (peer) => peer.write('\r\n')],
  ]
  for (const [what, disturb] of disturbances) {
    if (what !== 'an empty line') {
      twin(`that gets ${what} is left, and another one opened`, async (stage) => {
        const { origin, peers } = await stage.server(answering(ok()))
        const agent = stage.agent({ connections: 1 })
        await stage.send(agent, { origin }).done
        await pastFinDelay()
        disturb(peers[0]!)
        await stage.noted('disconnect')
        await stage.send(agent, { origin, path: '/next' }).done
      })
    }
    twin(
      `that has got ${what} which nobody has read yet`,
      async (stage) => {
        const { origin, peers } = await stage.server(answering(ok()))
        const agent = stage.agent({ connections: 1 })
        await stage.send(agent, { origin }).done
        await pastFinDelay()
        // On loopback it has arrived when the call returns.
        disturb(peers[0]!)
        await stage.send(agent, { origin, path: '/next' }).done
      },
      { free: true },
    )
  }
  twin('is closed after keepAliveTimeout', async (stage) => {
    const { origin } = await stage.server(answering(ok()))
    await stage.send(stage.agent({ keepAliveTimeout: 50 }), { origin }).done
    await stage.noted('disconnect')
  })
  twin('is closed after the time of keep-alive: timeout less the threshold', async (stage) => {
    const { origin } = await stage.server(answering(ok('ok', 'keep-alive: timeout=1\r\n')))
    await stage.send(stage.agent({ keepAliveTimeoutThreshold: 950 }), { origin }).done
    await stage.noted('disconnect')
  })
  twin('is closed after keepAliveMaxTimeout', async (stage) => {
    const { origin } = await stage.server(answering(ok('ok', 'keep-alive: timeout=60\r\n')))
    await stage.send(stage.agent({ keepAliveMaxTimeout: 50 }), { origin }).done
    await stage.noted('disconnect')
  })
  twin(
    'that is older than clientTtl takes no request',
    async (stage) => {
      const { origin } = await stage.server(answering(ok()))
      const agent = stage.agent({ clientTtl: 20 })
      await stage.send(agent, { origin }).done
      await new Promise((resolve) => setTimeout(resolve, 40))
      await stage.send(agent, { origin, path: '/next' }).done
      await turns(5)
    },
    { free: true },
  )
})

describe('requests at once', () => {
  const together =
    (count: number, agent: AnyOptions, request: AnyOptions = {}): Play =>
    async (stage) => {
      const { origin } = await stage.server(answering(ok()))
      const dispatcher = stage.agent(agent)
      const exchanges = times(count, request).map((options) => stage.send(dispatcher, { origin, ...options }))
      for (const { done } of exchanges) await done
    }
  twin('are served in order by one connection', together(5, { connections: 1 }))
  twin('are served in order by one connection each, pipelining 0', together(3, { connections: 1, pipelining: 0 }))
  twin('have a connection each without limit', together(4, {}), { free: true })
  twin(
    'are served in order with pipelining and POST',
    together(4, { connections: 1, pipelining: 3 }, { method: 'POST', body: 'x' }),
  )
  twin(
    'are sent behind each other if they do not block',
    together(4, { connections: 1, pipelining: 4 }, { blocking: false }),
  )
  twin(
    'are not sent behind each other if they are not idempotent',
    together(3, { connections: 1, pipelining: 3 }, { blocking: false, idempotent: false }),
  )
  twin(
    'of an unsafe method that is said to be idempotent',
    together(3, { connections: 1, pipelining: 3 }, { blocking: false, method: 'PUT', idempotent: true }),
  )
  twin(
    'with a field connection: close in a pipeline',
    async (stage) => {
      const { origin } = await stage.server(answering(ok()))
      const agent = stage.agent({ connections: 1, pipelining: 3 })
      const exchanges = times(4, { blocking: false }).map((options, i) =>
        stage.send(agent, { origin, ...options, reset: i === 1 }),
      )
      for (const { done } of exchanges) await done
    },
    { free: true },
  )
  twin('of which one waits for a connection to be made, while another one becomes free', async (stage) => {
    let first: RawPeer | undefined
    const { port } = await stage.server(async (peer) => {
      first ??= peer
      for (let request = await peer.request(); request !== null; request = await peer.request()) {
        if (!request.head.startsWith('GET /held ')) peer.write(ok())
      }
    })
    let connect = (): void => {}
    let asked = 0
    const lookup = (_host: string, _options: object, done: (error: null, addresses: object[]) => void): void => {
      const answer = (): void => done(null, [{ address: '127.0.0.1', family: 4 }])
      if (asked++ === 0) answer()
      else connect = answer
    }
    const agent = stage.agent({ connect: { lookup } })
    const named = `http://name.test:${port}`
    // It persists.
    for (const path of ['/1', '/2']) {
      await stage.send(agent, { origin: named, path }).done
      await turns(6)
    }
    const held = stage.send(agent, { origin: named, path: '/held' })
    const waiting = stage.send(agent, { origin: named, path: '/waiting' })
    while (first!.requests.length < 3 || asked < 2) await turns(1)
    first!.write(ok())
    await held.done
    await turns(20)
    connect()
    await waiting.done
    await turns(20)
  })
})

describe('a pipeline that is lost', () => {
  /** All requests have arrived when the server does it. */
  const losing =
    (lose: (peer: RawPeer) => void, before = 0): Play =>
    async (stage) => {
      const { origin } = await stage.server(async (peer) => {
        if (peer.index > 0) return answering(ok())(peer)
        await peer.received(/GET \/2 .*\r\n\r\n$/s)
        for (let i = 0; i < before; i++) peer.write(ok())
        lose(peer)
      })
      const agent = stage.agent({ connections: 1, pipelining: 3, retryStale: false })
      const exchanges = times(4, { blocking: false }).map((options) => stage.send(agent, { origin, ...options }))
      for (const { done } of exchanges) await done
      await turns(5)
    }
  const free: Settings = { free: true }
  twin(
    'by a FIN fails its first request, the others are sent again',
    losing((peer) => void peer.socket.end()),
    free,
  )
  twin(
    'by a FIN behind a response',
    losing((peer) => void peer.socket.end(), 1),
    free,
  )
  twin(
    'by garbage',
    losing((peer) => peer.write('garbage\r\n\r\n')),
    free,
  )
  twin(
    'by garbage behind a response',
    losing((peer) => peer.write('garbage\r\n\r\n'), 1),
    free,
  )
  twin(
    'by a reset',
    losing((peer) => void peer.socket.resetAndDestroy()),
    free,
  )
  twin(
    'by a closing response',
    losing((peer) => peer.write(ok('bye', 'connection: close\r\n'))),
    free,
  )
  twin(
    'by a response to HEAD of which only its Connection field says that it ends, where no further request follows',
    async (stage) => {
      const { origin } = await stage.server(async (peer) => {
        if (peer.index > 0) return answering(ok())(peer)
        await peer.received(/HEAD \/2 .*\r\n\r\n$/s)
        const keepAlive = `${HEAD}connection: keep-alive\r\n`
        peer.write(`${keepAlive}keep-alive: timeout=1\r\n\r\n${keepAlive}\r\n${keepAlive}\r\n`)
      })
      const agent = stage.agent({ connections: 1, pipelining: 3 })
      const requests = times(3, { method: 'HEAD', reset: false, blocking: false })
      const exchanges = requests.map((options) => stage.send(agent, { origin, ...options }))
      for (const { done } of exchanges) await done
      await turns(5)
    },
    free,
  )
  twin(
    'by a FIN within a body',
    losing((peer) => void peer.socket.end(`${HEAD}content-length: 9\r\n\r\nabc`)),
    free,
  )
  twin(
    'by an abort of its first request',
    async (stage) => {
      const { origin, peer } = await stage.server(async (served) => {
        if (served.index > 0) return answering(ok())(served)
      })
      const agent = stage.agent({ connections: 1, pipelining: 3 })
      const exchanges = times(3, { blocking: false }).map((options) => stage.send(agent, { origin, ...options }))
      await (await peer(0)).received(/GET \/2 .*\r\n\r\n$/s)
      exchanges[0]!.flow.abort(new Error('enough'))
      for (const { done } of exchanges) await done
    },
    { free: true, wire: false },
  )
  twin(
    'by an abort of its second request',
    async (stage) => {
      const { origin, peer } = await stage.server(async (served) => {
        if (served.index > 0) return answering(ok())(served)
      })
      const agent = stage.agent({ connections: 1, pipelining: 3 })
      const exchanges = times(3, { blocking: false }).map((options) => stage.send(agent, { origin, ...options }))
      const first = await peer(0)
      await first.received(/GET \/2 .*\r\n\r\n$/s)
      exchanges[1]!.flow.abort(new Error('enough'))
      await turns(3)
      first.write(ok())
      for (const { done } of exchanges) await done
    },
    { free: true, wire: false },
  )
  twin('is not a request that was sent on a kept connection: it fails with retryStale: false', async (stage) => {
    const { origin } = await stage.server(async (peer) => {
      await peer.request()
      peer.write(ok())
      await peer.request()
      peer.socket.end()
    })
    const agent = stage.agent({ connections: 1, retryStale: false })
    await stage.send(agent, { origin }).done
    await turns(5)
    await stage.send(agent, { origin, path: '/next' }).done
    await stage.noted('disconnect')
  })
})
