/** How connections end in each mode: what the peer reads, and with whom TIME_WAIT is left. docs/security.md has the table. */
import { setTimeout as after } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { RecycleMode, RecyclingAgent, RecyclingAgentOptions } from '../../src/index.js'
import { recyclingAgent } from '../support/dispatchers.js'
import { quiet } from '../support/exchange.js'
import { ok, type RawPeer, type RawServer, rawServer } from '../support/raw-server.js'
import { socketsOn } from '../support/socket-table.js'
import { describeNative } from '../support/transport.js'

/** Sends a request, and does what ends its connection. */
type Play = (agent: RecyclingAgent, server: RawServer) => Promise<unknown>

interface Ending {
  options?: RecyclingAgentOptions
  serve?: (peer: RawPeer) => unknown
  play: Play
}

const MIB = 'x'.repeat(1 << 20)
const send = (agent: RecyclingAgent, { origin }: RawServer, signal?: AbortSignal) =>
  agent.request({ origin, path: '/', method: 'GET', ...(signal && { signal }) })
const exchange = async (agent: RecyclingAgent, server: RawServer): Promise<string> =>
  (await send(agent, server)).body.text()

const abortWhenReceived: Play = async (agent, server) => {
  const controller = new AbortController()
  const sent = send(agent, server, controller.signal)
  await (await server.peer(0)).received(/\r\n\r\n/)
  controller.abort()
  await sent.catch(() => {})
}

const destroyWhenReceived: Play = async (agent, server) => {
  const sent = send(agent, server)
  await (await server.peer(0)).received(/\r\n\r\n/)
  await agent.destroy()
  await sent.catch(() => {})
}

const endings: Record<string, Ending> = {
  'the peer shuts down its side first, and reads on': {
    serve: async (peer) => {
      await peer.request()
      peer.write(ok('ok', 'connection: close\r\n'))
      peer.socket.end()
    },
    play: exchange,
  },
  'the agent closes first: idle for too long': { options: { keepAliveTimeout: 20 }, play: exchange },
  'the agent closes first: close()': {
    play: async (agent, server) => {
      await exchange(agent, server)
      await agent.close()
    },
  },
  'the agent closes first: destroy(), while idle': {
    play: async (agent, server) => {
      await exchange(agent, server)
      await agent.destroy()
    },
  },
  'the agent closes first: destroy(), before the answer': { serve: () => {}, play: destroyWhenReceived },
  'the agent closes first: destroy(), in a response': {
    serve: async (peer) => {
      await peer.request()
      peer.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok')
    },
    play: async (agent, server) => {
      const { body } = await send(agent, server)
      await new Promise((resolve) => body.on('error', () => {}).once('data', resolve))
      await agent.destroy()
    },
  },
  'destroy(), with bytes unread': {
    serve: async (peer) => {
      await peer.request()
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${2 * MIB.length}\r\n\r\n${MIB}`)
    },
    play: async (agent, server) => {
      const { body } = await send(agent, server)
      body.on('error', () => {})
      await agent.destroy()
    },
  },
  'an abort, before the answer': { serve: () => {}, play: abortWhenReceived },
  'an abort, with bytes unread': {
    serve: async (peer) => {
      await peer.request()
      peer.write(`HTTP/1.1 200 OK\r\ncontent-length: ${2 * MIB.length}\r\n\r\n${MIB}`)
    },
    play: async (agent, server) => {
      const { body } = await send(agent, server)
      body.on('error', () => {}).destroy()
    },
  },
}

type Outcome = [reads: 'FIN' | 'ECONNRESET', timeWait: 'nobody' | 'the agent' | 'the peer']

const finOfOurs: Outcome = ['FIN', 'the agent']
const reset: Outcome = ['ECONNRESET', 'nobody']
const regular: Record<string, Outcome> = {
  'the agent closes first: idle for too long': finOfOurs,
  'the agent closes first: close()': finOfOurs,
  'the agent closes first: destroy(), while idle': finOfOurs,
  'the agent closes first: destroy(), before the answer': finOfOurs,
  'the agent closes first: destroy(), in a response': finOfOurs,
  // What close(2) does then is up to the kernel.
  'destroy(), with bytes unread': reset,
  'an abort, before the answer': reset,
  'an abort, with bytes unread': reset,
}
const expected: Record<RecycleMode, Record<string, Outcome>> = {
  dissolve: { ...regular, 'the peer shuts down its side first, and reads on': reset },
  graceful: { ...regular, 'the peer shuts down its side first, and reads on': ['FIN', 'the peer'] },
  off: {
    ...regular,
    'the peer shuts down its side first, and reads on': ['FIN', 'the peer'],
    // What close(2) does is up to the kernel.
    'an abort, before the answer': finOfOurs,
  },
}

const TIME_WAIT = '06'

/** With whom it is left when both ends have gone. */
async function timeWaitOf(clientPort: number, port: number): Promise<Outcome[1]> {
  for (;;) {
    const rows = socketsOn(port).filter(({ localPort, remotePort }) => [localPort, remotePort].includes(clientPort))
    if (rows.every(({ state }) => state === TIME_WAIT)) {
      const [left] = rows
      return left === undefined ? 'nobody' : left.localPort === port ? 'the peer' : 'the agent'
    }
    await after(5)
  }
}

async function observe(recycle: RecycleMode, { options, serve, play }: Ending): Promise<Outcome> {
  const server = await rawServer(
    serve ??
      (async (peer) => {
        await peer.request()
        peer.write(ok())
      }),
  )
  const agent = recyclingAgent({ recycle, ...options })
  const played = play(agent, server)
  const peer = await server.peer(0)
  const read = new Promise<Outcome[0]>((resolve) => {
    peer.socket.once('end', () => resolve('FIN'))
    peer.socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code as 'ECONNRESET'))
  })
  const clientPort = peer.socket.remotePort!
  await played
  await quiet(agent)
  const reads = await read
  return [reads, await timeWaitOf(clientPort, server.port)]
}

describeNative.each(Object.keys(expected) as RecycleMode[])('the end of a connection in mode %s', (recycle) => {
  it.each(Object.entries(endings))('%s', async (name, ending) => {
    expect(await observe(recycle, ending)).toEqual(expected[recycle][name])
  })
})
