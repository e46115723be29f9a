/** Names over TLS: which one the server is shown (RFC 6066 3), and which connection serves whom. */
import { createSecureContext, type TLSSocket } from 'node:tls'
import type { Dispatcher } from 'undici'
import { beforeAll, describe, expect, it } from 'vitest'
import { RecyclingAgent } from '../../src/index.js'
import { Authority, type Certificate } from '../support/certificates.js'
import { expectNoDescriptorLeft, recyclingAgent, secureDispatchers } from '../support/dispatchers.js'
import { recording } from '../support/handlers.js'
import { answering, ok, rawServer } from '../support/raw-server.js'

let authority: Authority
let ca: string
let certificate: Certificate

beforeAll(async () => {
  authority = await Authority.create()
  ca = authority.ca
  certificate = await authority.issue(['localhost', 'a.test', 'b.test', '127.0.0.1'])
})

expectNoDescriptorLeft()

const ended = ['end', []]

type Options = Partial<Dispatcher.DispatchOptions> & { servername?: string }

function begin(agent: Dispatcher, origin: string, options: Options) {
  const recorded = recording('new')
  agent.dispatch({ origin, path: '/', method: 'GET', ...options } as Dispatcher.DispatchOptions, recorded.handler)
  return recorded
}

/** A server that notes the names it is asked for, and has certificates of its own for some of them. */
async function namedServer(response: string, certificates: Record<string, Certificate> = {}) {
  const asked: string[] = []
  const server = await rawServer(answering(response), {
    secure: {
      ...certificate,
      SNICallback(name, done) {
        asked.push(name)
        const own = certificates[name]
        done(null, own === undefined ? undefined : createSecureContext(own))
      },
    },
  })
  /** By connection; without a name there is `false`. */
  const names = (): unknown[] =>
    server.peers.map(({ socket }) => (socket as TLSSocket & { servername: unknown }).servername)
  return { ...server, asked, names }
}

const here = (_host: string, _options: object, done: (error: null, addresses: object[]) => void): void =>
  done(null, [{ address: '127.0.0.1', family: 4 }])

describe.each(secureDispatchers)('%s', (_name, make) => {
  it.each<[string, string, Options, object, unknown]>([
    ['the origin', 'a.test', {}, {}, 'a.test'],
    ['the Host field', 'a.test', { headers: { host: 'b.test:8443' } }, {}, 'b.test'],
    ['the option servername of the request', 'a.test', { servername: 'b.test' }, {}, 'b.test'],
    ['connect.servername', 'a.test', {}, { servername: 'b.test' }, 'b.test'],
    [
      'the request before connect.servername',
      'localhost',
      { headers: { host: 'a.test' } },
      { servername: 'b.test' },
      'a.test',
    ],
    ['none for an IP address', '127.0.0.1', {}, {}, false],
    ['the origin for a Host field with an IP address', 'a.test', { headers: { host: '127.0.0.1' } }, {}, 'a.test'],
  ])('shows the server the name of %s', async (_case, host, options, connect, name) => {
    const { port, names, asked } = await namedServer(ok())
    const agent = make({ connect: { ca, lookup: here as never, ...connect } })
    expect((await begin(agent, `https://${host}:${port}`, options).done).at(-1)).toEqual(ended)
    expect(names()).toEqual([name])
    expect(asked).toEqual(name === false ? [] : [name])
  })

  it('verifies the certificate against the name that was shown', async () => {
    const onlyB = await authority.issue(['b.test'])
    const { origin } = await namedServer(ok(), { 'b.test': onlyB })
    const agent = make({ connect: { ca } })
    expect((await begin(agent, origin, { servername: 'b.test' }).done).at(-1)).toEqual(ended)
    const { done, events } = begin(agent, origin, { servername: 'c.test' })
    await done
    expect(events).toMatchObject([
      ['error', 'Error', 'ERR_TLS_CERT_ALTNAME_INVALID', expect.stringContaining('c.test')],
    ])
  })

  it('ends an idle connection for a request of another name, and opens one for it', async () => {
    const { origin, names, peers } = await namedServer(ok())
    const agent = make({ connections: 1, connect: { ca } })
    const reasons: unknown[] = []
    agent.on('disconnect', (_origin, _targets, error) => reasons.push([error.code, error.message]))
    await begin(agent, origin, { servername: 'a.test' }).done
    await begin(agent, origin, { servername: 'a.test' }).done
    expect(reasons).toEqual([])
    expect((await begin(agent, origin, { servername: 'b.test' }).done).at(-1)).toEqual(ended)
    expect(names()).toEqual(['a.test', 'b.test'])
    expect(reasons).toEqual([['UND_ERR_INFO', 'servername changed']])
    await peers[0]!.ended()
  })

  it('keeps the connection for requests that name an IP address, or nothing', async () => {
    const { origin, peers } = await namedServer(ok())
    const agent = make({ connections: 1, connect: { ca } })
    await begin(agent, origin, {}).done
    await begin(agent, origin, { headers: { host: '127.0.0.1' } }).done
    expect(peers).toHaveLength(1)
  })

  it('fails with one connection all that wait for it when it cannot be made', async () => {
    const { origin } = await namedServer(ok())
    const agent = make({ connections: 1 })
    const recorded = [{}, {}, { servername: 'a.test' }].map((options) => begin(agent, origin, options))
    for (const { done } of recorded) await done
    expect(new Set(recorded.map(({ error }) => error)).size).toBe(1)
    expect(recorded[0]!.error).toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
    if (agent instanceof RecyclingAgent) expect(agent.stats.sockets).toMatchObject({ leased: 0 })
  })
})

// undici's Client means to, but leaves those of other names unanswered for good (undici client, handleConnectError).
it('fails with ERR_TLS_CERT_ALTNAME_INVALID the requests that asked for that name, and no others', async () => {
  const { origin, names } = await namedServer(ok(), { 'c.test': await authority.issue(['other.test']) })
  const agent = recyclingAgent({ connections: 1, connect: { ca } })
  const c = [begin(agent, origin, { servername: 'c.test' }), begin(agent, origin, { servername: 'c.test' })]
  const a = begin(agent, origin, { servername: 'a.test' })
  expect((await a.done).at(-1)).toEqual(ended)
  for (const { events, error } of c) {
    expect(events).toHaveLength(1)
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  }
  expect(names().filter((name) => name === 'a.test')).toHaveLength(1)
})
