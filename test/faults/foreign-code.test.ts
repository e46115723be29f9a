/**
 * Whatever the caller's code does, wherever it is called: every place, every action, on every kind of agent. What must
 * hold is in test/support/foreign-code.ts.
 */

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Server as NetServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RecyclingAgent, RecyclingPool } from '../../src/index.js'
import { Authority } from '../support/certificates.js'
import { countDescriptors } from '../support/descriptors.js'
import { expectNoDescriptorLeft } from '../support/dispatchers.js'
import { actions, pairs } from '../support/foreign-actions.js'
import { type Action, type Client, type Place, Scene, type Server } from '../support/foreign-code.js'
import { places } from '../support/foreign-places.js'

expectNoDescriptorLeft()

const single: Client = { kind: 'native', protocol: 'http', connections: 1 }
/** Without a limit each of the requests has a connection of its own; over TLS that is dear, and shows nothing more. */
const clients: Client[] = [
  single,
  { kind: 'native', protocol: 'http', connections: null },
  { kind: 'native', protocol: 'https', connections: 1 },
  { kind: 'net', protocol: 'http', connections: 1 },
  { kind: 'net', protocol: 'http', connections: null },
  { kind: 'net', protocol: 'https', connections: 1 },
]
const pool: Client = { kind: 'pool', protocol: 'http', connections: 1 }

const servers: Partial<Record<Client['protocol'], Server>> = {}
const open: NetServer[] = []
const sockets = new Set<Duplex>()
let uncaught: unknown[] = []
const note = (error: unknown): void => void uncaught.push(error)
const listeners = process.listeners('uncaughtException')

const serve: RequestListener = (request, response) => {
  const { wish } = request.headers
  if (wish === 'early hints') response.writeEarlyHints({ link: '</style.css>; rel=preload' })
  if (wish === 'close') response.setHeader('connection', 'close')
  request.resume().on('end', () => response.end('ok'))
}

async function start(protocol: Client['protocol'], server: NetServer, ca: string): Promise<void> {
  server.on('connection', (socket: Duplex) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => {})
  })
  server.on('upgrade', (_request, socket: Duplex) => {
    socket
      .on('error', () => {})
      .end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: foreign\r\n\r\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  servers[protocol] = { port: (server.address() as AddressInfo).port, ca }
  open.push(server)
}

beforeAll(async () => {
  const authority = await Authority.create()
  const { key, cert } = await authority.issue(['*.cells.test'])
  await start('http', createServer(serve), authority.ca)
  await start('https', createSecureServer({ key, cert }, serve), authority.ca)
  // The test runner's own listeners would take what the caller's code throws for a failure.
  process.removeAllListeners('uncaughtException').on('uncaughtException', note)
})

afterAll(async () => {
  process.removeListener('uncaughtException', note)
  for (const listener of listeners) process.on('uncaughtException', listener)
  for (const socket of sockets) socket.destroy()
  for (const server of open) {
    server.close()
    await once(server, 'close')
  }
})

/** @returns what does not hold, of all scenes at one place */
async function play(place: Place, client: Client, tried: readonly Action[]): Promise<string[]> {
  const before = countDescriptors()
  uncaught = []
  const scenes = tried.map((action) => new Scene(place, action, client, servers[client.protocol]!))
  const complaints = await Promise.all(
    scenes.map(async (scene) => {
      let agent: RecyclingAgent | RecyclingPool | undefined
      const found = await scene.play((options) => {
        agent = client.kind === 'pool' ? new RecyclingPool(scene.origin, options as never) : new RecyclingAgent(options)
        return agent
      })
      const thrown = uncaught.filter((error) => error === scene.thrown).length
      const expected = scene.action.throws && place.onThrow === 'surfaces' ? 1 : 0
      if (thrown !== expected) found.push(`${thrown} uncaught exceptions`)
      const { leased, idle } = (agent as RecyclingAgent).stats.sockets ?? { leased: 0, idle: 0 }
      if (leased + idle > 0) found.push(`${leased} sockets leased, ${idle} idle`)
      return found.map((complaint) => `${scene.name}: ${complaint}`)
    }),
  )
  const known = new Set<unknown>(scenes.map(({ thrown }) => thrown))
  for (const error of uncaught)
    if (!known.has(error)) complaints.push([`uncaught: ${(error as Error)?.stack ?? error}`])
  const deadline = performance.now() + 2000
  while (countDescriptors() > before && performance.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve))
  if (countDescriptors() > before)
    complaints.push([`${place.name}: ${countDescriptors() - before} descriptors are open`])
  return complaints.flat()
}

const describeClient = ({ kind, protocol, connections }: Client): string =>
  `${kind}, ${protocol}, ${connections === null ? 'connections without limit' : 'one connection'}`

describe.each(places.map((place) => [place.name, place] as const))('%s', (_name, place) => {
  it.each(
    clients
      .filter((client) => place.isTriedOn?.(client) ?? true)
      .map((client) => [describeClient(client), client] as const),
  )('may do anything: %s', async (_client, client) => {
    expect(await play(place, client, actions)).toEqual([])
  })

  it.runIf(place.isTriedOn?.(single) ?? true)('may do two things', async () => {
    expect(await play(place, single, pairs)).toEqual([])
  })

  it.runIf(place.isTriedOn?.(pool) ?? true)('may do anything to a RecyclingPool', async () => {
    expect(await play(place, pool, actions)).toEqual([])
  })
})
