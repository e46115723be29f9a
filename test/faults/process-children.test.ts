/** Children of a process with connections in every state inherit none of its descriptors. */
import { exec, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { Authority } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent } from '../support/dispatchers.js'
import { outcomeOf } from '../support/outcomes.js'
import { ok, type RawServer, rawServer } from '../support/raw-server.js'
import { silentListener } from '../support/silent-listener.js'
import { socketsOn } from '../support/socket-table.js'
import { describeNative } from '../support/transport.js'
import { switching, upgradeRecording } from '../support/upgrades.js'

const LIST = 'ls -l /proc/self/fd'
const listing = fileURLToPath(new URL('programs/list-descriptors.mjs', import.meta.url))

async function outputOf(child: ReturnType<typeof spawn>): Promise<string> {
  let text = ''
  child.stdout!.on('data', (chunk) => {
    text += chunk
  })
  await once(child, 'close')
  return text
}

/** How a program is started that lists its descriptors; those of Node have an epoll instance of their own. */
const starts: [how: string, start: () => Promise<string> | string, isNode: boolean][] = [
  ['spawn', () => outputOf(spawn('sh', ['-c', `exec ${LIST}`])), false],
  ['exec', async () => (await promisify(exec)(LIST)).stdout, false],
  ['execFileSync', () => execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' }), false],
  ['fork', () => outputOf(fork(listing, { silent: true })), true],
]

/** Answers `/`, switches protocols, and holds the rest. */
const serve = (secure?: Parameters<typeof rawServer>[1]): Promise<RawServer> =>
  rawServer(async (peer) => {
    for (;;) {
      const request = await peer.request()
      if (request === null) return
      if (request.fields.upgrade !== undefined) peer.write(switching())
      else if (request.head.startsWith('GET / ')) peer.write(ok())
    }
  }, secure)

/** The inodes of this process's sockets that lead to a port. */
const socketsTo = (port: number): number[] =>
  socketsOn(port)
    .filter(({ remotePort, inode }) => remotePort === port && inode !== 0)
    .map(({ inode }) => inode)

describeNative('a child process', () => {
  expectNoDescriptorLeft()

  it.each(starts)(
    'inherits no descriptor (%s), be it idle, in use, lent, handed over or being connected',
    async (_how, start, isNode) => {
      const authority = await Authority.create()
      const plain = await serve()
      const secure = await serve({ secure: await authority.issue(['127.0.0.1']) })
      await silentListener('127.0.0.2', plain.port)
      const agent = recyclingAgent({ connect: { ca: authority.ca }, keepAliveTimeout: 60_000 })
      const ends: Promise<unknown>[] = []
      const get = (origin: string, path = '/'): Promise<unknown> => outcomeOf(agent, { origin, path })
      // Being connected, for good.
      ends.push(get(`http://127.0.0.2:${plain.port}`))
      const { handler, socket } = upgradeRecording('new')
      agent.dispatch({ origin: plain.origin, path: '/', method: 'GET', upgrade: 'chat' }, handler)
      const handedOver = await socket
      ends.push(get(plain.origin, '/held'), get(secure.origin, '/held'))
      await Promise.all([get(plain.origin), get(secure.origin)])
      await Promise.all(
        [secure, plain].map(async ({ peers }) => {
          while (!peers.some(({ requests }) => requests.some(({ head }) => head.includes('/held')))) {
            await new Promise((resolve) => setImmediate(resolve))
          }
        }),
      )
      // In the midst of a handshake, and in the same tick as connect(2).
      ends.push(get(secure.origin, '/held'), get(plain.origin, '/held'))
      const output = start()
      const ours = [...socketsTo(plain.port), ...socketsTo(secure.port)]
      const text = await output
      expect(ours.length).toBeGreaterThanOrEqual(7)
      expect(text).toMatch(/pipe:|socket:/)
      for (const inode of ours) expect(text).not.toContain(`socket:[${inode}]`)
      if (!isNode) expect(text).not.toMatch(/eventpoll|eventfd/)
      handedOver.destroy()
      await agent.destroy()
      await Promise.all(ends)
    },
  )
})
