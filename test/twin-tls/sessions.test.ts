/** Sessions that are resumed (RFC 5077, RFC 8446 2.2), and what must hold although they are. */

import { constants } from 'node:crypto'
import tls, { type TLSSocket, type TlsOptions } from 'node:tls'
import type { Dispatcher } from 'undici'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { ok } from '../support/raw-server.js'
import type { SecureServer } from '../support/secure-server.js'
import { generalName, Holder } from '../support/x509.js'
import { type Play, type Stage, twin } from './twin.js'

const authority = Holder.authority()
const ca = authority.cert
const server = authority.issue().identity()
const CLOSING = ok('ok', 'connection: close\r\n')

/** undici keeps its sessions by WeakRef: what was collected in between could not be compared. */
const held: unknown[] = []
const connect = tls.connect

beforeAll(() => {
  Object.assign(tls, {
    connect: (...args: unknown[]): TLSSocket =>
      Reflect.apply(connect, tls, args).on('session', (session: Buffer) => held.push(session)),
  })
})

afterAll(() => {
  Object.assign(tls, { connect })
})

/** Notes which of the requests came over a resumed session. */
const noteResumed = (stage: Stage, { resumed }: SecureServer): void => stage.note('sessions', 'resumed', ...resumed)

/**
 * An agent with a connection on which it waits for good: undici's Agent forgets an origin, and its sessions, with the
 * last connection to it.
 */
async function remembering(stage: Stage, { port }: SecureServer, connect: object): Promise<Dispatcher> {
  const agent = stage.agent(connect, { connections: 2 })
  await stage.hold(agent, port)
  return agent
}

/** Three requests, each over a connection of its own. */
const thrice =
  (options: TlsOptions, more: object = {}, prepare: (server: SecureServer) => void = () => {}): Play =>
  async (stage) => {
    const running = await stage.server({ ...server, ...options }, CLOSING)
    prepare(running)
    const agent = await remembering(stage, running, { ca, ...more })
    for (let i = 0; i < 3; i++) await stage.get(agent, { port: running.port })
    noteResumed(stage, running)
  }

const resumes = (...expected: boolean[]) => ({
  check: (log: readonly unknown[][]) =>
    expect(log.find(([who]) => who === 'sessions')).toEqual(['sessions', 'resumed', ...expected]),
})

/** A server that keeps its sessions by their number. */
function keeping({ server }: SecureServer): void {
  const sessions = new Map<string, Buffer>()
  server.on('newSession', (id: Buffer, session: Buffer, callback: () => void) => {
    sessions.set(id.toString('hex'), session)
    callback()
  })
  server.on('resumeSession', (id: Buffer, callback: (error: null, session: Buffer | null) => void) => {
    callback(null, sessions.get(id.toString('hex')) ?? null)
  })
}

const only12 = { maxVersion: 'TLSv1.2' } as const
const NO_TICKETS = { secureOptions: constants.SSL_OP_NO_TICKET }

describe('a session', () => {
  twin('of TLS 1.2, by tickets', 'answer', thrice(only12), resumes(true, true, true))
  twin(
    'of TLS 1.2, by its number',
    'answer',
    thrice({ ...only12, ...NO_TICKETS }, {}, keeping),
    resumes(true, true, true),
  )
  twin('of TLS 1.3', 'answer', thrice({ minVersion: 'TLSv1.3' }), resumes(true, true, true))
  twin('of TLS 1.3, without tickets of the server', 'answer', thrice({ minVersion: 'TLSv1.3', ...NO_TICKETS }))
  twin(
    'of TLS 1.2, of a server that forgets',
    'answer',
    thrice({ ...only12, ...NO_TICKETS }),
    resumes(false, false, false),
  )
  twin('that is not kept by the client', 'answer', thrice({}, { maxCachedSessions: 0 }), resumes(false, false, false))
  twin(
    'with secureOptions of the client against tickets',
    'answer',
    thrice(only12, NO_TICKETS),
    resumes(false, false, false),
  )
  twin(
    'of a server whose ticket keys change',
    'answer',
    async (stage) => {
      const running = await stage.server({ ...server, ...only12 }, CLOSING)
      const agent = await remembering(stage, running, { ca })
      await stage.get(agent, { port: running.port })
      await stage.get(agent, { port: running.port })
      running.server.setTicketKeys(Buffer.alloc(48, 7))
      await stage.get(agent, { port: running.port })
      await stage.get(agent, { port: running.port })
      noteResumed(stage, running)
    },
    resumes(true, true, false, true),
  )
  twin('of a server whose versions change', 'answer', async (stage) => {
    const running = await stage.server({ ...server, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }, CLOSING)
    const agent = await remembering(stage, running, { ca })
    await stage.get(agent, { port: running.port })
    running.server.setSecureContext({ ...server, minVersion: 'TLSv1.3' })
    await stage.get(agent, { port: running.port })
    await stage.get(agent, { port: running.port })
    noteResumed(stage, running)
  })
  twin(
    'over a kept connection is not needed',
    'answer',
    async (stage) => {
      const running = await stage.server(server)
      const agent = stage.agent({ ca })
      for (let i = 0; i < 3; i++) await stage.get(agent, { port: running.port })
      noteResumed(stage, running)
    },
    resumes(false, false, false),
  )
})

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('with a session of %s', (version) => {
  const only = { minVersion: version, maxVersion: version }
  const run = async (stage: Stage, options: TlsOptions = server): Promise<SecureServer> =>
    stage.server({ ...options, ...only }, CLOSING)

  twin(`${version}: a server whose certificate has become a wrong one`, 'answer', async (stage) => {
    const running = await run(stage)
    const agent = await remembering(stage, running, { ca })
    await stage.get(agent, { port: running.port })
    running.server.setSecureContext({ ...WRONG, ...only })
    await stage.get(agent, { port: running.port })
    await stage.get(agent, { port: running.port })
  })
  twin(`${version}: another name`, 'answer', async (stage) => {
    const running = await run(stage)
    const agent = await remembering(stage, running, { ca })
    for (const servername of ['localhost', 'b.test', 'localhost', 'b.test', 'localhost']) {
      await stage.get(agent, { port: running.port, servername })
    }
    noteResumed(stage, running)
  })
  twin(`${version}: another agent that trusts less`, 'answer', async (stage) => {
    const running = await run(stage)
    for (const connect of [{ ca }, {}, { rejectUnauthorized: false }, {}, { ca }]) {
      const agent = stage.agent(connect)
      await stage.get(agent, { port: running.port })
      await stage.get(agent, { port: running.port })
    }
    noteResumed(stage, running)
  })
  twin(`${version}: a session that was made without trust`, 'answer', async (stage) => {
    const running = await run(stage)
    const trusting = await remembering(stage, running, { rejectUnauthorized: false })
    for (let i = 0; i < 3; i++) await stage.get(trusting, { port: running.port })
    noteResumed(stage, running)
  })
  twin(`${version}: a refused one is not kept`, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', async (stage) => {
    const running = await run(stage)
    const agent = stage.agent({})
    for (let i = 0; i < 3; i++) await stage.get(agent, { port: running.port })
    noteResumed(stage, running)
  })
  twin(`${version}: checkServerIdentity that says no the second time`, 'answer', async (stage) => {
    const running = await run(stage)
    let asked = 0
    const agent = await remembering(stage, running, {
      ca,
      checkServerIdentity: () => (++asked === 1 ? undefined : Object.assign(new Error('no'), { code: 'NO' })),
    })
    for (let i = 0; i < 3; i++) await stage.get(agent, { port: running.port })
    stage.note('check', 'asked', asked)
    noteResumed(stage, running)
  })
  twin(`${version}: checkServerIdentity that says no the first time`, 'NO', async (stage) => {
    const running = await run(stage)
    let isAsked = false
    const agent = stage.agent({
      ca,
      checkServerIdentity: () => {
        if (isAsked) return undefined
        isAsked = true
        return Object.assign(new Error('no'), { code: 'NO' })
      },
    })
    for (let i = 0; i < 3; i++) await stage.get(agent, { port: running.port })
    noteResumed(stage, running)
  })
  twin(`${version}: client certificates`, 'answer', async (stage) => {
    const running = await run(stage, { ...server, ca, requestCert: true })
    const agent = await remembering(stage, running, { ca, ...CLIENT })
    for (let i = 0; i < 3; i++) await stage.get(agent, { port: running.port })
    noteResumed(stage, running)
  })
  twin(`${version}: one of the caller's`, 'answer', async (stage) => {
    const running = await run(stage)
    const session = await new Promise<Buffer>((resolve) => {
      const socket = connect({ port: running.port, host: '127.0.0.1', ca })
      socket.once('session', (made: Buffer) => {
        resolve(made)
        socket.destroy()
      })
    })
    const agent = await remembering(stage, running, { ca, session })
    for (let i = 0; i < 2; i++) await stage.get(agent, { port: running.port })
    noteResumed(stage, running)
  })
})

describe('a server of TLS 1.2 that wants to negotiate again (RFC 5746)', () => {
  twin('a server that negotiates again', 'answer', async (stage) => {
    const running = await stage.server({ ...server, ...only12 })
    const over = new Promise<string>((resolve) => {
      running.server.on('secureConnection', (socket) => {
        socket.renegotiate({}, (error) => resolve(error?.message ?? 'done'))
        socket.on('close', () => resolve('closed'))
      })
    })
    const agent = stage.agent({ ca })
    await stage.get(agent, { port: running.port })
    stage.note('server', 'renegotiated', await over)
    await stage.get(agent, { port: running.port })
  })
})

const WRONG = authority.issue({ names: [generalName.dns('other.test')] }).identity()
const CLIENT = authority.issue({ subject: 'client', names: [] }).identity()
