/** What subscribers of undici's channels see of connections that undici does not make in this way. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { expectNoDescriptorLeft, recyclingAgent } from './support/dispatchers.js'
import { duplexPeer } from './support/duplex-peer.js'
import { recording } from './support/handlers.js'
import { answering, ok, rawServer } from './support/raw-server.js'

expectNoDescriptorLeft()

interface Message {
  connectParams: Record<string, unknown>
  connector(): unknown
  socket: Record<string, unknown>
}

/** What is published on the channel until the test is finished. */
function messagesOf(channel: string): Message[] {
  const messages: Message[] = []
  const note = (message: unknown): void => void messages.push(message as Message)
  subscribe(channel, note)
  onTestFinished(() => void unsubscribe(channel, note))
  return messages
}

async function send(options: object, origin: string): Promise<void> {
  const { handler, done } = recording('new')
  recyclingAgent(options).dispatch({ origin, path: '/', method: 'GET' }, handler)
  expect((await done).at(-1)).toEqual(['end', []])
}

it('an IPv6 host has no brackets where it is a hostname', async () => {
  const { origin, port } = await rawServer(answering(ok()), { host: '::1' })
  const messages = messagesOf('undici:client:beforeConnect')
  await send({}, origin)
  expect(messages).toMatchObject([{ connectParams: { host: `[::1]:${port}`, hostname: '::1', port: `${port}` } }])
})

it('the function that stands for the one that makes connections makes none', async () => {
  const { origin } = await rawServer(answering(ok()))
  const messages = messagesOf('undici:client:connected')
  await send({ transport: 'net' }, origin)
  await send({}, origin)
  expect(() => messages.at(-1)!.connector()).toThrow()
})

it('the socket of a connection over a stream is that stream', async () => {
  const { stream } = duplexPeer(ok())
  const messages = messagesOf('undici:client:connected')
  const connect = (_options: object, done: (error: null, made: object) => void): void => done(null, stream)
  await send({ connect, transport: 'net' }, 'http://a.test')
  expect(messages[0]!.socket).toBe(stream)
  expect(messages[0]!.connector).toBeTypeOf('function')
})

it('a connection to a Unix socket has no remote address', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'recycling-agent-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'socket')
  await rawServer(answering(ok()), { path })
  const messages = messagesOf('undici:client:sendHeaders')
  await send({ socketPath: path }, 'http://name.test')
  const { remoteAddress, remotePort } = messages[0]!.socket
  expect({ remoteAddress, remotePort }).toEqual({ remoteAddress: undefined, remotePort: undefined })
})
